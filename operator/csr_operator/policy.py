"""What an issuer's owner lets be asked of it (`spec.policy`): pure, and answered before any CA is.

A policy has rules. A rule is about the namespaces it names; the first rule about a request's namespace that permits
all of the request lets it pass. Where no rule is about the namespace, `default` decides.

Names are compared in the form that a certificate has them in: what looks different and is the same counts as the same,
and what no certificate can have is never allowed.
"""

import ipaddress
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import islice
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.x509.oid import NameOID

from .pki import general_names
from .pki.errors import PkiError, quoted
from .pki.keys import KeyAlgorithm, KeyParameters
from .pki.networks import Networks

_SHOWN = 3
"""So many rules, and so many reasons of each, are told: with thousands of names there may be as many."""

SUBJECT_FIELDS = {
    "countries": NameOID.COUNTRY_NAME,
    "organizations": NameOID.ORGANIZATION_NAME,
    "organizationalUnits": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "localities": NameOID.LOCALITY_NAME,
    "provinces": NameOID.STATE_OR_PROVINCE_NAME,
    "streetAddresses": NameOID.STREET_ADDRESS,
    "postalCodes": NameOID.POSTAL_CODE,
    "serialNumbers": NameOID.SERIAL_NUMBER,
}
"""The attributes of a subject that a rule lists in a field of its own, by that field."""
_FIELD_OF = {oid.dotted_string: field for field, oid in SUBJECT_FIELDS.items()}

_LARGEST_RSA = 4096
"""In bits. A larger key takes seconds to minutes of a CPU to make, and so is for whom a rule names."""


class Default(StrEnum):
    ALLOW = "Allow"
    DENY = "Deny"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One of a label selector's `matchExpressions` (https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/)."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case "In":
                return value in self.values
            case "NotIn":
                return value not in self.values
            case "Exists":
                return value is not None
            case _:
                return value is None


@dataclass(frozen=True, slots=True)
class Namespaces:
    """Those by name, and those whose labels fulfil all of `selector`; with neither, all."""

    names: tuple[str, ...] = ()
    selector: tuple[Requirement, ...] = ()

    def include(self, name: str, labels: Mapping[str, str]) -> bool:
        if not self.names and not self.selector:
            return True
        return name in self.names or (bool(self.selector) and all(r.matches(labels) for r in self.selector))


@dataclass(frozen=True, slots=True)
class AllowedNames:
    """Which names of one kind may be asked for, each as the kind's `canonical_...` function returns it.

    exact: as they stand. suffixes: a name (of an e-mail address or a URI: its host) that equals one, or ends with a dot
    and one. wildcards: `*.example.com` may be asked for where example.com may.
    """

    exact: frozenset[str] = frozenset()
    suffixes: tuple[str, ...] = ()
    wildcards: bool = False


@dataclass(frozen=True, slots=True)
class AllowedKey:
    """sizes in bits, each None for any."""

    algorithm: KeyAlgorithm
    minimum_size: int | None = None
    maximum_size: int | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """What is None, or empty for `keys` and `usages`, is not restricted. What is False, or empty for `extensions`, may
    not be asked for.

    A common name goes by `common_names`; without them, where there are `dns_names`, it has to be one of the alternative
    names, for much software still takes it for the name of a host.
    attributes: what the subject may hold besides common names and e-mail addresses, as dotted OID and value (see
    `canonical_attribute`). None: nothing else where the rule restricts names, and anything where it does not.
    usages: normalized (`pki.usages`). extensions: dotted OIDs of custom ones. An RSA key beyond 4,096 bits is for whom
    one of `keys` says so by its sizes.
    """

    name: str = ""
    namespaces: Namespaces = field(default_factory=Namespaces)
    common_names: AllowedNames | None = None
    dns_names: AllowedNames | None = None
    networks: tuple[str, ...] | None = None
    uris: AllowedNames | None = None
    email_addresses: AllowedNames | None = None
    other_names: bool = False
    attributes: frozenset[tuple[str, str]] | None = None
    keys: tuple[AllowedKey, ...] = ()
    maximum_duration: timedelta | None = None
    is_ca: bool = False
    usages: frozenset[str] = frozenset()
    extensions: frozenset[str] = frozenset()

    @property
    def allowed_attributes(self) -> frozenset[tuple[str, str]] | None:
        """None for any."""
        names = (self.common_names, self.dns_names, self.networks, self.uris, self.email_addresses)
        if self.attributes is None and any(restricted is not None for restricted in names):
            return frozenset()
        return self.attributes


