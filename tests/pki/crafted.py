"""Requests that no library would make: each part as the bytes that are given, and a signature that is valid."""

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from csr_operator.pki import asn1
from csr_operator.pki.keys import public_key_der
from tests.pki.support import P256, key_of

SET, UTF8, PRINTABLE, T61, IA5, BMP = 0x31, 0x0C, 0x13, 0x14, 0x16, 0x1E
CN, C, O, SERIAL, EMAIL = "2.5.4.3", "2.5.4.6", "2.5.4.10", "2.5.4.5", "1.2.840.113549.1.9.1"  # noqa: E741
SAN = "2.5.29.17"
DNS, MAIL, URI, IP, OTHER = 0x82, 0x81, 0x86, 0x87, 0xA0


def sequence(*parts: bytes) -> bytes:
    return asn1.encode(asn1.SEQUENCE, b"".join(parts))


def oid(dotted: str) -> bytes:
    return asn1.encode(asn1.OBJECT_IDENTIFIER, asn1.object_identifier(dotted))


def rdn(*pairs: tuple[str, int, bytes]) -> bytes:
    """A RelativeDistinguishedName of attributes: type, tag of the value, value."""
    return asn1.encode(
        SET, b"".join(sorted(sequence(oid(kind), asn1.encode(tag, value)) for kind, tag, value in pairs))
    )


def alternative_names(*names: tuple[int, bytes]) -> tuple[str, bytes]:
    """The extension with these names, each its tag and content."""
    return SAN, sequence(*(asn1.encode(tag, content) for tag, content in names))


WWW = alternative_names((DNS, b"www.example.com"))


def crafted(
    *extensions: tuple[str, bytes],
    subject: bytes = sequence(rdn((CN, UTF8, b"www.example.com"))),
    version: bytes = asn1.encode(asn1.INTEGER, b"\0"),
    attributes: bytes | None = None,
) -> bytes:
    """A CertificationRequest (RFC 2986, 4.2) in DER, signed by `key_of(P256)`. extensions: OID and value of each."""
    key = key_of(P256)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    if attributes is None:
        wanted = sequence(*(sequence(oid(kind), asn1.encode(asn1.OCTET_STRING, value)) for kind, value in extensions))
        attributes = asn1.encode(0xA0, sequence(oid("1.2.840.113549.1.9.14"), asn1.encode(SET, wanted)))
    info = sequence(version, subject, public_key_der(key.public_key()), attributes)
    signature = key.sign(info, ec.ECDSA(hashes.SHA256()))
    return sequence(info, sequence(oid("1.2.840.10045.4.3.2")), asn1.encode(0x03, b"\0" + signature))
