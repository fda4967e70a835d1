"""What Sectigo Certificate Manager answers, in the life of a certificate. May raise BackendError."""

from csr_operator.backends.sectigo import SectigoBackend
from fuzz.backends import CA_BUNDLE, live, make
from fuzz.servers import vendor

SHAPE = "json"

_CONFIG = {
    "oauth": {"secretName": "key"},
    "organization": "Example Inc",
    "profile": "Public OV SSL",
    "cancelPending": True,
    "caBundle": CA_BUNDLE,
    "dcv": {"mode": "CNAME"},
}


def fuzz(data: bytes) -> None:
    """Whatever becomes of the certificate before."""
    for renewal in ("Enroll", "Renew", "Replace"):
        with vendor(data):
            config = {**_CONFIG, "renewal": renewal}
            live(make(SectigoBackend, config, key={"clientID": b"client", "clientSecret": b"SECRET"}))
