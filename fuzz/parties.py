"""A CA and a key that are always the same, which sign again what was changed: else nobody looks into it."""

import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from csr_operator.pki import asn1
from csr_operator.pki.authority import Authority, load_authority
from csr_operator.pki.csr import CsrTemplate, build_csr
from csr_operator.pki.errors import PkiError
from csr_operator.pki.keys import private_key_pem, public_key_der
from csr_operator.pki.names import Names
from csr_operator.pki.profile import Profile

NOW = datetime.datetime(2026, 11, 28, 12, tzinfo=datetime.UTC)
FIRST, LAST = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC), datetime.datetime(2049, 1, 1, tzinfo=datetime.UTC)

CA_KEY = Ed25519PrivateKey.from_private_bytes(b"\1" * 32)
KEY = Ed25519PrivateKey.from_private_bytes(b"\2" * 32)
CSR = build_csr(CsrTemplate(Names(common_name="www.example.com", dns_names=("www.example.com",)), Profile()), KEY)
"""For a server named www.example.com."""

_ED25519 = asn1.encode(asn1.SEQUENCE, asn1.encode(asn1.OBJECT_IDENTIFIER, asn1.object_identifier("1.3.101.112")))
_BIT_STRING, _VERSION = 0x03, 0xA0


def _make_ca() -> Authority:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CA of the fuzzer")])
    certificate = (
        x509.CertificateBuilder(name, name, CA_KEY.public_key(), 1, FIRST, LAST)
        .add_extension(x509.BasicConstraints(True, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(CA_KEY.public_key()), critical=False)
        .sign(CA_KEY, None)
    )
    return load_authority(certificate.public_bytes(Encoding.PEM), private_key_pem(CA_KEY))


CA = _make_ca()


def sign_csr(der: bytes) -> bytes:
    """As it stands, for KEY and signed with it. PkiError for what is no CertificationRequest (RFC 2986, 4)."""
    fields = _signed_fields(der)
    if len(fields) < 3:
        raise PkiError("no request")
    fields[2] = public_key_der(KEY.public_key())
    return _sign(fields, KEY)


def sign_certificate(der: bytes) -> bytes:
    """As it stands, for KEY and by CA. PkiError for what is no Certificate (RFC 5280, 4.1)."""
    fields = _signed_fields(der)
    at = int(bool(fields) and fields[0][0] == _VERSION)
    if len(fields) < at + 6:
        raise PkiError("no certificate")
    fields[at + 1] = _ED25519
    fields[at + 2] = CA.certificate.subject.public_bytes()
    fields[at + 5] = public_key_der(KEY.public_key())
    return _sign(fields, CA_KEY)


def sign_list(der: bytes) -> bytes:
    """As it stands, by CA. PkiError for what is no CertificateList (RFC 5280, 5.1)."""
    fields = _signed_fields(der)
    at = int(bool(fields) and fields[0][0] == asn1.INTEGER)
    if len(fields) < at + 3:
        raise PkiError("no list")
    fields[at] = _ED25519
    fields[at + 1] = CA.certificate.subject.public_bytes()
    return _sign(fields, CA_KEY)


def _signed_fields(der: bytes) -> list[bytes]:
    """What stands in the first of the three parts that all signed things consist of."""
    _, content, _ = asn1.split(der)
    _, signed, _ = asn1.split(content)
    fields = []
    while signed:
        tag, value, rest = asn1.split(signed)
        fields.append(asn1.encode(tag, value))
        signed = rest
    return fields


def _sign(fields: list[bytes], key: Ed25519PrivateKey) -> bytes:
    signed = asn1.encode(asn1.SEQUENCE, b"".join(fields))
    signature = asn1.encode(_BIT_STRING, b"\0" + key.sign(signed))
    return asn1.encode(asn1.SEQUENCE, signed + _ED25519 + signature)