@dataclass(frozen=True, slots=True)
class Policy:
    default: Default = Default.ALLOW
    rules: tuple[Rule, ...] = ()

    @property
    def needs_labels(self) -> bool:
        """The labels of the request's namespace have to be known."""
        return any(rule.namespaces.selector for rule in self.rules)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for, as far as a policy is about it. Names are as the `canonical_...` functions return them.

    email_addresses: also those in the subject. other_names: how many. attributes: what else is in the subject, as
    dotted OID and value. malformed: the field of each name that no certificate can have, and what is wrong with it.
    usages: normalized. key: normalized; None if it is not known yet.
    """

    common_names: tuple[str, ...]
    dns_names: tuple[str, ...]
    ip_addresses: tuple[str, ...]
    uris: tuple[str, ...]
    email_addresses: tuple[str, ...]
    other_names: int
    attributes: tuple[tuple[str, str], ...]
    malformed: tuple[tuple[str, str], ...]
    key: KeyParameters | None
    duration: timedelta
    is_ca: bool
    usages: frozenset[str]
    extensions: frozenset[str]


def violations(policy: Policy | None, asked: Asked, namespace: str, labels: Mapping[str, str]) -> tuple[str, ...]:
    """Why the policy denies what is asked, in words that name the rule; empty if it permits it.

    policy: None if the issuer has none, which denies little. The last answers are kept: where a request is large, they
    are worked out in a thread before they are needed.
    """
    return _violations(policy, asked, namespace, frozenset(labels.items()))


def key_violations(key: KeyParameters | None) -> tuple[str, ...]:
    """What `violations` says where there is no policy, when the key is all that may be denied; None if it is not known.

    However many names are asked for, none of them has to be looked at.
    """
    return tuple(_key_against((), key))


@lru_cache(maxsize=512)
def _violations(
    policy: Policy | None, asked: Asked, namespace: str, label_items: frozenset[tuple[str, str]]
) -> tuple[str, ...]:
    labels = dict(label_items)
    denials: list[str] = []
    applicable = [
        (number, rule)
        for number, rule in enumerate(policy.rules if policy is not None else ())
        if rule.namespaces.include(namespace, labels)
    ]
    if not applicable:
        if policy is None or policy.default is Default.ALLOW:
            return key_violations(asked.key)
        return (f"policy.default is Deny, and no rule is about namespace {namespace}",)
    for number, rule in applicable:
        # Of a rule that is only counted, it need not be known how often it is broken.
        reasons = list(islice(_against(rule, asked), None if len(denials) < _SHOWN else 1))
        if not reasons:
            return ()
        name = f"rule {rule.name}" if rule.name else f"policy.rules[{number}]"
        denials.append(f"{name}: {_capped(reasons)}")
    return tuple(denials[:_SHOWN]) + ((f"and {len(denials) - _SHOWN} more rules",) if len(denials) > _SHOWN else ())


def canonical_dns_name(name: str) -> str:
    """The dNSName that a certificate has for it. Raises PkiError for what is none."""
    return general_names.dns_name(name)


def canonical_common_name(name: str) -> str:
    """A host name like a dNSName, an IP address like an iPAddress, all else as it stands: it is signed as it is."""
    if not name.isascii():
        return name
    if _is(general_names.ip_address, name):
        return str(general_names.ip_address(name))
    return general_names.dns_name(name) if _is(general_names.dns_name, name) else name


def canonical_uri(uri: str) -> str:
    """The uniformResourceIdentifier for it, scheme and host in lower case (RFC 3986, 6.2.2.1). Raises PkiError."""
    scheme, _, rest = general_names.uri(uri).partition(":")
    if not rest.startswith("//"):
        return f"{scheme.lower()}:{rest}"
    end = min((at for at in (rest.find(c, 2) for c in "/?#") if at >= 0), default=len(rest))
    user, at, host = rest[2:end].rpartition("@")
    return f"{scheme.lower()}://{user}{at}{host.lower()}{rest[end:]}"


def canonical_email_address(address: str) -> str:
    """The rfc822Name for it. Raises PkiError for what is none, and for a quoted local part."""
    return general_names.email_address(address)


def canonical_attribute(oid: x509.ObjectIdentifier, value: str) -> str:
    """The value of a subject's attribute: a country in capitals (ISO 3166-1), any other as it stands."""
    return value.upper() if oid == NameOID.COUNTRY_NAME else value


