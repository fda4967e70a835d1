"""Java keystores of type JKS, as the JDK's sun.security.provider.JavaKeyStore and KeyProtector write and read them.

The one Python library for them was last released in 2020 and brings unmaintained C code along, for formats
that are not needed here. The format has not changed since 1998 and is checked against keytool.
"""

import hashlib
import os
import struct
from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from csr_operator.pki import asn1
from csr_operator.pki.errors import PkiError

_HEADER = struct.pack(">II", 0xFEEDFEED, 2)
_KEY_ENTRY, _TRUSTED_ENTRY = 1, 2
# 1.3.6.1.4.1.42.2.17.1.1, the JDK's own key protection, which takes no parameters.
_KEY_PROTECTOR = asn1.encode(asn1.SEQUENCE, bytes.fromhex("060a2b060104012a021101010500"))
_WHITENER = b"Mighty Aphrodite"
# DataOutputStream.writeUTF counts in 16 bits.
_MAX_ALIAS = 255


def key_entry(alias: str, pkcs8: bytes, chain: Sequence[x509.Certificate], password: str, created: datetime) -> bytes:
    """An entry with a private key (unencrypted PKCS #8) and its chain, leaf first.

    The alias is written in lower case, in which alone Java looks for it.
    """
    protected = _protect(pkcs8, _encoded(password))
    sealed = asn1.encode(asn1.SEQUENCE, _KEY_PROTECTOR + asn1.encode(asn1.OCTET_STRING, protected))
    certificates = b"".join(map(_certificate, chain))
    return _entry(_KEY_ENTRY, alias, created) + _sized(sealed) + struct.pack(">I", len(chain)) + certificates


def trusted_entry(alias: str, certificate: x509.Certificate, created: datetime) -> bytes:
    """An entry with a certificate that is trusted."""
    return _entry(_TRUSTED_ENTRY, alias, created) + _certificate(certificate)


def store(entries: Sequence[bytes], password: str) -> bytes:
    """A keystore of these entries, with the digest over all of it that keytool checks the password by."""
    data = _HEADER + struct.pack(">I", len(entries)) + b"".join(entries)
    return data + hashlib.sha1(_encoded(password) + _WHITENER + data).digest()  # noqa: S324 - the format's own


def _entry(kind: int, alias: str, created: datetime) -> bytes:
    return struct.pack(">I", kind) + _utf(alias.lower()) + struct.pack(">q", int(created.timestamp() * 1000))


def _certificate(certificate: x509.Certificate) -> bytes:
    return _utf("X.509") + _sized(certificate.public_bytes(Encoding.DER))


def _protect(plain: bytes, password: bytes) -> bytes:
    salt = digest = os.urandom(20)
    stream = b""
    while len(stream) < len(plain):
        digest = hashlib.sha1(password + digest).digest()  # noqa: S324
        stream += digest
    hidden = bytes(octet ^ other for octet, other in zip(plain, stream, strict=False))
    return salt + hidden + hashlib.sha1(password + plain).digest()  # noqa: S324


def _encoded(password: str) -> bytes:
    return password.encode("utf-16-be")


def _utf(text: str) -> bytes:
    if not text.isascii() or not text.isprintable() or not 0 < len(text) <= _MAX_ALIAS:
        raise PkiError(f"the alias of a JKS keystore must be 1 to {_MAX_ALIAS} printable ASCII characters")
    data = text.encode()
    return struct.pack(">H", len(data)) + data


def _sized(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data
