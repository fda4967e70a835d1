"""From the dict of an issuer to `issuer.Issuer`."""

import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from cryptography import x509

from csr_operator.pki.errors import PkiError, quoted
from csr_operator.pki.keys import KeyAlgorithm
from csr_operator.pki.usages import normalized_usages

from .issuer import Issuer, Limits
from .keys import InvalidSpec, Raw, parse_issuer_kind
from .policy import (
    SUBJECT_FIELDS,
    AllowedKey,
    AllowedNames,
    Default,
    Namespaces,
    Policy,
    Requirement,
    Rule,
    canonical_attribute,
    canonical_common_name,
    canonical_dns_name,
    canonical_email_address,
    canonical_suffix,
    canonical_uri,
)
from .reading import (
    T,
    problem_of,
    read_below,
    read_choice,
    read_conditions,
    read_count,
    read_duration,
    read_field,
    read_flag,
    read_list,
    read_mapping,
    read_optional,
    read_pairs,
    read_required,
    read_string,
    read_strings,
)


def parse_issuer(obj: Raw) -> Issuer:
    """A spec that cannot be read does not raise: it is the issuer's `problem`. As for `parse_request`."""
    metadata, spec = obj["metadata"], read_mapping(obj, "spec")
    backends = [name for name in spec if name not in ("policy", "approval", "limits")]
    backend, policy, problem, limits = "", None, "", Limits()
    config: Raw = {}
    needs_approval = spec.get("approval") is not None
    try:
        if len(backends) != 1:
            raise InvalidSpec("spec: name exactly one backend, such as `selfSigned: {}` or `ca: {secretName: ...}`")
        needs_approval = _needs_approval(spec)
        policy = read_field("spec.policy", _policy, spec["policy"]) if "policy" in spec else None
        limits = read_field("spec.limits", _limits, spec["limits"]) if spec.get("limits") is not None else Limits()
        backend, config = read_field(f"spec.{backends[0]}", _backend, backends[0], spec[backends[0]])
        if _depth(config) > _DEEPEST:
            raise InvalidSpec(f"spec.{backends[0]}: nested more than {_DEEPEST} levels deep: make it flatter")
    except Exception as error:
        problem = problem_of(error)
        backend, config = "", {}
    return Issuer(
        kind=parse_issuer_kind(obj["kind"]),
        namespace=metadata.get("namespace", ""),
        name=metadata["name"],
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        generation=read_count(metadata, "generation"),
        backend=backend,
        config=config,
        policy=policy,
        needs_approval=needs_approval,
        limits=limits,
        conditions=read_conditions(read_mapping(obj, "status")),
        problem=problem,
    )


def _backend(name: str, raw: Any) -> tuple[str, Raw]:
    """The name, and the part of the spec that belongs to it."""
    config = {} if raw is None else raw
    if name == "external":
        name, config = config["name"], read_below(config, "config")
    if not isinstance(config, Mapping) or not isinstance(name, str):
        raise TypeError
    return name, config


def _needs_approval(spec: Raw) -> bool:
    match spec.get("approval"):
        case None | "Automatic":
            return False
        case "Manual":
            return True
    raise InvalidSpec("spec.approval: write Manual or Automatic")


def _limits(raw: Raw) -> Limits:
    limits = concurrent, per_minute = raw.get("concurrent"), raw.get("perMinute")
    if not all(limit is None or (type(limit) is int and limit > 0) for limit in limits):
        raise TypeError
    return Limits(Limits().concurrent if concurrent is None else concurrent, per_minute)


def _depth(value: Any) -> int:
    """How deep lists and maps are nested, counted to one more than _DEEPEST."""
    level, depth = [value], 0
    while level and depth <= _DEEPEST:
        depth += 1
        level = [
            child
            for node in level
            if isinstance(node, Mapping | list)
            for child in (node.values() if isinstance(node, Mapping) else node)
        ]
    return depth


_DEEPEST = 32
"""Levels of an issuer's configuration: what reads it may do so by recursion."""


def _policy(raw: Raw) -> Policy:
    return Policy(
        default=Default(read_choice(raw, "default", tuple(Default), "spec.policy")),
        rules=tuple(_rule(rule, f"spec.policy.rules[{number}]") for number, rule in enumerate(read_list(raw, "rules"))),
    )


