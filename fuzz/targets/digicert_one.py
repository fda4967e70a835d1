"""What DigiCert ONE answers, in the life of a certificate. May raise BackendError."""

from csr_operator.backends.digicert.one import DigicertOneBackend
from fuzz.backends import CA_BUNDLE, live, make
from fuzz.servers import vendor

SHAPE = "json"

_CONFIG = {"profileId": "36f011b7-5fa1-4c6d-83f3-ee59c4d54bb0", "secretName": "key", "caBundle": CA_BUNDLE}


def fuzz(data: bytes) -> None:
    with vendor(data):
        live(make(DigicertOneBackend, _CONFIG, key={"api-key": b"KEY"}))
