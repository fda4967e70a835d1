"""Private and public keys: generation, encoding, and which ones are good enough."""

import base64
import hashlib
import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes

from csr_operator.pki import asn1
from csr_operator.pki.errors import PkiError

PrivateKey: TypeAlias = (
    rsa.RSAPrivateKey
    | ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | mldsa.MLDSA44PrivateKey
    | mldsa.MLDSA65PrivateKey
    | mldsa.MLDSA87PrivateKey
)
PublicKey: TypeAlias = (
    rsa.RSAPublicKey
    | ec.EllipticCurvePublicKey
    | ed25519.Ed25519PublicKey
    | mldsa.MLDSA44PublicKey
    | mldsa.MLDSA65PublicKey
    | mldsa.MLDSA87PublicKey
)

# An RSA key of 8192 bits takes 6.5 kB as PEM, an ML-DSA-87 key in its longest form 6.7 kB.
_MAX_PEM_BYTES = 16 * 1024
_BEGIN = re.compile(rb"-----BEGIN ((?:RSA |EC |DSA |ENCRYPTED )?PRIVATE KEY)-----")

_ALGORITHMS = {
    oid: asn1.object_identifier(oid)
    for oid in (
        "1.2.840.113549.1.1.1",  # rsaEncryption
        "1.2.840.10045.2.1",  # id-ecPublicKey; the library takes curves by their names alone
        "1.3.101.112",  # id-Ed25519
        "2.16.840.1.101.3.4.3.17",  # id-ml-dsa-44
        "2.16.840.1.101.3.4.3.18",  # id-ml-dsa-65
        "2.16.840.1.101.3.4.3.19",  # id-ml-dsa-87
    )
}
"""In a SubjectPublicKeyInfo or PKCS #8; others are refused unread, as the library computes with a DSA or DH key to read
it: for minutes, if it is large.
"""

_PSS = "1.2.840.113549.1.1.10"
"""id-RSASSA-PSS (RFC 4055, 3.1): an RSA key that is for these signatures alone.

The library reads it as a plain one and writes it as such, so that certificate and key would not go together any more.
CAs of others may have such a key.
"""


class KeyAlgorithm(StrEnum):
    """The algorithm of a private key, named as cert-manager names it."""

    RSA = "RSA"
    ECDSA = "ECDSA"
    ED25519 = "Ed25519"
    ML_DSA_44 = "ML-DSA-44"
    ML_DSA_65 = "ML-DSA-65"
    ML_DSA_87 = "ML-DSA-87"


class KeyEncoding(StrEnum):
    """How a private key is written.

    ``PKCS1`` is the traditional form: PKCS #1 (RFC 8017) for RSA, SEC 1 (RFC 5915) for ECDSA; the other
    algorithms have no such form and are written as PKCS #8 (RFC 5958), as with ``PKCS8``.
    """

    PKCS1 = "PKCS1"
    PKCS8 = "PKCS8"


_DEFAULT_SIZES = {KeyAlgorithm.RSA: 2048, KeyAlgorithm.ECDSA: 256}
_CURVES: dict[int, ec.EllipticCurve] = {256: ec.SECP256R1(), 384: ec.SECP384R1(), 521: ec.SECP521R1()}
_RSA_SIZES = range(2048, 8192 + 1)


@dataclass(frozen=True, slots=True)
class KeyParameters:
    """What kind of key to make. ``size`` is in bits; None is the default (RSA 2048, ECDSA 256)."""

    algorithm: KeyAlgorithm = KeyAlgorithm.ECDSA
    size: int | None = None

    def __post_init__(self) -> None:
        match self.algorithm:
            case _ if self.size is None:
                pass
            case KeyAlgorithm.RSA if self.size not in _RSA_SIZES:
                raise PkiError(f"RSA keys of {self.size} bits are not accepted: use 2048 to 8192")
            case KeyAlgorithm.ECDSA if self.size not in _CURVES:
                raise PkiError(f"ECDSA keys of {self.size} bits are not accepted: use 256, 384 or 521")
            case KeyAlgorithm.RSA | KeyAlgorithm.ECDSA:
                pass
            case _:
                raise PkiError(f"{self.algorithm} keys have one size only: leave the size out")

    def normalized(self) -> "KeyParameters":
        """The same with the default size filled in: two that ask for the same are then equal."""
        return self if self.size is not None else replace(self, size=_DEFAULT_SIZES.get(self.algorithm))


