"""Name constraints (RFC 5280, 4.2.1.10): asked for in a request, and enforced on a chain."""

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.x509.oid import NameOID

from csr_operator.pki.errors import PkiError, name_text, quoted
from csr_operator.pki.extensions import MAX_NAMES, alternative_names, extension_of
from csr_operator.pki.general_names import email_address, host_name
from csr_operator.pki.networks import Networks
from csr_operator.pki.signatures import folded

_Kind = type[x509.GeneralName]
# In the order of the fields of Subtrees.
_SUBTREE_KINDS = (x509.DNSName, x509.IPAddress, x509.RFC822Name, x509.UniformResourceIdentifier)


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


def constraints_of(extension: x509.NameConstraints, *, critical: bool) -> NameConstraints:
    """The name constraints of an extension; PkiError when one is of a kind that `Subtrees` does not have."""
    return NameConstraints(_names_of(extension.permitted_subtrees), _names_of(extension.excluded_subtrees), critical)


def _names_of(subtrees: Iterable[x509.GeneralName] | None) -> Subtrees:
    texts: dict[_Kind, list[str]] = {kind: [] for kind in _SUBTREE_KINDS}
    for name in subtrees or ():
        if type(name) not in texts:
            raise PkiError("nameConstraints: only DNS names, IP ranges, email addresses and URI hosts are supported")
        texts[type(name)].append(str(name.value))
    return Subtrees(*(tuple(texts[kind]) for kind in _SUBTREE_KINDS))


def constraints_extension(constraints: NameConstraints) -> x509.NameConstraints:
    """The extension for name constraints. PkiError when they name nothing, or what cannot be constrained."""
    permitted, excluded = _subtrees(constraints.permitted), _subtrees(constraints.excluded)
    if not permitted and not excluded:
        raise PkiError("nameConstraints: nothing is permitted or excluded")
    return x509.NameConstraints(permitted or None, excluded or None)


def _subtrees(subtrees: Subtrees) -> list[x509.GeneralName]:
    result: list[x509.GeneralName] = [x509.DNSName(_domain(value, dot=False)) for value in subtrees.dns_domains]
    for value in subtrees.ip_ranges:
        try:
            result.append(x509.IPAddress(ipaddress.ip_network(value)))
        except ValueError:
            raise PkiError(
                f"nameConstraints: {quoted(value)} is not an IP range in CIDR notation{_range_remedy(value)}"
            ) from None
    for value in subtrees.email_addresses:
        mailbox = email_address(value, "nameConstraints") if "@" in value else _domain(value)
        result.append(x509.RFC822Name(mailbox))
    result += (x509.UniformResourceIdentifier(_domain(value)) for value in subtrees.uri_domains)
    return result


def _range_remedy(value: str) -> str:
    try:
        return f": write it as {ipaddress.ip_network(value, strict=False)}, with no bits beyond the prefix"
    except ValueError:
        return ", such as 10.0.0.0/8 or 2001:db8::/32"


def _domain(value: str, *, dot: bool = True) -> str:
    if value.startswith(".") and not dot:
        raise PkiError(f"nameConstraints: {quoted(value)}: leave out the first dot; a domain covers all below it")
    if value.startswith("*"):
        raise PkiError(f"nameConstraints: {quoted(value)}: leave out the wildcard; a domain covers all below it")
    bare = value.removeprefix(".")
    return value[: len(value) - len(bare)] + host_name(bare, "nameConstraints")


MAX_SUBTREES = 1000
"""Name constraints of one certificate."""

MAX_LENGTH = 253
"""Characters of a host name; what is longer is none, and fits into no constraint."""


def check(path: Sequence[x509.Certificate]) -> list[str]:
    """What names of a path (leaf first) the CAs above do not allow, in words.

    The work grows with the number of names, not with that of names times constraints. PkiError when there are too many
    of either to look at.
    """
    problems: list[str] = []
    limits = [_limits_of(ca) if index else None for index, ca in enumerate(path)]
    if not any(limits):
        return []
    names = [_names(certificate) for certificate in path]
    if sum(map(len, names)) > 2 * MAX_NAMES:
        raise PkiError(f"chain: its certificates have more than {2 * MAX_NAMES} names together")
    for index, limit in enumerate(limits):
        if limit is None:
            continue
        for position, certificate in enumerate(path[:index]):
            # Self-issued CA certificates are exempt (RFC 5280, 6.1.3 b); the leaf never is.
            if position and certificate.subject == certificate.issuer:
                continue
            for kind, value in names[position]:
                if limit.allow(kind, value):
                    continue
                if len(problems) == _SHOWN:
                    return [*problems, "name constraints: and more names are not allowed"]
                text = value.rfc4514_string() if isinstance(value, x509.Name) else str(value)
                problems.append(f"name constraints: {name_text(path[index].subject)} does not allow {quoted(text)}")
    return problems


_SHOWN = 10
"""So many names are told of."""


def _names(certificate: x509.Certificate) -> list[tuple[_Kind, Any]]:
    names: list[tuple[_Kind, Any]] = [(type(name), name.value) for name in alternative_names(certificate)]
    subject = certificate.subject
    if subject.rdns:
        names.append((x509.DirectoryName, subject))
    if not any(kind is x509.RFC822Name for kind, _ in names):
        names += (
            (x509.RFC822Name, str(attribute.value))
            for attribute in subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS)
        )
    return names


