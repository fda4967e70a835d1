"""The names under which a certificate is compared by eye, or asked for."""

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256


def sha256_fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the DER form, as `openssl x509 -fingerprint -sha256` prints it: hex pairs with colons."""
    return certificate.fingerprint(SHA256()).hex(":").upper()


def serial_octets(certificate: x509.Certificate) -> str:
    """The serial number in capital hexadecimal, of whole octets, as `openssl x509 -serial` prints it."""
    return whole_octets(f"{certificate.serial_number:X}")


def whole_octets(digits: str) -> str:
    """A number in hexadecimal as `serial_octets` writes it: capitals, an even number of them, colons left out."""
    bare = digits.replace(":", "").upper().lstrip("0")
    return bare.zfill(max(len(bare) + len(bare) % 2, 2))
