"""What an issuer's owner lets be asked of it (`spec.policy`): pure, and answered before any CA is.

A policy has rules. A rule is about the namespaces it names; the first rule about a request's namespace that permits
all of the request lets it pass. Where no rule is about the namespace, `default` decides.
"""

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from .pki.keys import KeyAlgorithm, KeyParameters


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
    """Which names of one kind may be asked for.

    exact: as they stand. suffixes: a name (of an e-mail address or a URI: its host) that equals one, or ends with a dot
    and one. wildcards: `*.example.com` may be asked for where example.com may.
    """

    exact: tuple[str, ...] = ()
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
    """What is None, or empty for `keys` and `usages`, is not restricted. `is_ca` must be set to get a CA."""

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
    usages: tuple[str, ...] = ()


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
    """What a request asks for, as far as a policy is about it."""

    common_names: tuple[str, ...]
    dns_names: tuple[str, ...]
    ip_addresses: tuple[str, ...]
    uris: tuple[str, ...]
    email_addresses: tuple[str, ...]
    other_names: int
    key: KeyParameters
    duration: timedelta
    is_ca: bool
    usages: tuple[str, ...]


def violations(policy: Policy, asked: Asked, namespace: str, labels: Mapping[str, str]) -> tuple[str, ...]:
    """Why the policy denies what is asked, in words that name the rule; empty if it permits it."""
    denials: list[str] = []
    applicable = [
        (number, rule) for number, rule in enumerate(policy.rules) if rule.namespaces.include(namespace, labels)
    ]
    if not applicable:
        if policy.default is Default.ALLOW:
            return ()
        return (f"policy.default is Deny, and no rule is about namespace {namespace}",)
    for number, rule in applicable:
        reasons = tuple(_against(rule, asked))
        if not reasons:
            return ()
        denials.extend(f"rule {rule.name or number}: {reason}" for reason in reasons)
    return tuple(denials)


def _against(rule: Rule, asked: Asked) -> Iterable[str]:
    if rule.common_names is not None:
        yield from _names("commonName", asked.common_names, rule.common_names, _dns_host)
    if rule.dns_names is not None:
        yield from _names("dnsNames", asked.dns_names, rule.dns_names, _dns_host)
    if rule.networks is not None:
        yield from _addresses(asked.ip_addresses, rule.networks)
    if rule.uris is not None:
        yield from _names("uris", asked.uris, rule.uris, _uri_host)
    if rule.email_addresses is not None:
        yield from _names("emailAddresses", asked.email_addresses, rule.email_addresses, _email_host)
    if asked.other_names and not rule.other_names:
        yield "otherNames are not allowed"
    if rule.keys and not any(_key_fits(allowed, asked.key) for allowed in rule.keys):
        yield f"privateKey: {_key(asked.key)} is not allowed"
    if rule.maximum_duration is not None and asked.duration > rule.maximum_duration:
        yield f"duration: {asked.duration} is more than {rule.maximum_duration}"
    if asked.is_ca and not rule.is_ca:
        yield "isCA is not allowed"
    if rule.usages:
        for usage in asked.usages:
            if usage not in rule.usages:
                yield f'usages: "{usage}" is not allowed'


def _names(kind: str, names: Iterable[str], allowed: AllowedNames, host: Callable[[str], str]) -> Iterable[str]:
    for name in names:
        lowered = name.lower()
        if lowered in (e.lower() for e in allowed.exact):
            continue
        wildcard = lowered.startswith("*.")
        if wildcard and not allowed.wildcards:
            yield f"{kind}: {name} is a wildcard, and wildcards are not allowed"
            continue
        bare = host(lowered.removeprefix("*."))
        if wildcard and bare in (e.lower() for e in allowed.exact):
            continue
        if not any(bare == s or bare.endswith(f".{s}") for s in (s.lower().lstrip(".") for s in allowed.suffixes)):
            yield f"{kind}: {name} is not allowed"


def _addresses(addresses: Iterable[str], allowed: Iterable[str]) -> Iterable[str]:
    networks = [ipaddress.ip_network(network, strict=False) for network in allowed]
    for address in addresses:
        parsed = ipaddress.ip_address(address)
        if not any(parsed in network for network in networks if network.version == parsed.version):
            yield f"ipAddresses: {address} is not allowed"


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


def _dns_host(name: str) -> str:
    return name


def _uri_host(uri: str) -> str:
    return uri.split("://", 1)[-1].split("/", 1)[0].rsplit("@", 1)[-1].split(":", 1)[0]


def _email_host(address: str) -> str:
    return address.rsplit("@", 1)[-1]
