"""Whether a CA's answer is what was asked for: nothing is stored before it passed here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from cryptography import x509
from cryptography.x509.oid import ExtensionOID, NameOID

from csr_operator.pki import path
from csr_operator.pki.chain import Chain, spki_of
from csr_operator.pki.errors import Mismatch, PkiError, quoted
from csr_operator.pki.extensions import alternative_names, extension_of, extensions_of
from csr_operator.pki.keys import KeyAlgorithm, parameters_of, public_key_der
from csr_operator.pki.profile import Profile, extended_name, profile_extensions, usage_names, wanted_usages


class SubjectRule(StrEnum):
    """How far the subject may differ from the one in the request."""

    EXACT = "Exact"  # the same attributes, in any order
    SUBSET = "Subset"  # attributes may be left out, as domain-validating CAs do; none may be changed or added
    CA_DECIDES = "CADecides"  # organization-validating CAs write what they validated


# What CAs put into every TLS certificate, by template, whatever the request says.
TLS_USAGES = frozenset({"digital signature", "key encipherment", "key agreement", "server auth", "client auth"})


@dataclass(frozen=True, slots=True)
class Rules:
    """What a CA is free to decide. The default is nothing.

    ``added_usages`` are usages that the certificate may carry without having been asked for (`TLS_USAGES`,
    say). ``clock_skew`` is how far in the future notBefore may lie.
    """

    subject: SubjectRule = SubjectRule.EXACT
    added_usages: frozenset[str] = frozenset()
    clock_skew: timedelta = timedelta(minutes=5)


def verify(
    chain: Chain,
    csr: x509.CertificateSigningRequest,
    profile: Profile,
    *,
    now: datetime,
    not_after_limit: datetime | None = None,
    minimum_lifetime: timedelta = timedelta(0),
    roots: Sequence[x509.Certificate] | None = None,
    rules: Rules = Rules(),
) -> None:
    """Compare a certificate with what was asked for; raise Mismatch, which lists every difference.

    Public key, names and the key's algorithm are compared with ``csr``; usages, the CA bit, name constraints,
    must-staple and custom extensions with ``profile``. With no usages in the profile they are the CA's
    choice, but a key usage extension must then allow digital signatures. With no path length in the profile,
    the CA may set one.

    A common name that the CA repeats among the alternative names counts as asked for, because most CAs do so.

    The certificates of ``chain`` must each be issued by the next, and obey RFC 5280, 6.1 (see `path.check`).
    With ``roots``, one of them must be in the chain or have issued its top; with None, the chain is trusted
    as given.

    The certificate must be valid at ``now`` (with time zone) and for ``minimum_lifetime`` from then;
    ``not_after_limit`` is the latest end that is acceptable. To hold the CA to a duration, pass now +
    duration + what it may round up.
    """
    leaf = chain.leaf
    differences: list[str] = []
    if spki_of(leaf) != public_key_der(csr.public_key()):
        differences.append("public key: the certificate is for another key than the request's")
    # The key's policy is the request's, which load_csr and build_csr enforce; another key was told of above.
    custom = frozenset(x509.ObjectIdentifier(extension.oid) for extension in profile.extensions)
    anchored, missing = path.to_anchor(chain.certificates, roots)
    differences += missing
    differences += path.check(anchored, now=now, known=custom)
    differences += _fields(leaf, now, minimum_lifetime, not_after_limit, rules.clock_skew)
    try:
        extensions_of(leaf)
    except PkiError:
        raise Mismatch(differences) from None  # path.check has told of it, and nothing can be compared
    differences += _subject(leaf.subject, csr, rules.subject)
    differences += _alternative_names(leaf, csr)
    algorithm = parameters_of(csr.public_key()).algorithm
    differences += _usages(leaf, profile, algorithm, rules.added_usages)
    differences += _other_extensions(leaf, profile, algorithm)
    if differences:
        raise Mismatch(differences)


def _fields(
    leaf: x509.Certificate, now: datetime, lifetime: timedelta, limit: datetime | None, skew: timedelta
) -> list[str]:
    start, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    problems = []
    if leaf.version is not x509.Version.v3:
        problems.append(f"version: {leaf.version.name}, v3 is wanted")
    if not 0 < leaf.serial_number < 1 << 160:
        problems.append("serial number: not a positive number of at most 20 octets (RFC 5280, 4.1.2.2)")
    if start > now + skew:
        problems.append(f"validity: it begins only at {_time(start)}")
    if end <= start:
        problems.append(f"validity: it ends at {_time(end)}, before it begins")
    elif end <= now:
        problems.append(f"validity: it ended at {_time(end)}")
    elif end < now + lifetime:
        problems.append(f"validity: it ends at {_time(end)}, less than {lifetime} from now")
    if limit is not None and end > limit:
        problems.append(f"validity: it ends at {_time(end)}, later than the latest allowed, {_time(limit)}")
    return problems


def _subject(given: x509.Name, csr: x509.CertificateSigningRequest, rule: SubjectRule) -> list[str]:
    asked, got = _attributes(csr.subject), _attributes(given)
    names = {_name_text(value) for value in _normal_names(csr)} | {
        value for oid, value in asked if oid == NameOID.COMMON_NAME
    }
    problems = [
        f"subject: {_attribute_text(one)} is missing" for one in asked if one not in got and rule is SubjectRule.EXACT
    ]
    for one in got:
        if one in asked:
            continue
        if one[0] == NameOID.COMMON_NAME:
            if rule is SubjectRule.EXACT or one[1] not in names:
                problems.append(f"subject: {_attribute_text(one)} was not asked for")
        elif rule is not SubjectRule.CA_DECIDES:
            problems.append(f"subject: {_attribute_text(one)} was not asked for")
    return problems


def _attributes(name: x509.Name) -> list[tuple[x509.ObjectIdentifier, str]]:
    return list(dict.fromkeys((attribute.oid, str(attribute.value)) for attribute in name))


def _attribute_text(attribute: tuple[x509.ObjectIdentifier, str]) -> str:
    return quoted(x509.NameAttribute(attribute[0], attribute[1], _validate=False).rfc4514_string())


def _alternative_names(leaf: x509.Certificate, csr: x509.CertificateSigningRequest) -> list[str]:
    asked, got = _normal_names(csr), _normal_names(leaf)
    common = {str(a.value).lower() for a in csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)}
    missing = [f"{_kind(one)}: {quoted(_name_text(one))} is missing" for one in asked if one not in got]
    added = [
        f"{_kind(one)}: {quoted(_name_text(one))} was not asked for"
        for one in got
        if one not in asked and _name_text(one) not in common
    ]
    return _capped(missing) + _capped(added)


def _capped(sentences: list[str], most: int = 10) -> list[str]:
    rest = len(sentences) - most
    return sentences if rest <= 0 else [*sentences[:most], f"and {rest} more such names"]


def _normal_names(holder: x509.Certificate | x509.CertificateSigningRequest) -> dict[x509.GeneralName, None]:
    return dict.fromkeys(_normal(one) for one in alternative_names(holder))


def _normal(name: x509.GeneralName) -> x509.GeneralName:
    # A CA may write a host name in another case.
    if isinstance(name, x509.DNSName):
        return x509.DNSName(name.value.lower())
    if isinstance(name, x509.RFC822Name):
        local, at, domain = name.value.rpartition("@")
        return x509.RFC822Name._init_without_validation(local + at + domain.lower())
    return name


_KINDS = {
    x509.DNSName: "DNS name",
    x509.IPAddress: "IP address",
    x509.UniformResourceIdentifier: "URI",
    x509.RFC822Name: "email address",
    x509.OtherName: "other name",
    x509.DirectoryName: "directory name",
    x509.RegisteredID: "registered ID",
}


def _kind(name: x509.GeneralName) -> str:
    return _KINDS.get(type(name), "name")


def _name_text(name: x509.GeneralName) -> str:
    match name:
        case x509.OtherName():
            return f"{name.type_id.dotted_string}:{name.value.hex()}"
        case x509.DirectoryName():
            return name.value.rfc4514_string()
        case x509.RegisteredID():
            return name.value.dotted_string
    return str(name.value)


def _usages(leaf: x509.Certificate, profile: Profile, algorithm: KeyAlgorithm, allowed: frozenset[str]) -> list[str]:
    key_usage = extension_of(leaf, x509.KeyUsage)
    extended = extension_of(leaf, x509.ExtendedKeyUsage)
    got = {extended_name(oid) for oid in extended or ()}
    if key_usage is not None:
        got |= usage_names(key_usage)
    wanted = wanted_usages(profile, algorithm)
    if not profile.usages:
        # The CA chooses; what it chooses must still serve for a TLS handshake, and for what a CA does.
        wanted = wanted & {"digital signature", "cert sign", "crl sign"}
        allowed = frozenset(got) if profile.is_ca else frozenset(got) - {"cert sign", "crl sign"}
        if key_usage is None:
            wanted = frozenset()
    missing = [f"usages: {quoted(usage)} is missing" for usage in sorted(wanted - got)]
    return missing + [f"usages: {quoted(usage)} was not asked for" for usage in sorted(got - wanted - allowed)]


def _other_extensions(leaf: x509.Certificate, profile: Profile, algorithm: KeyAlgorithm) -> list[str]:
    problems = []
    basic = extension_of(leaf, x509.BasicConstraints)
    is_ca = basic is not None and basic.ca
    if is_ca != profile.is_ca:
        problems.append(
            "CA bit: " + ("it is a CA certificate, which was not asked for" if is_ca else "it is no CA certificate")
        )
    elif basic is not None and profile.path_length is not None and basic.path_length != profile.path_length:
        got = "no limit" if basic.path_length is None else basic.path_length
        problems.append(f"path length: it is {got}, {profile.path_length} was asked for")
    asked = {value.oid: (value, critical) for value, critical in profile_extensions(profile, algorithm)}
    found = {extension.oid: extension for extension in extensions_of(leaf)}
    for oid, label in _COMPARED.items():
        if oid in found and oid not in asked:
            problems.append(f"{label}: it was not asked for")
    for oid, (value, critical) in asked.items():
        if oid in _ELSEWHERE:
            continue
        label = _COMPARED.get(oid, f"extension {oid.dotted_string}")
        if oid not in found:
            problems.append(f"{label}: it is missing")
        elif not _same(found[oid].value, value):
            problems.append(f"{label}: its value is not the one that was asked for")
        elif found[oid].critical != critical and oid not in _COMPARED:
            problems.append(f"{label}: it is {'' if found[oid].critical else 'not '}critical, against the request")
    return problems


_COMPARED = {ExtensionOID.NAME_CONSTRAINTS: "name constraints", ExtensionOID.TLS_FEATURE: "must-staple"}
_ELSEWHERE = {ExtensionOID.KEY_USAGE, ExtensionOID.EXTENDED_KEY_USAGE, ExtensionOID.BASIC_CONSTRAINTS}


def _same(got: x509.ExtensionType, asked: x509.ExtensionType) -> bool:
    if isinstance(got, x509.NameConstraints) and isinstance(asked, x509.NameConstraints):
        return all(
            set(one or ()) == set(other or ())
            for one, other in (
                (got.permitted_subtrees, asked.permitted_subtrees),
                (got.excluded_subtrees, asked.excluded_subtrees),
            )
        )
    return got.public_bytes() == asked.public_bytes()


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
