"""Whether a request, its Secret and the certificate in it belong together."""

import base64
from collections.abc import Mapping
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from tests.support.kubectl import condition


def certificate_of(secret: Mapping[str, Any]) -> x509.Certificate:
    """The leaf in `tls.crt`."""
    return x509.load_pem_x509_certificates(_data(secret, "tls.crt"))[0]


def assert_whole(request: Mapping[str, Any], secret: Mapping[str, Any]) -> None:
    """Key, certificate, status and CSR are of one issuance, and the request is Ready with it."""
    name = request["metadata"]["name"]
    assert condition(request, "Ready").get("status") == "True", f"{name}: {request.get('status')}"
    assert [owner["uid"] for owner in secret["metadata"]["ownerReferences"]] == [request["metadata"]["uid"]], name

    certificate = certificate_of(secret)
    key = load_pem_private_key(_data(secret, "tls.key"), password=None)
    assert _spki(key.public_key()) == _spki(certificate.public_key()), f"{name}: the key is another's"

    status = request["status"]
    csr = x509.load_pem_x509_csr(status["csr"].encode())
    assert csr.is_signature_valid
    assert _spki(csr.public_key()) == _spki(certificate.public_key()), f"{name}: the CSR is of another key"
    assert int(status["serialNumber"], 16) == certificate.serial_number, name
    assert status["sha256Fingerprint"].replace(":", "").lower() == certificate.fingerprint(SHA256()).hex(), name


def _data(secret: Mapping[str, Any], name: str) -> bytes:
    return base64.b64decode(secret["data"][name])


def _spki(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
