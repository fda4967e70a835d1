"""What a certificate is to be good for: its usages and other extensions."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from csr_operator.pki import asn1
from csr_operator.pki.constraints import NameConstraints as NameConstraints
from csr_operator.pki.constraints import Subtrees as Subtrees
from csr_operator.pki.constraints import constraints_extension
from csr_operator.pki.errors import PkiError, quoted
from csr_operator.pki.keys import KeyAlgorithm
from csr_operator.pki.usages import DEFAULT_USAGES, KEY_USAGES, POSSIBLE, SIGNING, extended_oid, normalized_usages

RESERVED = {
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME: "give the names in dnsNames, ipAddresses, uris ...",
    ExtensionOID.KEY_USAGE: "use usages",
    ExtensionOID.EXTENDED_KEY_USAGE: "use usages",
    ExtensionOID.BASIC_CONSTRAINTS: "use isCA",
    ExtensionOID.NAME_CONSTRAINTS: "use nameConstraints",
    ExtensionOID.TLS_FEATURE: "use mustStaple",
    ExtensionOID.SUBJECT_KEY_IDENTIFIER: "the CA writes it",
    ExtensionOID.AUTHORITY_KEY_IDENTIFIER: "the CA writes it",
}
"""Extensions that have a field of their own, or that only the CA can write, and what to do instead."""


_MOST_DEPTH = 255


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
            raise PkiError(f"extensions: {quoted(self.oid)} is not a dotted object identifier") from None
        if oid in RESERVED:
            raise PkiError(f"extensions: {self.oid} cannot be set here: {RESERVED[oid]}")
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
        if self.path_length is not None and self.path_length not in range(_MOST_DEPTH + 1):
            raise PkiError(f"a path length is 0 to {_MOST_DEPTH}, or left out")
        if usages & {"encipher only", "decipher only"} and "key agreement" not in usages:
            raise PkiError('usages: "encipher only" and "decipher only" need "key agreement" (RFC 5280, 4.2.1.3)')
        if len({extension.oid for extension in self.extensions}) < len(self.extensions):
            raise PkiError("extensions: the same object identifier is there twice")


@lru_cache(maxsize=256)
def wanted_usages(profile: Profile, algorithm: KeyAlgorithm) -> frozenset[str]:
    """The usages that a certificate of this profile shall carry, for a key of this algorithm.

    What the key cannot do is left out without a word, because "key encipherment" stands in almost every
    request, also in those for ECDSA keys, where it means nothing. A CA always gets "cert sign" and "crl
    sign"; its default is without "key encipherment". PkiError when nothing that was asked for is possible.
    """
    requested = normalized_usages(profile.usages or DEFAULT_USAGES)
    if profile.is_ca:
        requested = (requested if profile.usages else frozenset({"digital signature"})) | {"cert sign", "crl sign"}
    possible = POSSIBLE.get(algorithm, SIGNING)
    wanted = frozenset(usage for usage in requested if usage in possible or usage not in KEY_USAGES)
    if not wanted:
        able = [f", or privateKey.algorithm: {other}" for other, usages in POSSIBLE.items() if requested & usages]
        raise PkiError(
            f"usages: an {algorithm} key cannot be used for {' or '.join(sorted(requested))}: ask for digital signature"
            + "".join(able)
        )
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
    requested = dict.fromkeys(name for usage in profile.usages for name in normalized_usages((usage,)))
    if extended := [extended_oid(usage) for usage in requested if usage not in KEY_USAGES]:
        # A time stamping authority's must be critical and alone (RFC 3161, 2.3).
        result.append((x509.ExtendedKeyUsage(extended), extended == [ExtendedKeyUsageOID.TIME_STAMPING]))
    if profile.is_ca:
        result.append((x509.BasicConstraints(ca=True, path_length=profile.path_length), True))
    if profile.name_constraints is not None:
        result.append((constraints_extension(profile.name_constraints), profile.name_constraints.critical))
    if profile.must_staple:
        result.append((x509.TLSFeature([x509.TLSFeatureType.status_request]), False))
    for custom in profile.extensions:
        oid = x509.ObjectIdentifier(custom.oid)
        result.append((x509.UnrecognizedExtension(oid, custom.value), custom.critical))
    return tuple(result)