def canonical_suffix(suffix: str, field: str) -> str:
    """Raises PkiError, which names `field`, for what is no host name."""
    return general_names.host_name(suffix, field)


def _against(rule: Rule, asked: Asked) -> Iterator[str]:
    yield from _common_names(rule, asked)
    restricted = {
        "dnsNames": rule.dns_names,
        "ipAddresses": rule.networks,
        "uris": rule.uris,
        "emailAddresses": rule.email_addresses,
    }
    yield from (why for kind, why in asked.malformed if restricted[kind] is not None)
    if rule.dns_names is not None:
        yield from _names("dnsNames", asked.dns_names, rule.dns_names, _dns_host)
    if rule.networks is not None:
        yield from _addresses("ipAddresses", asked.ip_addresses, rule.networks)
    if rule.uris is not None:
        yield from _names("uris", asked.uris, rule.uris, _uri_host)
    if rule.email_addresses is not None:
        yield from _names("emailAddresses", asked.email_addresses, rule.email_addresses, _email_host)
    if asked.other_names and not rule.other_names:
        yield "otherNames: names of other kinds are not allowed"
    if (attributes := rule.allowed_attributes) is not None:
        yield from (_attribute(oid, value) for oid, value in asked.attributes if (oid, value) not in attributes)
    yield from _key_against(rule.keys, asked.key)
    if rule.maximum_duration is not None and asked.duration > rule.maximum_duration:
        yield f"duration: {_hours(asked.duration)} is more than {_hours(rule.maximum_duration)}"
    if asked.is_ca and not rule.is_ca:
        yield "isCA: a CA certificate is not allowed"
    if rule.usages:
        yield from (f'usages: "{usage}" is not allowed' for usage in sorted(asked.usages - rule.usages))
    yield from (f"extensions: {oid} is not allowed" for oid in sorted(asked.extensions - rule.extensions))


def _common_names(rule: Rule, asked: Asked) -> Iterator[str]:
    if rule.common_names is not None:
        yield from _names("commonName", asked.common_names, rule.common_names, _dns_host)
        return
    for name in asked.common_names:
        is_address = _is(general_names.ip_address, name)
        if is_address and rule.networks is not None:
            yield from _addresses("commonName", (name,), rule.networks)
        elif rule.networks is not None and _is_like_an_address(name):
            yield f"commonName: {quoted(name)} may be taken for an IP address: write it as one, in ipAddresses too"
            continue
        if rule.dns_names is None:
            continue
        # What says no more than the alternative names do is allowed by the rules of those. All else might be matched
        # with a host by somebody, also what no dNSName can be, such as w*.example.com or my_host.
        if name not in (asked.ip_addresses if is_address else asked.dns_names):
            where = "ipAddresses" if is_address else "dnsNames"
            yield (
                f"commonName: {quoted(name)} is not among the {where} asked for: list it there too, or have the rule's "
                "commonNames allow it"
            )


_NUMBERS = re.compile(r"(0x[\da-f]+|\d+)(\.(0x[\da-f]+|\d+))*\.?")


