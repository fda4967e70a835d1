"""Name constraints (RFC 5280, 4.2.1.10): which names the CAs of a chain allow below them."""

import ipaddress
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.x509.oid import NameOID

from csr_operator.pki.errors import name_text, quoted
from csr_operator.pki.extensions import alternative_names, extension_of
from csr_operator.pki.signatures import folded


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
            for given in _names(certificate):
                if not _allowed(given, found):
                    problems.append(f"name constraints: {name_text(ca.subject)} does not allow {quoted(_text(given))}")
    return problems


def _names(certificate: x509.Certificate) -> list[x509.GeneralName]:
    names = list(alternative_names(certificate))
    subject = certificate.subject
    if subject.rdns:
        names.append(x509.DirectoryName(subject))
    if not any(isinstance(one, x509.RFC822Name) for one in names):
        names += (x509.RFC822Name(str(a.value)) for a in subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS))
    return names


def _text(given: x509.GeneralName) -> str:
    value = given.value
    return value.rfc4514_string() if isinstance(value, x509.Name) else str(value)


def _allowed(given: x509.GeneralName, limits: x509.NameConstraints) -> bool:
    permitted = [one for one in limits.permitted_subtrees or () if type(one) is type(given)]
    excluded = [one for one in limits.excluded_subtrees or () if type(one) is type(given)]
    if not permitted and not excluded:
        return True
    match = _MATCHES.get(type(given))
    if match is None:
        return False  # a constraint that cannot be processed (RFC 5280, 4.2.1.10: reject the certificate)
    if permitted and not any(match(given.value, one.value, False) for one in permitted):
        return False
    return not any(match(given.value, one.value, True) for one in excluded)


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


_MATCHES: dict[type[x509.GeneralName], Callable[[Any, Any, bool], bool]] = {
    x509.DNSName: _dns,
    x509.RFC822Name: _email,
    x509.UniformResourceIdentifier: _uri,
    x509.IPAddress: _ip,
    x509.DirectoryName: _directory,
}
