"""What an issuer's owner lets be asked of it (`spec.policy`): pure, and answered before any CA is.

A policy has rules. A rule is about the namespaces it names; the first rule about a request's namespace that permits
all of the request lets it pass. Where no rule is about the namespace, `default` decides.

Names are compared in the form that a certificate has them in: what looks different and is the same counts as the same,
and what no certificate can have is never allowed.
"""

import ipaddress
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import islice
from urllib.parse import urlsplit

from .pki import general_names
from .pki.errors import PkiError, quoted
from .pki.keys import KeyAlgorithm, KeyParameters
from .pki.networks import Networks

_SHOWN = 3
"""So many rules, and so many reasons of each, are told: with thousands of names there may be as many."""


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
    """What is None, or empty for `keys` and `usages`, is not restricted; a common name that is a host name or an IP
    address is then restricted as one. What is False, or empty for `extensions`, may not be asked for.

    usages: normalized (`pki.usages`). extensions: dotted OIDs of custom ones.
    """

    name: str = ""
    namespaces: Namespaces = field(default_factory=Namespaces)
    common_names: AllowedNames | None = None
    dns_names: AllowedNames | None = None
    networks: tuple[str, ...] | None = None
    uris: AllowedNames | None = None
    email_addresses: AllowedNames | None = None
    other_names: bool = False
    keys: tuple[AllowedKey, ...] = ()
    maximum_duration: timedelta | None = None
    is_ca: bool = False
    usages: frozenset[str] = frozenset()
    extensions: frozenset[str] = frozenset()


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
    """What a request asks for, as far as a policy is about it.

    usages: normalized. other_names: how many. key: None if it is not known yet.
    """

    common_names: tuple[str, ...]
    dns_names: tuple[str, ...]
    ip_addresses: tuple[str, ...]
    uris: tuple[str, ...]
    email_addresses: tuple[str, ...]
    other_names: int
    key: KeyParameters | None
    duration: timedelta
    is_ca: bool
    usages: frozenset[str]
    extensions: frozenset[str]


def violations(policy: Policy, asked: Asked, namespace: str, labels: Mapping[str, str]) -> tuple[str, ...]:
    """Why the policy denies what is asked, in words that name the rule; empty if it permits it.

    The last answers are kept: where a request is large, they are worked out in a thread before they are needed.
    """
    return _violations(policy, asked, namespace, frozenset(labels.items()))


@lru_cache(maxsize=512)
def _violations(
    policy: Policy, asked: Asked, namespace: str, label_items: frozenset[tuple[str, str]]
) -> tuple[str, ...]:
    labels = dict(label_items)
    denials: list[str] = []
    applicable = [
        (number, rule) for number, rule in enumerate(policy.rules) if rule.namespaces.include(namespace, labels)
    ]
    if not applicable:
        if policy.default is Default.ALLOW:
            return ()
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
    """A host name like a dNSName, all else as it stands."""
    try:
        return general_names.dns_name(name)
    except PkiError:
        return name


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


def canonical_suffix(suffix: str, field: str) -> str:
    """Raises PkiError, which names `field`, for what is no host name."""
    return general_names.host_name(suffix, field)


def _against(rule: Rule, asked: Asked) -> Iterator[str]:
    yield from _common_names(rule, asked.common_names)
    if rule.dns_names is not None:
        yield from _names("dnsNames", asked.dns_names, rule.dns_names, canonical_dns_name, _dns_host)
    if rule.networks is not None:
        yield from _addresses("ipAddresses", asked.ip_addresses, rule.networks)
    if rule.uris is not None:
        yield from _names("uris", asked.uris, rule.uris, canonical_uri, _uri_host)
    if rule.email_addresses is not None:
        allowed = rule.email_addresses
        yield from _names("emailAddresses", asked.email_addresses, allowed, canonical_email_address, _email_host)
    if asked.other_names and not rule.other_names:
        yield "otherNames: names of other kinds are not allowed"
    if rule.keys and asked.key is not None and not any(_key_fits(allowed, asked.key) for allowed in rule.keys):
        yield f"privateKey: {_key(asked.key)} is not allowed"
    if rule.maximum_duration is not None and asked.duration > rule.maximum_duration:
        yield f"duration: {_hours(asked.duration)} is more than {_hours(rule.maximum_duration)}"
    if asked.is_ca and not rule.is_ca:
        yield "isCA: a CA certificate is not allowed"
    if rule.usages:
        yield from (f'usages: "{usage}" is not allowed' for usage in sorted(asked.usages - rule.usages))
    yield from (f"extensions: {oid} is not allowed" for oid in sorted(asked.extensions - rule.extensions))


def _common_names(rule: Rule, names: Iterable[str]) -> Iterator[str]:
    if rule.common_names is not None:
        yield from _names("commonName", names, rule.common_names, canonical_common_name, _dns_host)
        return
    # Much software still takes a common name for the name of a host.
    for name in names:
        if _is(general_names.ip_address, name):
            if rule.networks is not None:
                yield from _addresses("commonName", (name,), rule.networks)
        elif rule.dns_names is not None and "." in name and _is(general_names.dns_name, name):
            yield from _names("commonName", (name,), rule.dns_names, canonical_dns_name, _dns_host)


def _names(
    kind: str,
    names: Iterable[str],
    allowed: AllowedNames,
    canonical: Callable[[str], str],
    host_of: Callable[[str], str],
) -> Iterator[str]:
    below = tuple(f".{suffix}" for suffix in allowed.suffixes)
    for given in names:
        name, host, problem = _read(given, canonical, host_of)
        if problem:
            yield problem
            continue
        if name in allowed.exact:
            continue
        wildcard = host.startswith("*.")
        if wildcard and not allowed.wildcards:
            yield f"{kind}: {quoted(given)} is a wildcard, which is not allowed"
            continue
        bare = host.removeprefix("*.")
        if wildcard and bare in allowed.exact:
            continue
        if bare not in allowed.suffixes and not bare.endswith(below):
            yield f"{kind}: {quoted(given)} is not allowed"


@lru_cache(maxsize=16384)
def _read(given: str, canonical: Callable[[str], str], host_of: Callable[[str], str]) -> tuple[str, str, str]:
    """The name in canonical form, its host, and what is wrong with it: once for all rules, as it may take a while."""
    try:
        name = canonical(given)
    except PkiError as error:
        return "", "", str(error)
    return name, host_of(name), ""


@lru_cache(maxsize=512)
def _networks(texts: tuple[str, ...]) -> Networks:
    return Networks(ipaddress.ip_network(text, strict=False) for text in texts)


def _addresses(kind: str, addresses: Iterable[str], allowed: tuple[str, ...]) -> Iterator[str]:
    networks = _networks(allowed)
    for given in addresses:
        try:
            address = general_names.ip_address(given)
        except PkiError as error:
            yield str(error)
            continue
        # An IPv4 address written as an IPv6 one reaches the same host.
        plain = getattr(address, "ipv4_mapped", None) or address
        if plain not in networks:
            yield f"{kind}: {given} is not allowed"


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
