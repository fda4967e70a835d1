"""What CertCentral answers, in the life of a certificate. May raise BackendError."""

from csr_operator.backends.digicert.certcentral import DigicertBackend
from fuzz.backends import CA_BUNDLE, live, make
from fuzz.servers import vendor

SHAPE = "json"

_CONFIG = {
    "product": "ssl_basic",
    "secretName": "key",
    "organizationId": 117483,
    "dcvMethod": "dns-txt-token",
    "renewal": "Reissue",
    "cancelPending": True,
    "caBundle": CA_BUNDLE,
}


def fuzz(data: bytes) -> None:
    with vendor(data):
        live(make(DigicertBackend, _CONFIG, key={"api-key": b"KEY"}))