def generate(parameters: KeyParameters) -> PrivateKey:
    """Make a private key. RSA takes tens to thousands of ms and lets other threads run meanwhile."""
    size = parameters.normalized().size
    match parameters.algorithm:
        case KeyAlgorithm.RSA:
            return rsa.generate_private_key(65537, size or 2048)
        case KeyAlgorithm.ECDSA:
            return ec.generate_private_key(_CURVES[size or 256])
        case KeyAlgorithm.ED25519:
            return ed25519.Ed25519PrivateKey.generate()
        case KeyAlgorithm.ML_DSA_44:
            return mldsa.MLDSA44PrivateKey.generate()
        case KeyAlgorithm.ML_DSA_65:
            return mldsa.MLDSA65PrivateKey.generate()
        case KeyAlgorithm.ML_DSA_87:
            return mldsa.MLDSA87PrivateKey.generate()


def parameters_of(key: PrivateKeyTypes | PublicKeyTypes) -> KeyParameters:
    """The algorithm and size of a key, in normalized form.

    This is also the key policy: PkiError for a key that is not to be used, because of its algorithm, its
    curve (only the NIST curves P-256, P-384 and P-521), its size (RSA below 2048 or above 8192 bits) or an
    RSA public exponent outside 2^16+1 .. 2^256-1 or even (FIPS 186-5, A.1.1).
    """
    match key:
        case ec.EllipticCurvePrivateKey() | ec.EllipticCurvePublicKey():
            size = key.curve.key_size
            if size not in _CURVES or _CURVES[size].name != key.curve.name:
                raise PkiError(f"ECDSA keys on the curve {key.curve.name} are not accepted: use P-256, P-384 or P-521")
            return KeyParameters(KeyAlgorithm.ECDSA, size)
        case rsa.RSAPrivateKey() | rsa.RSAPublicKey():
            public = key.public_key() if isinstance(key, rsa.RSAPrivateKey) else key
            exponent = public.public_numbers().e
            if not 1 << 16 < exponent < 1 << 256 or exponent % 2 == 0:
                raise PkiError("an RSA key with this public exponent is not accepted: use 65537")
            return KeyParameters(KeyAlgorithm.RSA, key.key_size)
        case ed25519.Ed25519PrivateKey() | ed25519.Ed25519PublicKey():
            return KeyParameters(KeyAlgorithm.ED25519)
        case mldsa.MLDSA44PrivateKey() | mldsa.MLDSA44PublicKey():
            return KeyParameters(KeyAlgorithm.ML_DSA_44)
        case mldsa.MLDSA65PrivateKey() | mldsa.MLDSA65PublicKey():
            return KeyParameters(KeyAlgorithm.ML_DSA_65)
        case mldsa.MLDSA87PrivateKey() | mldsa.MLDSA87PublicKey():
            return KeyParameters(KeyAlgorithm.ML_DSA_87)
    raise _not_accepted()


def check_algorithm(holder: x509.Certificate | x509.CertificateSigningRequest) -> None:
    """PkiError if the public key is of an algorithm that `parameters_of` refuses; before anybody reads the key."""
    if not is_pss(holder) and _algorithm_of(holder) not in _ALGORITHMS:
        raise _not_accepted()


def check_own_algorithm(csr: x509.CertificateSigningRequest) -> None:
    """As `check_algorithm`, of the key that a certificate is to be for, or PkiError because of `is_pss`."""
    if is_pss(csr):
        raise _pss()
    check_algorithm(csr)


def is_pss(holder: x509.Certificate | x509.CertificateSigningRequest) -> bool:
    """Whether the public key says that it is for RSASSA-PSS alone. The key that the library reads does not show it."""
    return _algorithm_of(holder) == _PSS


def _algorithm_of(holder: x509.Certificate | x509.CertificateSigningRequest) -> str:
    return holder.public_key_algorithm_oid.dotted_string  # type: ignore[union-attr]  # the types leave it out for requests


def _pss() -> PkiError:
    return PkiError(
        "RSA keys for RSASSA-PSS alone (RFC 4055) are not accepted: make the key as plain RSA, such as with"
        " `openssl genpkey -algorithm RSA`"
    )


def _not_accepted() -> PkiError:
    return PkiError(f"keys of this kind are not accepted: use one of {', '.join(KeyAlgorithm)}")


def signature_hash(key: PrivateKey) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None:
    """The hash to sign with: as strong as the key, or None where the algorithm brings its own."""
    match key:
        case rsa.RSAPrivateKey():
            return (
                hashes.SHA256() if key.key_size < 3072 else hashes.SHA384() if key.key_size < 4096 else hashes.SHA512()
            )
        case ec.EllipticCurvePrivateKey():
            size = key.curve.key_size
            return hashes.SHA256() if size <= 256 else hashes.SHA384() if size <= 384 else hashes.SHA512()
        case _:
            return None


def private_key_pem(key: PrivateKey, encoding: KeyEncoding = KeyEncoding.PKCS8) -> bytes:
    """The private key as unencrypted PEM, ending in a newline."""
    return key.private_bytes(serialization.Encoding.PEM, _private_format(key, encoding), serialization.NoEncryption())


