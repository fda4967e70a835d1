"""CAs as an administrator brings them: key pairs that the operator did not make."""

import base64
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate (PEM), and the private key that it should be of."""

    certificate: str
    key: str = field(repr=False)

    def secret(self, name: str) -> dict[str, Any]:
        """As a Secret of type kubernetes.io/tls."""
        return opaque(name, type="kubernetes.io/tls", **{"tls.crt": self.certificate, "tls.key": self.key})


def opaque(name: str, type: str = "Opaque", **data: str) -> dict[str, Any]:  # noqa: A002 - the field's name
    """A Secret with this data."""
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": type, "data": encoded}


def credential(name: str, type: str = "Opaque", **data: str) -> dict[str, Any]:  # noqa: A002 - the field's name
    """A Secret with this data that the Issuers of its namespace may use."""
    secret = opaque(name, type, **data)
    secret["metadata"]["labels"] = {"csr-operator.dev/allow-credential": "true"}
    return secret


def authority(
    name: str,
    *,
    ends_in: timedelta = timedelta(days=3650),
    is_ca: bool = True,
    path_length: int | None = None,
    signs_crls: bool = True,
    only_below: str = "",
) -> KeyPair:
    """A self-signed certificate, valid since 30 days ago. `ends_in`: from now, and negative if it is over.

    only_below: the one domain for whose names it may sign.
    """
    key = generate_private_key(SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    usage = x509.KeyUsage(not is_ca, False, False, False, False, is_ca, is_ca and signs_crls, False, False)
    builder = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=30))
        .not_valid_after(now + ends_in)
        .add_extension(x509.BasicConstraints(is_ca, path_length), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if only_below:
        builder = builder.add_extension(x509.NameConstraints([x509.DNSName(only_below)], None), critical=True)
    certificate = builder.sign(key, SHA256())
    return KeyPair(certificate.public_bytes(Encoding.PEM).decode(), _pem(key))


def other_key(pair: KeyPair) -> KeyPair:
    """The same certificate with a key that is not its own."""
    return KeyPair(pair.certificate, _pem(generate_private_key(SECP256R1())))


def _pem(key: EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