def _rule(raw: Raw, where: str) -> Rule:
    namespaces = read_below(raw, "namespaces")
    return Rule(
        name=read_string(raw, "name", where),
        namespaces=Namespaces(
            read_strings(namespaces, "names", f"{where}.namespaces"),
            _requirements(read_below(namespaces, "selector"), f"{where}.namespaces.selector"),
        ),
        common_names=_allowed(raw, "commonNames", where, canonical_common_name),
        dns_names=_allowed(raw, "dnsNames", where, canonical_dns_name),
        networks=None if raw.get("ipAddresses") is None else _networks(raw["ipAddresses"], where),
        uris=_allowed(raw, "uris", where, canonical_uri, with_wildcards=False),
        email_addresses=_allowed(raw, "emailAddresses", where, canonical_email_address, with_wildcards=False),
        other_names=read_flag(raw, "otherNames", where),
        attributes=None if raw.get("subject") is None else _attributes(raw["subject"], f"{where}.subject"),
        keys=tuple(
            AllowedKey(KeyAlgorithm(key["algorithm"]), read_optional(key, "minSize"), read_optional(key, "maxSize"))
            for key in read_list(raw, "keys")
        ),
        maximum_duration=read_duration(raw, "maxDuration", where),
        is_ca=read_flag(raw, "isCA", where),
        usages=_normalize(f"{where}.usages", normalized_usages, read_strings(raw, "usages", where)),
        extensions=frozenset(read_strings(raw, "extensions", where)),
    )


def _requirements(selector: Raw, where: str) -> tuple[Requirement, ...]:
    return (
        *(Requirement(key, "In", (value,)) for key, value in read_pairs(read_below(selector, "matchLabels"))),
        *(
            _requirement(raw, f"{where}.matchExpressions[{number}]")
            for number, raw in enumerate(read_list(selector, "matchExpressions"))
        ),
    )


def _requirement(raw: Raw, where: str) -> Requirement:
    read_required(raw, "operator")
    operator = read_choice(raw, "operator", ("In", "NotIn", "Exists", "DoesNotExist"), where)
    return Requirement(read_required(raw, "key"), operator, read_strings(raw, "values", where))


def _allowed(
    rule: Raw, name: str, where: str, canonical: Callable[[str], str], *, with_wildcards: bool = True
) -> AllowedNames | None:
    raw = rule.get(name)
    if raw is None:
        return None
    return AllowedNames(
        exact=_normalize(
            f"{where}.{name}.exact", lambda names: map(canonical, names), read_strings(raw, "exact", f"{where}.{name}")
        ),
        suffixes=tuple(
            canonical_suffix(s, f"{where}.{name}.suffixes") for s in read_strings(raw, "suffixes", f"{where}.{name}")
        ),
        wildcards=with_wildcards and read_flag(raw, "wildcards", f"{where}.{name}"),
    )


def _attributes(subject: Raw, where: str) -> frozenset[tuple[str, str]]:
    """What a rule lets a subject hold, as dotted OID and value."""
    listed = [(oid, read_strings(subject, field, where)) for field, oid in SUBJECT_FIELDS.items()]
    for other in read_list(subject, "others"):
        try:
            listed.append((x509.ObjectIdentifier(other["oid"]), read_strings(other, "values", f"{where}.others[]")))
        except ValueError:
            raise InvalidSpec(f"{where}.others: {quoted(other['oid'])} is not a dotted object identifier") from None
    return frozenset((oid.dotted_string, canonical_attribute(oid, value)) for oid, values in listed for value in values)


def _networks(raw: Raw, where: str) -> tuple[str, ...]:
    networks = read_strings(raw, "networks", f"{where}.ipAddresses")
    for network in networks:
        try:
            ipaddress.ip_interface(network)
        except ValueError:
            text = f"{quoted(network)} is not a network: write it like 10.0.0.0/8 or 2001:db8::/32"
            raise InvalidSpec(f"{where}.ipAddresses.networks: {text}") from None
    return networks


def _normalize(where: str, read: Callable[[Sequence[str]], Iterable[T]], values: Sequence[str]) -> frozenset[T]:
    try:
        return frozenset(read(values))
    except PkiError as error:
        raise InvalidSpec(f"{where}: {error}") from None
