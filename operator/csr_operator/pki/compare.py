"""How a certificate differs from what was asked for, field by field, in words."""

from collections.abc import Sequence
from enum import StrEnum

from cryptography import x509
from cryptography.x509.oid import ExtensionOID, NameOID

from csr_operator.pki.errors import Added, Missing, quoted
from csr_operator.pki.extensions import alternative_names, extension_of, extensions_of
from csr_operator.pki.keys import KeyAlgorithm
from csr_operator.pki.profile import Profile, profile_extensions, wanted_usages
from csr_operator.pki.usages import extended_name, normalized_usages, usage_names

_KINDS: dict[type[x509.GeneralName], str] = {
    x509.DNSName: "DNS name",
    x509.IPAddress: "IP address",
    x509.UniformResourceIdentifier: "URI",
    x509.RFC822Name: "email address",
    x509.OtherName: "other name",
    x509.DirectoryName: "directory name",
    x509.RegisteredID: "registered ID",
}
_COMPARED = {ExtensionOID.NAME_CONSTRAINTS: "name constraints", ExtensionOID.TLS_FEATURE: "must-staple"}
_ELSEWHERE = {ExtensionOID.KEY_USAGE, ExtensionOID.EXTENDED_KEY_USAGE, ExtensionOID.BASIC_CONSTRAINTS}


class SubjectRule(StrEnum):
    """How far the subject may differ from the one in the request."""

    EXACT = "Exact"  # the same attributes, in any order
    SUBSET = "Subset"  # attributes may be left out, as domain-validating CAs do; none may be changed or added
    CA_DECIDES = "CADecides"  # organization-validating CAs write what they validated


def names(leaf: x509.Certificate, csr: x509.CertificateSigningRequest, rule: SubjectRule) -> list[str]:
    """How the subject and the alternative names differ.

    A common name may come back as an alternative name, and an alternative name as the common name under any rule but
    EXACT, or beside an empty subject.
    """
    subject = csr.subject
    wanted, got = _normalized(csr), _normalized(leaf)
    common_names = {str(attribute.value) for attribute in subject.get_attributes_for_oid(NameOID.COMMON_NAME)}
    missing = [Missing(f"{kind}: {quoted(text)} is missing") for kind, text in wanted if (kind, text) not in got]
    lower = {name.lower() for name in common_names}
    added = [entry for entry in got if entry not in wanted and entry[1] not in lower]
    return [
        *_subject(leaf.subject, subject, common_names | {text for _, text in wanted}, rule),
        *_capped(missing),
        *_capped([Added(f"{kind}: {quoted(text)} was not asked for") for kind, text in added]),
    ]


def _subject(given: x509.Name, wanted: x509.Name, common_names: set[str], rule: SubjectRule) -> list[str]:
    expected, got = dict.fromkeys(wanted), dict.fromkeys(given)
    problems: list[str] = []
    if rule is SubjectRule.EXACT:
        problems += [
            Missing(f"subject: {quoted(attribute.rfc4514_string())} is missing")
            for attribute in expected
            if attribute not in got
        ]
    for attribute in got:
        if attribute in expected:
            continue
        if attribute.oid == NameOID.COMMON_NAME:
            allowed = (rule is not SubjectRule.EXACT or not expected) and attribute.value in common_names
        else:
            allowed = rule is SubjectRule.CA_DECIDES
        if not allowed:
            problems.append(Added(f"subject: {quoted(attribute.rfc4514_string())} was not asked for"))
    return problems


def _normalized(holder: x509.Certificate | x509.CertificateSigningRequest) -> dict[tuple[str, str], None]:
    """The alternative names as kind and text. Host names lose their case, in which a CA may answer as it likes."""
    return dict.fromkeys((_KINDS.get(type(name), "name"), _text(name)) for name in alternative_names(holder))