def private_key_der(key: PrivateKey, encoding: KeyEncoding = KeyEncoding.PKCS8) -> bytes:
    """The private key as unencrypted DER."""
    return key.private_bytes(serialization.Encoding.DER, _private_format(key, encoding), serialization.NoEncryption())


def load_private_key(pem: bytes) -> PrivateKey:
    """Read an unencrypted private key, traditional or PKCS #8, that `parameters_of` accepts."""
    if len(pem) > _MAX_PEM_BYTES:
        raise PkiError(f"the private key is larger than {_MAX_PEM_BYTES} bytes")
    label, der = _key_block(pem)
    if label == b"PRIVATE KEY":
        algorithm = _pkcs8_algorithm(der)
        if algorithm == asn1.object_identifier(_PSS):
            raise _pss()
        if algorithm not in _ALGORITHMS.values():
            raise _not_accepted()
    # The library is given what was looked at: it might find another block. The causes are cut off: they could carry a
    # part of the input.
    try:
        only = b"-----BEGIN %b-----\n%b-----END %b-----\n" % (label, base64.encodebytes(der), label)
        key = serialization.load_pem_private_key(only, password=None, unsafe_skip_rsa_key_validation=True)
    except UnsupportedAlgorithm:
        raise PkiError("the private key is of an unsupported algorithm or curve") from None
    except Exception:  # whatever the library stumbles over
        raise PkiError(_NO_KEY) from None
    parameters_of(key)
    if isinstance(key, rsa.RSAPrivateKey):
        _check_numbers(key.private_numbers())
    assert isinstance(key, PrivateKey)
    return key


_NO_KEY = "this is not a private key in PEM form (PKCS #1, SEC 1 or PKCS #8)"


def _key_block(pem: bytes) -> tuple[bytes, bytes]:
    """The label and content of the first private key in a PEM text (RFC 7468)."""
    begin = _BEGIN.search(pem)
    if begin is None:
        raise PkiError(_NO_KEY)
    label = begin[1]
    text, end, _ = pem[begin.end() :].partition(b"-----END " + label + b"-----")
    if label.startswith(b"ENCRYPTED") or b"ENCRYPTED" in text.partition(b"\n\n")[0]:  # as RFC 1421, 4.6.1.1, has it
        raise PkiError("the private key is encrypted: store it without a passphrase")
    if label.startswith(b"DSA"):
        raise _not_accepted()
    try:
        der = base64.b64decode(b"".join(text.split()), validate=True)
    except ValueError:
        der = b""
    if not end or not der:
        raise PkiError(_NO_KEY)
    return label, der


def _pkcs8_algorithm(der: bytes) -> bytes:
    """The content of the OID in the AlgorithmIdentifier of a PrivateKeyInfo (RFC 5958, section 2)."""
    try:
        outer, info = asn1.decode(der)
        version, _, rest = asn1.split(info)
        algorithm, identifier, _ = asn1.split(rest)
        kind, oid, _ = asn1.split(identifier)
    except PkiError:
        raise PkiError(_NO_KEY) from None
    if (outer, version, algorithm, kind) != (asn1.SEQUENCE, asn1.INTEGER, asn1.SEQUENCE, asn1.OBJECT_IDENTIFIER):
        raise PkiError(_NO_KEY)
    return oid


def public_key_der(key: PublicKeyTypes) -> bytes:
    """The public key as a DER SubjectPublicKeyInfo (RFC 5280, 4.1.2.7)."""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def spki_sha256(key: PrivateKey | PublicKey) -> str:
    """The SHA-256 of the public key's SubjectPublicKeyInfo, in lower-case hex; of either half of a key pair."""
    return hashlib.sha256(public_key_der(key.public_key() if isinstance(key, PrivateKey) else key)).hexdigest()


def _check_numbers(key: rsa.RSAPrivateNumbers) -> None:
    """That the parts of an RSA key belong together (RFC 8017, 3.2).

    The library's own check proves p and q to be primes besides: for seconds, and for minutes if the key was made for
    that, while nothing else runs.
    """
    p, q, e = key.p, key.q, key.public_numbers.e
    if not (
        p % 2 == q % 2 == 1 < min(p, q)
        and p * q == key.public_numbers.n
        and key.d * e % (p - 1) == key.d * e % (q - 1) == 1
        and (key.dmp1, key.dmq1) == (key.d % (p - 1), key.d % (q - 1))
        and key.iqmp * q % p == 1
    ):
        raise PkiError("the parts of the RSA key do not belong together")


def _private_format(key: PrivateKey, encoding: KeyEncoding) -> serialization.PrivateFormat:
    if encoding is KeyEncoding.PKCS1 and isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        return serialization.PrivateFormat.TraditionalOpenSSL
    return serialization.PrivateFormat.PKCS8
