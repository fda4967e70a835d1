"""The text of subject alternative names, made into the form that RFC 5280, 4.2.1.6, wants."""

import ipaddress
import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from urllib.parse import quote, urlsplit, urlunsplit

import idna

from csr_operator.pki.errors import PkiError, quoted

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
# What most names look like: nothing to encode, nothing to refuse.
_PLAIN_DNS_NAME = re.compile(rf"(?:\*\.)?(?:(?!xn--){_LABEL.pattern}\.)+(?!xn--)[a-z](?:[a-z0-9-]{{0,61}}[a-z0-9])?")
_LOCAL_PART = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
# What a URI may hold as it is (RFC 3986, 2); other characters are percent-encoded (RFC 3987, 3.1).
_URI_CHARACTERS = "!#$%&'()*+,/:;=?@[]~"
_MUST_HAVE_HOST = {"http", "https", "ftp", "ftps", "ldaps", "ws", "wss", "spiffe"}


def dns_name(value: str) -> str:
    """A dNSName in lower case, U-labels encoded as A-labels (RFC 5891; case and width mapped by UTS #46).

    A wildcard may stand for the whole leftmost label (RFC 9525, 6.3). A-labels are taken as given when they
    decode, also those (emoji, say) that RFC 5892 would not let anyone register today, because CAs issue for
    them. PkiError, naming the value, for what no CA takes.
    """
    if len(value) <= 253 and _PLAIN_DNS_NAME.fullmatch(value):
        return value
    return _domain("dnsNames", value, wildcard=True)


def host_name(value: str, field: str) -> str:
    """A DNS name as in `dns_name`, but with no wildcard; ``field`` is what an error names."""
    return _domain(field, value)


def email_address(value: str, field: str = "emailAddresses") -> str:
    """An rfc822Name: Local-part@Domain, the domain lower case and in A-labels (RFC 5280, 4.2.1.6 and 7.5)."""
    local, at, domain = value.rpartition("@")
    if not at or not local or not domain:
        raise PkiError(f"{field}: {quoted(value)} is not of the form user@example.com")
    if not local.isascii():
        raise PkiError(
            f"{field}: {quoted(value)} has characters other than ASCII before the @, which an rfc822Name cannot"
            " hold: use otherNames with the OID 1.3.6.1.5.5.7.8.9 (SmtpUTF8Mailbox, RFC 9598)"
        )
    if len(local) > 64 or not _LOCAL_PART.fullmatch(local):
        raise PkiError(f"{field}: {quoted(value)} has no valid local part (RFC 5321, 4.1.2, Dot-string)")
    return f"{local}@{_domain(field, domain, given=value)}"


