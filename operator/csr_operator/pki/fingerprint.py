"""The name under which a certificate is compared by eye."""

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256


def sha256_fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the DER form, as `openssl x509 -fingerprint -sha256` prints it: hex pairs with colons."""
    return certificate.fingerprint(SHA256()).hex(":").upper()
