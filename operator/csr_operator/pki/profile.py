"""What a certificate is to be good for: its usages and other extensions."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from csr_operator.pki import asn1
from csr_operator.pki.errors import PkiError, quoted
from csr_operator.pki.general_names import email_address, host_name
from csr_operator.pki.keys import KeyAlgorithm

# The names of usages are cert-manager's. Key usage (RFC 5280, 4.2.1.3): the name and cryptography's argument.
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

# What a public key can serve for. RSA: RFC 3279, 2.3.1. ECDSA: RFC 5480, 3, as updated by RFC 8813, 3.
# Ed25519: RFC 8410, 5, as updated by RFC 9295, 3. ML-DSA: RFC 9881, 5.
_SIGNING = frozenset({"digital signature", "content commitment", "cert sign", "crl sign"})
_POSSIBLE = {
    KeyAlgorithm.RSA: _SIGNING | {"key encipherment", "data encipherment"},
    KeyAlgorithm.ECDSA: _SIGNING | {"key agreement", "encipher only", "decipher only"},
}
# Extensions that have a field of their own, or that only the CA can write.
_RESERVED = {
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME: "give the names in dnsNames, ipAddresses, uris ...",
    ExtensionOID.KEY_USAGE: "use usages",
    ExtensionOID.EXTENDED_KEY_USAGE: "use usages",
    ExtensionOID.BASIC_CONSTRAINTS: "use isCA",
    ExtensionOID.NAME_CONSTRAINTS: "use nameConstraints",
    ExtensionOID.TLS_FEATURE: "use mustStaple",
    ExtensionOID.SUBJECT_KEY_IDENTIFIER: "the CA writes it",
    ExtensionOID.AUTHORITY_KEY_IDENTIFIER: "the CA writes it",
}


@dataclass(frozen=True, slots=True)
class Subtrees:
    """Names that a CA may or may not certify (RFC 5280, 4.2.1.10).

    ``ip_ranges`` are in CIDR notation. ``email_addresses`` hold mailboxes, hosts (``example.com``) or domains
    (``.example.com``); ``uri_domains`` hosts or domains; ``dns_domains`` names that cover themselves and all
    below.
    """

    dns_domains: tuple[str, ...] = ()
    ip_ranges: tuple[str, ...] = ()
    email_addresses: tuple[str, ...] = ()
    uri_domains: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NameConstraints:
    """The names that a CA certificate permits below it. RFC 5280 wants the extension critical."""

    permitted: Subtrees = field(default_factory=Subtrees)
    excluded: Subtrees = field(default_factory=Subtrees)
    critical: bool = True


@dataclass(frozen=True, slots=True)
class CustomExtension:
    """An extension of the user's own. ``oid`` is dotted, ``value`` the DER inside the OCTET STRING."""

    oid: str
    value: bytes
    critical: bool = False

    def __post_init__(self) -> None:
        try:
            oid = x509.ObjectIdentifier(self.oid)
        except ValueError:
            raise PkiError(f"extensions: {quoted(self.oid)} is no dotted object identifier") from None
        if oid in _RESERVED:
            raise PkiError(f"extensions: {self.oid} cannot be set here: {_RESERVED[oid]}")
        try:
            asn1.decode(self.value)
        except PkiError as error:
            raise PkiError(f"extensions: the value of {self.oid} is {error}") from None


@dataclass(frozen=True, slots=True)
class Profile:
    """What a certificate is asked to be good for.

    ``usages`` are names out of `KEY_USAGES` and `EXTENDED_KEY_USAGES` or dotted OIDs of extended key usages;
    none at all means `DEFAULT_USAGES` where we sign, and whatever the CA puts where another does.
    ``path_length`` is the number of CA certificates that may follow below; None is no limit.
    """

    usages: tuple[str, ...] = ()
    is_ca: bool = False
    path_length: int | None = None
    name_constraints: NameConstraints | None = None
    must_staple: bool = False
    extensions: tuple[CustomExtension, ...] = ()

    def __post_init__(self) -> None:
        usages = normalized_usages(self.usages)
        if not self.is_ca:
            if "cert sign" in usages:
                raise PkiError('usages: "cert sign" is for CAs only (RFC 5280, 4.2.1.9): set isCA')
            if self.path_length is not None:
                raise PkiError("a path length is for CAs only: set isCA")
            if self.name_constraints is not None:
                raise PkiError("nameConstraints are for CAs only (RFC 5280, 4.2.1.10): set isCA")
        if self.path_length is not None and self.path_length < 0:
            raise PkiError("a path length cannot be negative")
        if usages & {"encipher only", "decipher only"} and "key agreement" not in usages:
            raise PkiError('usages: "encipher only" and "decipher only" need "key agreement" (RFC 5280, 4.2.1.3)')
        if len({extension.oid for extension in self.extensions}) < len(self.extensions):
            raise PkiError("extensions: the same object identifier is there twice")


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


@lru_cache(maxsize=256)
def wanted_usages(profile: Profile, algorithm: KeyAlgorithm) -> frozenset[str]:
    """The usages that a certificate of this profile shall carry, for a key of this algorithm.

    What the key cannot do is left out without a word, because "key encipherment" stands in almost every
    request, also in those for ECDSA keys, where it means nothing. A CA always gets "cert sign" and "crl
    sign"; its default is without "key encipherment". PkiError when nothing that was asked for is possible.
    """
    asked = normalized_usages(profile.usages or DEFAULT_USAGES)
    if profile.is_ca:
        asked = (asked if profile.usages else frozenset({"digital signature"})) | {"cert sign", "crl sign"}
    possible = _POSSIBLE.get(algorithm, _SIGNING)
    wanted = frozenset(usage for usage in asked if usage in possible or usage not in KEY_USAGES)
    if not wanted:
        raise PkiError(f"usages: an {algorithm} key can serve for none of {', '.join(sorted(asked))}")
    return wanted


