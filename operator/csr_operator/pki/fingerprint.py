"""The names under which a certificate is compared by eye, or asked for."""

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256


def sha256_fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the DER form, as `openssl x509 -fingerprint -sha256` prints it: hex pairs with colons."""
    return certificate.fingerprint(SHA256()).hex(":").upper()


def serial_octets(certificate: x509.Certificate) -> str:
    """The serial number in capital hexadecimal, of whole octets."""
    digits = f"{certificate.serial_number:X}"
    return digits.zfill(len(digits) + len(digits) % 2)