def _text(name: x509.GeneralName) -> str:
    match name:
        case x509.DNSName():
            return name.value.lower()
        case x509.RFC822Name():
            local, at, domain = name.value.rpartition("@")
            return local + at + domain.lower()
        case x509.OtherName():
            return f"{name.type_id.dotted_string}:{name.value.hex()}"
        case x509.DirectoryName():
            return name.value.rfc4514_string()
        case x509.RegisteredID():
            return name.value.dotted_string
    return str(name.value)


def _capped(sentences: Sequence[str], most: int = 10) -> list[str]:
    rest = len(sentences) - most
    return [*sentences] if rest <= 0 else [*sentences[:most], f"and {rest} more such names"]


def usages(leaf: x509.Certificate, profile: Profile, algorithm: KeyAlgorithm, allowed: frozenset[str]) -> list[str]:
    """How the usages differ; ``allowed`` are those that need not have been asked for."""
    key_usage = extension_of(leaf, x509.KeyUsage)
    extended = extension_of(leaf, x509.ExtendedKeyUsage)
    got = {extended_name(oid) for oid in extended or ()}
    if key_usage is not None:
        got |= usage_names(key_usage)
    if profile.usages:
        wanted = wanted_usages(profile, algorithm)
        allowed |= normalized_usages(profile.usages)  # also what the key cannot do, which some CAs copy
        if profile.is_ca:
            # Ours to add, for convenience; no reason to refuse a CA that adds it or does not.
            wanted -= {"crl sign"} - normalized_usages(profile.usages)
            allowed |= {"crl sign"}
    else:
        # The CA chooses; what it chooses must still serve the purpose.
        wanted = frozenset({"cert sign"} if profile.is_ca else {"digital signature"} if key_usage else ())
        allowed = frozenset(got) if profile.is_ca else frozenset(got) - {"cert sign", "crl sign"}
    missing: list[str] = [Missing(f"usages: {quoted(usage)} is missing") for usage in sorted(wanted - got)]
    return missing + [f"usages: {quoted(usage)} was not asked for" for usage in sorted(got - wanted - allowed)]


def other_extensions(leaf: x509.Certificate, profile: Profile, algorithm: KeyAlgorithm) -> list[str]:
    """How the CA bit, the path length, name constraints, must-staple and custom extensions differ."""
    problems: list[str] = []
    basic = extension_of(leaf, x509.BasicConstraints)
    is_ca = basic is not None and basic.ca
    if is_ca != profile.is_ca:
        added = Added("CA bit: it is a CA certificate, which was not asked for")
        problems.append(added if is_ca else "CA bit: it is not a CA certificate")
    elif basic is not None and profile.path_length is not None and basic.path_length != profile.path_length:
        got = "no limit" if basic.path_length is None else basic.path_length
        problems.append(f"path length: it is {got}, {profile.path_length} was asked for")
    wanted = {value.oid: (value, critical) for value, critical in profile_extensions(profile, algorithm)}
    present = {extension.oid: extension for extension in extensions_of(leaf)}
    for oid, label in _COMPARED.items():
        if oid in present and oid not in wanted:
            problems.append(Added(f"{label}: it was not asked for"))
    for oid, (value, critical) in wanted.items():
        if oid in _ELSEWHERE:
            continue
        label = _COMPARED.get(oid, f"extension {oid.dotted_string}")
        if oid not in present:
            problems.append(Missing(f"{label}: it is missing"))
        elif not _same(present[oid].value, value):
            problems.append(f"{label}: its value is not the one that was asked for")
        elif present[oid].critical != critical and oid not in _COMPARED:
            problems.append(f"{label}: it is {'' if present[oid].critical else 'not '}critical, against the request")
    return problems


def _same(got: x509.ExtensionType, wanted: x509.ExtensionType) -> bool:
    if isinstance(got, x509.NameConstraints) and isinstance(wanted, x509.NameConstraints):
        return all(
            set(subtrees or ()) == set(other or ())
            for subtrees, other in (
                (got.permitted_subtrees, wanted.permitted_subtrees),
                (got.excluded_subtrees, wanted.excluded_subtrees),
            )
        )
    return got.public_bytes() == wanted.public_bytes()