class _Limits:
    """The constraints of one CA, sorted by kind once."""

    def __init__(self, extension: x509.NameConstraints) -> None:
        permitted, excluded = tuple(extension.permitted_subtrees or ()), tuple(extension.excluded_subtrees or ())
        self._permitted, self._excluded = _by_kind(permitted), _by_kind(excluded)

    def allow(self, kind: _Kind, value: Any) -> bool:
        permitted, excluded = self._permitted.get(kind), self._excluded.get(kind)
        if permitted is None and excluded is None:
            return True
        if kind not in _MATCHERS:
            return False  # a constraint that cannot be processed (RFC 5280, 4.2.1.10: reject the certificate)
        if permitted is not None and not permitted.match(value, excluding=False):
            return False
        return excluded is None or not excluded.match(value, excluding=True)


def _limits_of(ca: x509.Certificate) -> _Limits | None:
    extension = extension_of(ca, x509.NameConstraints)
    if extension is None:
        return None
    if len(extension.permitted_subtrees or ()) + len(extension.excluded_subtrees or ()) > MAX_SUBTREES:
        raise PkiError(f"name constraints: {name_text(ca.subject)} has more than {MAX_SUBTREES} of them")
    return _Limits(extension)


def _by_kind(subtrees: Iterable[x509.GeneralName]) -> dict[_Kind, "_Matcher"]:
    values: dict[_Kind, list[Any]] = {}
    for subtree in subtrees:
        values.setdefault(type(subtree), []).append(subtree.value)
    return {kind: _MATCHERS.get(kind, _Nothing)(limits) for kind, limits in values.items()}


class _Matcher(Protocol):
    """Whether one of the constraints of a kind covers a name. excluding: in doubt, it does."""

    def __init__(self, limits: Iterable[Any]) -> None: ...
    def match(self, value: Any, *, excluding: bool) -> bool: ...


class _Nothing:
    """Constraints of a kind that is not understood."""

    def __init__(self, limits: Iterable[Any]) -> None:
        pass

    def match(self, value: Any, *, excluding: bool) -> bool:
        return excluding


class _Dns:
    """Names that cover themselves and all below; with a first dot, all below alone."""

    def __init__(self, limits: Iterable[str]) -> None:
        self._limits = frozenset(limit.lower() for limit in limits)
        self._parents = frozenset(limit.partition(".")[2] for limit in self._limits)

    def match(self, value: str, *, excluding: bool) -> bool:
        if len(value) > MAX_LENGTH:
            return excluding
        given = value.lower()
        if excluding and given.startswith("*.") and given[2:] in self._parents:
            return True  # the wildcard would cover the excluded name
        if "" in self._limits or given in self._limits:
            return True
        return any(given[at:] in self._limits or given[at + 1 :] in self._limits for at in _dots(given))


class _Hosts:
    """Hosts, and with a first dot all below a domain."""

    def __init__(self, limits: Iterable[str]) -> None:
        self._limits = frozenset(limit.lower() for limit in limits)

    def match(self, value: str, *, excluding: bool) -> bool:
        if len(value) > MAX_LENGTH:
            return excluding
        host = value.lower()
        return (host in self._limits and not host.startswith(".")) or any(
            host[at:] in self._limits for at in _dots(host)
        )


class _Email:
    """Mailboxes, and hosts and domains of them."""

    def __init__(self, limits: Iterable[str]) -> None:
        given = tuple(limits)
        parts = (limit.rpartition("@") for limit in given if "@" in limit)
        self._mailboxes = frozenset((local, host.lower()) for local, _, host in parts)
        self._hosts = _Hosts(limit for limit in given if "@" not in limit)

    def match(self, value: str, *, excluding: bool) -> bool:
        local, _, domain = value.rpartition("@")
        return (local, domain.lower()) in self._mailboxes or self._hosts.match(domain, excluding=excluding)


class _Uri:
    """Hosts and domains."""

    def __init__(self, limits: Iterable[str]) -> None:
        self._hosts = _Hosts(limits)

    def match(self, value: str, *, excluding: bool) -> bool:
        try:
            host = urlsplit(value).hostname
        except ValueError:
            host = None
        if not host or ":" in host or host.rpartition(".")[2].isdigit():
            return excluding  # RFC 5280: with no host name, reject the certificate
        return self._hosts.match(host, excluding=excluding)


class _Ip:
    """Networks."""

    def __init__(self, limits: Iterable[Any]) -> None:
        self._networks = Networks(
            network for network in limits if isinstance(network, ipaddress.IPv4Network | ipaddress.IPv6Network)
        )

    def match(self, value: Any, *, excluding: bool) -> bool:
        return value in self._networks


class _Directory:
    """Beginnings of distinguished names."""

    def __init__(self, limits: Iterable[x509.Name]) -> None:
        self._limits = frozenset(map(folded, limits))
        self._lengths = sorted({len(limit) for limit in self._limits})

    def match(self, value: x509.Name, *, excluding: bool) -> bool:
        given = folded(value)
        return any(given[:length] in self._limits for length in self._lengths)


def _dots(name: str) -> Iterator[int]:
    at = name.find(".")
    while at >= 0:
        yield at
        at = name.find(".", at + 1)


_MATCHERS: dict[_Kind, type[_Matcher]] = {
    x509.DNSName: _Dns,
    x509.RFC822Name: _Email,
    x509.UniformResourceIdentifier: _Uri,
    x509.IPAddress: _Ip,
    x509.DirectoryName: _Directory,
}
