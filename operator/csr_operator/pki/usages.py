"""Key usage and extended key usage by name. The names are cert-manager's; dotted OIDs name what has none."""

from collections.abc import Iterable
from types import MappingProxyType

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from csr_operator.pki.errors import PkiError, quoted
from csr_operator.pki.keys import KeyAlgorithm

# Key usage (RFC 5280, 4.2.1.3): the name and cryptography's argument.
KEY_USAGES = MappingProxyType(
    {
        "digital signature": "digital_signature",
        "content commitment": "content_commitment",
        "key encipherment": "key_encipherment",
        "data encipherment": "data_encipherment",
        "key agreement": "key_agreement",
        "cert sign": "key_cert_sign",
        "crl sign": "crl_sign",
        "encipher only": "encipher_only",
        "decipher only": "decipher_only",
    }
)
# Extended key usage (RFC 5280, 4.2.1.12).
EXTENDED_KEY_USAGES = MappingProxyType(
    {
        "any": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
        "server auth": ExtendedKeyUsageOID.SERVER_AUTH,
        "client auth": ExtendedKeyUsageOID.CLIENT_AUTH,
        "code signing": ExtendedKeyUsageOID.CODE_SIGNING,
        "email protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
        "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
        "ocsp signing": ExtendedKeyUsageOID.OCSP_SIGNING,
        "ipsec end system": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.5"),
        "ipsec tunnel": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.6"),
        "ipsec user": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.7"),
        "microsoft sgc": x509.ObjectIdentifier("1.3.6.1.4.1.311.10.3.3"),
        "netscape sgc": x509.ObjectIdentifier("2.16.840.1.113730.4.1"),
    }
)
_SYNONYMS = {"signing": "digital signature", "s/mime": "email protection"}
DEFAULT_USAGES = ("digital signature", "key encipherment")

# What a public key can serve for. RSA: RFC 3279, 2.3.1. ECDSA: RFC 5480, 3, as updated by RFC 8813. Ed25519: RFC 8410,
# 5, as updated by RFC 9295. ML-DSA: RFC 9881.
SIGNING = frozenset({"digital signature", "content commitment", "cert sign", "crl sign"})
POSSIBLE = {
    KeyAlgorithm.RSA: SIGNING | {"key encipherment", "data encipherment"},
    KeyAlgorithm.ECDSA: SIGNING | {"key agreement", "encipher only", "decipher only"},
}


def normalized_usages(usages: Iterable[str]) -> frozenset[str]:
    """The usages without synonyms; PkiError for one that is neither a known name nor a dotted OID."""
    result = set()
    for given in usages:
        usage = _SYNONYMS.get(given, given)
        if usage not in KEY_USAGES and usage not in EXTENDED_KEY_USAGES:
            try:
                usage = extended_name(x509.ObjectIdentifier(usage))
            except ValueError:
                raise PkiError(
                    f"usages: {quoted(usage)} is unknown: use a dotted object identifier or one of"
                    f" {', '.join((*KEY_USAGES, *EXTENDED_KEY_USAGES, *_SYNONYMS))}"
                ) from None
        result.add(usage)
    return frozenset(result)


def usage_names(extension: x509.KeyUsage) -> frozenset[str]:
    """The names of the usages that a key usage extension allows."""
    # cryptography raises on the last two unless key agreement is set.
    names = KEY_USAGES if extension.key_agreement else list(KEY_USAGES)[:-2]
    return frozenset(name for name in names if getattr(extension, KEY_USAGES[name]))


def extended_name(oid: x509.ObjectIdentifier) -> str:
    """The name of an extended key usage, or its dotted OID where it has none."""
    return next((name for name, known in EXTENDED_KEY_USAGES.items() if known == oid), oid.dotted_string)


def extended_oid(usage: str) -> x509.ObjectIdentifier:
    """The OID of an extended key usage given by name or as a dotted OID."""
    return EXTENDED_KEY_USAGES.get(usage) or x509.ObjectIdentifier(usage)