def ip_address(value: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An iPAddress."""
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        remedy = ": one address without a prefix length is required" if "/" in value else ""
        raise PkiError(f"ipAddresses: {quoted(value)} is not an IPv4 or IPv6 address{remedy}") from None
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        zone = quoted(address.scope_id[:20])[1:-1]
        raise PkiError(f"ipAddresses: {quoted(value)} has a zone (%{zone}): leave it out")
    return address


def uri(value: str) -> str:
    """A uniformResourceIdentifier: absolute, host in A-labels, other characters percent-encoded (RFC 5280, 7.4)."""
    if not value.isprintable() or any(c.isspace() or c in '<>"{}|\\^`' for c in value):
        raise PkiError(f"uris: {quoted(value)} has characters that a URI cannot hold: percent-encode them")
    scheme, colon, rest = value.partition(":")
    if not colon or not rest or not _SCHEME.fullmatch(scheme):
        raise PkiError(f"uris: {quoted(value)} is not absolute: it must start with a scheme such as https:// or urn:")
    try:
        parts = urlsplit(value)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise PkiError(
            f"uris: {quoted(value)} cannot be parsed: its port is not a number, or its IPv6 address is not in brackets"
        ) from None
    if not host and (parts.netloc or parts.scheme in _MUST_HAVE_HOST):
        raise PkiError(f"uris: {quoted(value)} has no host")
    ascii_host = _uri_host(host, value) if host else ""
    if value.isascii():
        return value
    user, at, _ = parts.netloc.rpartition("@")
    netloc = quote(user, safe=_URI_CHARACTERS) + at + ascii_host + (f":{port}" if port is not None else "")
    path, query, fragment = (quote(part, safe=_URI_CHARACTERS) for part in (parts.path, parts.query, parts.fragment))
    return urlunsplit((parts.scheme, netloc, path, query, fragment))


def _uri_host(host: str, given: str) -> str:
    if ":" in host:
        try:
            return f"[{ipaddress.IPv6Address(host)}]"
        except ValueError:
            raise PkiError(f"uris: {quoted(given)} has a host that is not an IPv6 address") from None
    if is_address(host):
        return host
    # SPIFFE trust domains and names of internal services use underscores, which count as letters here.
    if host.isascii() and "_" in host:
        _domain("uris", host.replace("_", "x"), given=given)
        return host
    return _domain("uris", host, given=given)


def _domain(field: str, value: str, *, wildcard: bool = False, given: str | None = None) -> str:
    def refuse(why: str) -> PkiError:
        return PkiError(f"{field}: {quoted(value if given is None else given)} {why}")

    name, prefix = value, ""
    if wildcard and value.startswith("*."):
        name, prefix = value[2:], "*."
    if not name:
        raise refuse("is empty" if not prefix else "is a wildcard for everything: name the domain, as in *.example.com")
    if "*" in name:
        raise refuse(
            "has a wildcard that is not the whole leftmost label: write it as in *.example.com"
            if wildcard
            else "has a wildcard, which only dnsNames may have"
        )
    if any(c.isspace() or not c.isprintable() for c in name):
        raise refuse("has white space or control characters")
    if is_address(name):
        raise refuse("is an IP address" + (": use ipAddresses" if field == "dnsNames" else ""))
    if name.endswith((".", "\u3002", "\uff0e", "\uff61")):
        raise refuse("ends in a dot: leave it out")
    if len(name) > 253:  # and longer in A-labels; to convert it takes time that grows with the square of its length
        raise refuse("is longer than 253 octets")
    name = name.lower() if name.isascii() else _to_ascii(name, refuse)
    for label in name.split("."):
        if not label:
            raise refuse("has an empty label")
        if len(label) > 63:
            raise refuse("has a label of more than 63 octets")
        if "_" in label:
            raise refuse("has an underscore, which a host name cannot have (RFC 5280, 4.2.1.6)")
        if not _LABEL.fullmatch(label):
            raise refuse(f"has the label {quoted(label)}, which is not letters, digits and inner hyphens")
        if label.startswith("xn--") and not _decodes(label):
            raise refuse(f"has the label {quoted(label)}, which is not an A-label: write it in Unicode")
    if label.isdigit():
        raise refuse("ends in a number, as no domain does")
    if len(prefix + name) > 253:
        raise refuse("is longer than 253 octets")
    return prefix + name


def _to_ascii(name: str, refuse: Callable[[str], PkiError]) -> str:
    if "_" in name:
        raise refuse("has an underscore, which a host name cannot have (RFC 5280, 4.2.1.6)")
    try:
        return _a_labels(name)
    except (idna.IDNAError, UnicodeError):
        raise refuse(f"is not an internationalized domain name (RFC 5891){_a_label_remedy(name)}") from None


def _a_label_remedy(name: str) -> str:
    """How to write a name that no rule of IDNA 2008 lets through, but which may be registered: an emoji domain."""
    labels = []
    for label in re.split("[.\u3002\uff0e\uff61]", unicodedata.normalize("NFC", name.lower())):
        encoded = label if label.isascii() else f"xn--{label.encode('punycode').decode()}"
        if not _LABEL.fullmatch(encoded) or (encoded != label and not _decodes(encoded)):
            return ": see how it is spelt"
        labels.append(encoded)
    return f": if it is registered like this, write it as {quoted('.'.join(labels))}"


@lru_cache(maxsize=8192)
def _a_labels(name: str) -> str:
    # Some 0.3 ms each, and a request's names are looked at again and again.
    return idna.encode(name, uts46=True, std3_rules=True).decode().lower()


def is_address(text: str) -> bool:
    """It is an IP address, of either version."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _decodes(label: str) -> bool:
    try:
        decoded = label[4:].encode().decode("punycode")
    except UnicodeError:
        return False
    return not decoded.isascii() and decoded.isprintable() and unicodedata.is_normalized("NFC", decoded)