def requested_extensions(
    profile: Profile,
    general_names: Iterable[x509.GeneralName],
    algorithm: KeyAlgorithm,
    *,
    empty_subject: bool = False,
) -> list[tuple[x509.ExtensionType, bool]]:
    """The extensions of a request, each with its criticality.

    The alternative names are critical when the subject is empty (RFC 5280, 4.2.1.6).
    """
    names = tuple(general_names)
    result: list[tuple[x509.ExtensionType, bool]] = []
    if names:
        result.append((x509.SubjectAlternativeName(names), empty_subject))
    return result + list(profile_extensions(profile, algorithm))


@lru_cache(maxsize=256)
def profile_extensions(profile: Profile, algorithm: KeyAlgorithm) -> tuple[tuple[x509.ExtensionType, bool], ...]:
    """The extensions that follow from the profile alone, each with its criticality (as RFC 5280 has it)."""
    result: list[tuple[x509.ExtensionType, bool]] = []
    usages = wanted_usages(profile, algorithm)
    if usages & KEY_USAGES.keys():
        bits = {argument: name in usages for name, argument in KEY_USAGES.items()}
        result.append((x509.KeyUsage(**bits), True))
    # In the order of the request, for the eyes of its reader.
    asked = dict.fromkeys(name for usage in profile.usages for name in normalized_usages((usage,)))
    if extended := [extended_oid(usage) for usage in asked if usage not in KEY_USAGES]:
        # A time stamping authority's must be critical and alone (RFC 3161, 2.3).
        result.append((x509.ExtendedKeyUsage(extended), extended == [ExtendedKeyUsageOID.TIME_STAMPING]))
    if profile.is_ca:
        result.append((x509.BasicConstraints(ca=True, path_length=profile.path_length), True))
    if profile.name_constraints is not None:
        result.append((_name_constraints(profile.name_constraints), profile.name_constraints.critical))
    if profile.must_staple:
        result.append((x509.TLSFeature([x509.TLSFeatureType.status_request]), False))
    for custom in profile.extensions:
        oid = x509.ObjectIdentifier(custom.oid)
        result.append((x509.UnrecognizedExtension(oid, custom.value), custom.critical))
    return tuple(result)


def extended_oid(usage: str) -> x509.ObjectIdentifier:
    """The OID of an extended key usage given by name or as a dotted OID."""
    return EXTENDED_KEY_USAGES.get(usage) or x509.ObjectIdentifier(usage)


def constraints_of(extension: x509.NameConstraints, *, critical: bool) -> NameConstraints:
    """The name constraints of an extension; PkiError when one is of a kind that `Subtrees` does not have."""
    return NameConstraints(_names_of(extension.permitted_subtrees), _names_of(extension.excluded_subtrees), critical)


def _names_of(subtrees: Iterable[x509.GeneralName] | None) -> Subtrees:
    found: dict[type[x509.GeneralName], list[str]] = {kind: [] for kind in _SUBTREE_KINDS}
    for one in subtrees or ():
        if type(one) not in found:
            raise PkiError("nameConstraints: only DNS names, IP ranges, email addresses and URI hosts are supported")
        found[type(one)].append(str(one.value))
    return Subtrees(*(tuple(found[kind]) for kind in _SUBTREE_KINDS))


# In the order of the fields of Subtrees.
_SUBTREE_KINDS = (x509.DNSName, x509.IPAddress, x509.RFC822Name, x509.UniformResourceIdentifier)


def _name_constraints(constraints: NameConstraints) -> x509.NameConstraints:
    permitted, excluded = _subtrees(constraints.permitted), _subtrees(constraints.excluded)
    if not permitted and not excluded:
        raise PkiError("nameConstraints: nothing is permitted or excluded")
    return x509.NameConstraints(permitted or None, excluded or None)


def _subtrees(subtrees: Subtrees) -> list[x509.GeneralName]:
    result: list[x509.GeneralName] = [x509.DNSName(_domain(value, dot=False)) for value in subtrees.dns_domains]
    for value in subtrees.ip_ranges:
        try:
            result.append(x509.IPAddress(ipaddress.ip_network(value)))
        except ValueError as error:
            raise PkiError(f"nameConstraints: {quoted(value)} is no IP range in CIDR notation: {error}") from None
    for value in subtrees.email_addresses:
        mailbox = email_address(value, "nameConstraints") if "@" in value else _domain(value)
        result.append(x509.RFC822Name(mailbox))
    result += (x509.UniformResourceIdentifier(_domain(value)) for value in subtrees.uri_domains)
    return result


def _domain(value: str, *, dot: bool = True) -> str:
    if value.startswith(".") and not dot:
        raise PkiError(f"nameConstraints: {quoted(value)}: leave out the first dot; a domain covers all below it")
    if value.startswith("*"):
        raise PkiError(f"nameConstraints: {quoted(value)}: leave out the wildcard; a domain covers all below it")
    bare = value.removeprefix(".")
    return value[: len(value) - len(bare)] + host_name(bare, "nameConstraints")