def _is_like_an_address(name: str) -> bool:
    """Some readers take it for one: inet_aton (3) reads numbers in octal and hexadecimal, and fewer than four."""
    text = unicodedata.normalize("NFKC", name).strip().strip("[]").lower()
    return _NUMBERS.fullmatch(text) is not None or (":" in text and re.fullmatch(r"[\da-f:.]+", text) is not None)


def _attribute(oid: str, value: str) -> str:
    field = f"subject.{_FIELD_OF[oid]}" if oid in _FIELD_OF else f"subject: attribute {oid}"
    return f"{field}: {quoted(value)} is not allowed"


def _names(kind: str, names: Iterable[str], allowed: AllowedNames, host_of: Callable[[str], str]) -> Iterator[str]:
    below = tuple(f".{suffix}" for suffix in allowed.suffixes)
    for name in names:
        if name in allowed.exact:
            continue
        host = host_of(name)
        wildcard = host.startswith("*.")
        if wildcard and not allowed.wildcards:
            yield f"{kind}: {quoted(name)} is a wildcard, which is not allowed"
            continue
        bare = host.removeprefix("*.")
        if wildcard and bare in allowed.exact:
            continue
        if bare not in allowed.suffixes and not bare.endswith(below):
            yield f"{kind}: {quoted(name)} is not allowed"


@lru_cache(maxsize=512)
def _networks(texts: tuple[str, ...]) -> Networks:
    return Networks(ipaddress.ip_network(text, strict=False) for text in texts)


def _addresses(kind: str, addresses: Iterable[str], allowed: tuple[str, ...]) -> Iterator[str]:
    networks = _networks(allowed)
    for given in addresses:
        address = general_names.ip_address(given)
        # An IPv4 address written as an IPv6 one reaches the same host.
        plain = getattr(address, "ipv4_mapped", None) or address
        if plain not in networks:
            yield f"{kind}: {given} is not allowed"


def _key_against(allowed: tuple[AllowedKey, ...], key: KeyParameters | None) -> Iterator[str]:
    """No `allowed` at all is any key of an ordinary size."""
    if key is None:
        return
    if allowed and not any(_key_fits(one, key) for one in allowed):
        yield f"privateKey: {_key(key)} is not allowed"
    elif key.algorithm is KeyAlgorithm.RSA and (size := key.normalized().size or 0) > _LARGEST_RSA:
        named = (max(one.minimum_size or 0, one.maximum_size or 0) for one in allowed if _key_fits(one, key))
        if not any(largest > _LARGEST_RSA for largest in named):
            yield (
                f"privateKey.size: {_key(key)} is beyond {_LARGEST_RSA} bits: take a smaller one, or have a rule of "
                f"the issuer's policy allow it by keys: [{{algorithm: RSA, maxSize: {size}}}]"
            )


def _key_fits(allowed: AllowedKey, key: KeyParameters) -> bool:
    if allowed.algorithm is not key.algorithm:
        return False
    size = key.normalized().size
    return size is None or (
        (allowed.minimum_size is None or size >= allowed.minimum_size)
        and (allowed.maximum_size is None or size <= allowed.maximum_size)
    )


def _key(key: KeyParameters) -> str:
    size = key.normalized().size
    return f"{key.algorithm.value} {size}" if size else key.algorithm.value


def _hours(time: timedelta) -> str:
    return f"{time / timedelta(hours=1):.6g}h"


def _capped(reasons: list[str]) -> str:
    more = len(reasons) - _SHOWN
    return "; ".join(reasons[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")


def _is(reader: Callable[[str], object], text: str) -> bool:
    try:
        reader(text)
    except PkiError:
        return False
    return True


def _dns_host(name: str) -> str:
    return name if _is(general_names.dns_name, name) else ""


def _uri_host(uri: str) -> str:
    """Empty for an IP address, which has no suffixes, and where there is none."""
    parts = urlsplit(uri)
    literal = parts.netloc.rpartition("@")[2].startswith("[")  # RFC 3986, 3.2.2: of IPv6, or of a version to come
    host = "" if literal else parts.hostname or ""
    return "" if _is(general_names.ip_address, host) else host


def _email_host(address: str) -> str:
    return address.rpartition("@")[2]
