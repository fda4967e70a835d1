"""DNS servers as an issuer names them: `host` or `host:port`."""

import asyncio
import re
import socket

from csr_operator.pki.general_names import is_address
from csr_operator.plugin.errors import Misconfigured, Retryable

_BRACKETED = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::([0-9]{1,5}))?")
_PLAIN = re.compile(r"([A-Za-z0-9_](?:[-._A-Za-z0-9]*[A-Za-z0-9])?)(?::([0-9]{1,5}))?")


def parse_server(text: str, field: str) -> tuple[str, int]:
    """Host (a name or an IP address) and port, 53 if `text` has none; an IPv6 address with a port is in brackets.

    Raises Misconfigured, naming `field`.
    """
    if is_address(text):
        return text, 53
    if (match := _BRACKETED.fullmatch(text) or _PLAIN.fullmatch(text)) and 0 < int(match[2] or 53) < 65536:
        return match[1], int(match[2] or 53)
    raise Misconfigured(f"{field}: {text[:100]!r} is not a DNS server: write host or host:port, such as 192.0.2.53:53")


async def list_addresses(host: str) -> list[str]:
    """The IP addresses of a host, by the system's resolver, the most likely to be reached first. Raises Retryable."""
    if is_address(host):
        return [host]
    try:
        addresses = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise Retryable(f"the DNS server {host} has no address: {error.strerror or error}") from None
    return list(dict.fromkeys(str(address[0]) for *_, address in addresses))
