"""A key pair in the other forms that servers read: PKCS #12 (RFC 7292), JKS, and one PEM file with everything."""

from collections.abc import Sequence
from enum import StrEnum

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    KeySerializationEncryption,
    PrivateFormat,
    pkcs12,
)

from csr_operator.pki import jks
from csr_operator.pki.chain import Chain
from csr_operator.pki.errors import PkiError
from csr_operator.pki.keys import KeyEncoding, PrivateKey, private_key_der, private_key_pem

DEFAULT_ALIAS = "certificate"

MAX_PASSWORD = 256
"""In characters. A keystore's key is derived from the whole of it, thousands of times over."""


class Pkcs12Profile(StrEnum):
    """How a PKCS #12 file is encrypted, named as cert-manager names it.

    Its LegacyRC2 is not among them: 40-bit RC2 is beyond what cryptography writes, and LegacyDES is read by
    all that read LegacyRC2.
    """

    MODERN_2023 = "Modern2023"  # AES-256-CBC, PBKDF2 and MAC with SHA-256; Java 8u301 and OpenSSL 1.1.1 or later
    LEGACY_DES = "LegacyDES"  # 3DES and MAC with SHA-1, for what is older


def pkcs12_keystore(
    chain: Chain,
    key: PrivateKey,
    password: str,
    *,
    alias: str = DEFAULT_ALIAS,
    profile: Pkcs12Profile = Pkcs12Profile.MODERN_2023,
) -> bytes:
    """The key, the certificate and the CAs above it up to the root, as PKCS #12. The alias is the friendlyName.

    PkiError for an empty password, or a key that PKCS #12 files cannot hold (ML-DSA).
    """
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
        raise PkiError("keystores: PKCS #12 cannot hold a key of this algorithm: use RSA, ECDSA or Ed25519")
    above = chain.certificates[1:]
    return pkcs12.serialize_key_and_certificates(
        alias.encode(), key, chain.leaf, above or None, _encryption(profile, password)
    )


def pkcs12_truststore(
    certificates: Sequence[x509.Certificate],
    password: str,
    *,
    profile: Pkcs12Profile = Pkcs12Profile.MODERN_2023,
) -> bytes:
    """CA certificates as a PKCS #12 file that Java takes for a trust store (it needs an attribute of Java's own)."""
    named = [
        pkcs12.PKCS12Certificate(certificate, _trusted_alias(index).encode())
        for index, certificate in enumerate(certificates)
    ]
    if not named:
        raise PkiError("keystores: there is no CA certificate to trust")
    return pkcs12.serialize_java_truststore(named, _encryption(profile, password))


def jks_keystore(chain: Chain, key: PrivateKey, password: str, *, alias: str = DEFAULT_ALIAS) -> bytes:
    """The key with the chain that a server sends, and the root as a trusted entry, as JKS.

    JKS protects keys with SHA-1 alone: it is for programs that read nothing else.
    """
    created = chain.leaf.not_valid_before_utc
    sent = (chain.leaf, *chain.intermediates)
    entries = [jks.key_entry(alias, private_key_der(key), sent, _checked(password), created)]
    if chain.root is not None and chain.root != chain.leaf:
        trusted = _trusted_alias(0) if alias.lower() != _trusted_alias(0) else _trusted_alias(1)
        entries.append(jks.trusted_entry(trusted, chain.root, created))
    return jks.store(entries, password)


def jks_truststore(certificates: Sequence[x509.Certificate], password: str) -> bytes:
    """CA certificates as a JKS trust store."""
    if not certificates:
        raise PkiError("keystores: there is no CA certificate to trust")
    entries = [
        jks.trusted_entry(_trusted_alias(index), certificate, certificate.not_valid_before_utc)
        for index, certificate in enumerate(certificates)
    ]
    return jks.store(entries, _checked(password))


def combined_pem(chain: Chain, key: PrivateKey, encoding: KeyEncoding = KeyEncoding.PKCS8) -> bytes:
    """The private key, then the chain that a server sends, in one PEM file (HAProxy, lighttpd, MongoDB ...)."""
    return private_key_pem(key, encoding) + chain.pem


def password_problem(password: str) -> str:
    """Why no keystore can have this password, in words that do not show it; empty if one can."""
    if not password:
        return "the password is empty"
    if len(password) > MAX_PASSWORD:
        return f"the password is longer than {MAX_PASSWORD} characters: use a shorter one"
    if password.endswith("\n"):
        return (
            "the password ends with a line break, as echo and editors write one: make the Secret from a file without "
            "it, such as printf writes: printf %s PASSWORD > FILE"
        )
    if not password.isascii() or not password.isprintable():
        # Java derives PBES2 keys from printable ASCII alone, so such a keystore could be written but never opened.
        return "the password has characters other than printable ASCII, which Java does not take: use others"
    return ""


def _checked(password: str) -> str:
    """Raises PkiError."""
    if problem := password_problem(password):
        raise PkiError(f"keystores: {problem}")
    return password


def _trusted_alias(index: int) -> str:
    return f"ca-{index}" if index else "ca"


def _encryption(profile: Pkcs12Profile, password: str) -> KeySerializationEncryption:
    builder = PrivateFormat.PKCS12.encryption_builder()
    match profile:
        case Pkcs12Profile.MODERN_2023:
            builder = builder.key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC).hmac_hash(hashes.SHA256())
        case Pkcs12Profile.LEGACY_DES:
            builder = builder.key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC).hmac_hash(hashes.SHA1())  # noqa: S303
    return builder.kdf_rounds(10_000).build(_checked(password).encode())
