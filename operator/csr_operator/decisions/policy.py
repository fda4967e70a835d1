"""Whether an issuer's policy permits what is asked for: pure, and answered before any CA is.

A policy has rules. A rule is about the namespaces it names; the first rule about a request's namespace that permits
all of the request lets it pass. Where no rule is about the namespace, `default` decides.
"""

import ipaddress
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from itertools import islice
from urllib.parse import urlsplit

from csr_operator.api.policy import FIELD_OF_ATTRIBUTE, AllowedKey, AllowedNames, Default, Policy, Rule, is_name
from csr_operator.pki import general_names
from csr_operator.pki.errors import quoted
from csr_operator.pki.keys import KeyAlgorithm, KeyParameters
from csr_operator.pki.networks import Networks

_SHOWN = 3
"""So many rules, and so many reasons of each, are told: with thousands of names there may be as many."""

_LONGEST_NAME = 63
"""Of a rule, in characters: as its schema has it."""

_LARGEST_RSA = 4096
"""In bits. A larger key takes seconds to minutes of a CPU to make, and so is for whom a rule names."""


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """What a request asks for, as far as a policy is about it.

    Names are as the `canonical_...` functions return them.
    """

    common_names: tuple[str, ...]
    dns_names: tuple[str, ...]
    ip_addresses: tuple[str, ...]
    uris: tuple[str, ...]
    email_addresses: tuple[str, ...]
    """Also those in the subject."""
    other_names: int
    """How many."""
    attributes: tuple[tuple[str, str], ...]
    """What else is in the subject, as dotted OID and value."""
    malformed: tuple[tuple[str, str], ...]
    """The field of each name that no certificate can have, and what is wrong with it."""
    key: KeyParameters | None
    """Normalized; None if it is not known yet."""
    duration: timedelta
    is_ca: bool
    usages: frozenset[str]
    """Normalized."""
    extensions: frozenset[str]
    """Dotted OIDs of custom ones."""


def violations(
    policy: Policy | None, facts: RequestFacts, namespace: str, labels: Mapping[str, str]
) -> tuple[str, ...]:
    """Why the policy denies what is asked, in words that name the rule; empty if it permits it.

    policy: None if the issuer has none, which denies little. The last answers are kept: where a request is large, they
    are worked out in a thread before they are needed.
    """
    return _violations(policy, facts, namespace, frozenset(labels.items()))


def key_violations(key: KeyParameters | None) -> tuple[str, ...]:
    """What `violations` says where there is no policy, when the key is all that may be denied; None if it is not known.

    However many names are asked for, none of them has to be looked at.
    """
    return tuple(_key_against((), key))


@lru_cache(maxsize=512)
def _violations(
    policy: Policy | None, facts: RequestFacts, namespace: str, label_items: frozenset[tuple[str, str]]
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
            return key_violations(facts.key)
        return (f"policy.default is Deny, and no rule is about namespace {namespace}",)
    for number, rule in applicable:
        # Of a rule that is only counted, it need not be known how often it is broken.
        reasons = list(islice(_against(rule, facts), None if len(denials) < _SHOWN else 1))
        if not reasons:
            return ()
        name = f"rule {quoted(rule.name[:_LONGEST_NAME])[1:-1]}" if rule.name else f"policy.rules[{number}]"
        denials.append(f"{name}: {_capped(reasons)}")
    return tuple(denials[:_SHOWN]) + ((f"and {len(denials) - _SHOWN} more rules",) if len(denials) > _SHOWN else ())


def _against(rule: Rule, facts: RequestFacts) -> Iterator[str]:
    yield from _common_names(rule, facts)
    restricted = {
        "dnsNames": rule.dns_names,
        "ipAddresses": rule.networks,
        "uris": rule.uris,
        "emailAddresses": rule.email_addresses,
    }
    yield from (why for kind, why in facts.malformed if restricted[kind] is not None)
    if rule.dns_names is not None:
        yield from _names("dnsNames", facts.dns_names, rule.dns_names, _dns_host)
    if rule.networks is not None:
        yield from _addresses("ipAddresses", facts.ip_addresses, rule.networks)
    if rule.uris is not None:
        yield from _names("uris", facts.uris, rule.uris, _uri_host)
    if rule.email_addresses is not None:
        yield from _names("emailAddresses", facts.email_addresses, rule.email_addresses, _email_host)
    if facts.other_names and not rule.other_names:
        yield "otherNames: names of other kinds are not allowed"
    if (attributes := rule.allowed_attributes) is not None:
        yield from (_attribute(oid, value) for oid, value in facts.attributes if (oid, value) not in attributes)
    yield from _key_against(rule.keys, facts.key)
    if rule.maximum_duration is not None and facts.duration > rule.maximum_duration:
        yield f"duration: {_hours(facts.duration)} is more than {_hours(rule.maximum_duration)}"
    if facts.is_ca and not rule.is_ca:
        yield "isCA: a CA certificate is not allowed"
    if rule.usages:
        yield from (f'usages: "{usage}" is not allowed' for usage in sorted(facts.usages - rule.usages))
    yield from (f"extensions: {oid} is not allowed" for oid in sorted(facts.extensions - rule.extensions))


def _common_names(rule: Rule, facts: RequestFacts) -> Iterator[str]:
    if rule.common_names is not None:
        yield from _names("commonName", facts.common_names, rule.common_names, _dns_host)
        return
    for name in facts.common_names:
        is_address = is_name(general_names.ip_address, name)
        if is_address and rule.networks is not None:
            yield from _addresses("commonName", (name,), rule.networks)
        elif rule.networks is not None and _is_like_an_address(name):
            yield f"commonName: {quoted(name)} may be taken for an IP address: write it as one, in ipAddresses too"
            continue
        if rule.dns_names is None:
            continue
        # What says no more than the alternative names do is allowed by the rules of those. All else might be matched
        # with a host by somebody, also what no dNSName can be, such as w*.example.com or my_host.
        if name not in (facts.ip_addresses if is_address else facts.dns_names):
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
    field = f"subject.{FIELD_OF_ATTRIBUTE[oid]}" if oid in FIELD_OF_ATTRIBUTE else f"subject: attribute {oid}"
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
    if allowed and not any(_key_fits(entry, key) for entry in allowed):
        yield f"privateKey: {_key(key)} is not allowed"
    elif key.algorithm is KeyAlgorithm.RSA and (size := key.normalized().size or 0) > _LARGEST_RSA:
        named = (max(entry.minimum_size or 0, entry.maximum_size or 0) for entry in allowed if _key_fits(entry, key))
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


def _dns_host(name: str) -> str:
    return name if is_name(general_names.dns_name, name) else ""


def _uri_host(uri: str) -> str:
    """Empty for an IP address, which has no suffixes, and where there is none."""
    parts = urlsplit(uri)
    literal = parts.netloc.rpartition("@")[2].startswith("[")  # RFC 3986, 3.2.2: of IPv6, or of a version to come
    host = "" if literal else parts.hostname or ""
    return "" if is_name(general_names.ip_address, host) else host


def _email_host(address: str) -> str:
    return address.rpartition("@")[2]
