"""Name constraints (RFC 5280, 4.2.1.10): asked for in a request, and enforced on a chain."""

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.x509.oid import NameOID

from csr_operator.pki.errors import PkiError, name_text, quoted
from csr_operator.pki.extensions import alternative_names, extension_of
from csr_operator.pki.general_names import email_address, host_name
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
    found: dict[_Kind, list[str]] = {kind: [] for kind in _SUBTREE_KINDS}
    for one in subtrees or ():
        if type(one) not in found:
            raise PkiError("nameConstraints: only DNS names, IP ranges, email addresses and URI hosts are supported")
        found[type(one)].append(str(one.value))
    return Subtrees(*(tuple(found[kind]) for kind in _SUBTREE_KINDS))


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


def check(path: Sequence[x509.Certificate]) -> list[str]:
    """What names of a path (leaf first) the CAs above do not allow, in words."""
    problems = []
    for index, ca in enumerate(path):
        found = extension_of(ca, x509.NameConstraints) if index else None
        if found is None:
            continue
        for position, certificate in enumerate(path[:index]):
            # Self-issued CA certificates are exempt (RFC 5280, 6.1.3 b); the leaf never is.
            if position and certificate.subject == certificate.issuer:
                continue
            for kind, value in _names(certificate):
                if not _allowed(kind, value, found):
                    text = value.rfc4514_string() if isinstance(value, x509.Name) else str(value)
                    problems.append(f"name constraints: {name_text(ca.subject)} does not allow {quoted(text)}")
    return problems


def _names(certificate: x509.Certificate) -> list[tuple[_Kind, Any]]:
    names: list[tuple[_Kind, Any]] = [(type(one), one.value) for one in alternative_names(certificate)]
    subject = certificate.subject
    if subject.rdns:
        names.append((x509.DirectoryName, subject))
    if not any(kind is x509.RFC822Name for kind, _ in names):
        names += ((x509.RFC822Name, str(one.value)) for one in subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS))
    return names


def _allowed(kind: _Kind, value: Any, limits: x509.NameConstraints) -> bool:
    permitted = [one.value for one in limits.permitted_subtrees or () if type(one) is kind]
    excluded = [one.value for one in limits.excluded_subtrees or () if type(one) is kind]
    if not permitted and not excluded:
        return True
    match = _MATCHES.get(kind)
    if match is None:
        return False  # a constraint that cannot be processed (RFC 5280, 4.2.1.10: reject the certificate)
    if permitted and not any(match(value, limit, False) for limit in permitted):
        return False
    return not any(match(value, limit, True) for limit in excluded)


def _dns(given: str, limit: str, excluding: bool) -> bool:
    given, limit = given.lower(), limit.lower()
    if excluding and given.startswith("*.") and limit.partition(".")[2] == given[2:]:
        return True  # the wildcard would cover the excluded name
    if limit.startswith("."):
        return given.endswith(limit)
    return not limit or given == limit or given.endswith("." + limit)


def _email(given: str, limit: str, excluding: bool) -> bool:
    local, _, domain = given.rpartition("@")
    if "@" in limit:
        wanted, _, host = limit.rpartition("@")
        return local == wanted and domain.lower() == host.lower()
    return _host(domain, limit)


def _uri(given: str, limit: str, excluding: bool) -> bool:
    try:
        host = urlsplit(given).hostname
    except ValueError:
        host = None
    if not host or ":" in host or host.rpartition(".")[2].isdigit():
        return excluding  # RFC 5280: with no host name, reject the certificate
    return _host(host, limit)


def _host(host: str, limit: str) -> bool:
    host, limit = host.lower(), limit.lower()
    return host.endswith(limit) if limit.startswith(".") else host == limit


def _ip(given: Any, limit: Any, excluding: bool) -> bool:
    return isinstance(limit, ipaddress.IPv4Network | ipaddress.IPv6Network) and given in limit


def _directory(given: x509.Name, limit: x509.Name, excluding: bool) -> bool:
    return folded(given)[: len(limit.rdns)] == folded(limit)


_MATCHES: dict[_Kind, Callable[[Any, Any, bool], bool]] = {
    x509.DNSName: _dns,
    x509.RFC822Name: _email,
    x509.UniformResourceIdentifier: _uri,
    x509.IPAddress: _ip,
    x509.DirectoryName: _directory,
}
