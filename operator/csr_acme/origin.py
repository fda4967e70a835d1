"""Where a server's URLs may lead: to the server itself, by https (RFC 8555, section 6.1).

Whoever writes the URLs of an order or a directory says where signed requests are sent. Elsewhere than at the server's
own host they would reach what only this network reaches.
"""

import re

from csr_acme.errors import ForeignUrl, fit_line

_MOST = 2048
"""Characters of a URL."""

_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<rest>[/?][A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]*)?"
)
"""RFC 3986 without user information, so that nobody reads another host in it than the one that is compared."""

_PORTS = {"https": 443, "http": 80}


class Origin:
    """Scheme, host and port of a directory's URL.

    anywhere: for servers of tests: http and other hosts are let pass.
    """

    def __init__(self, directory_url: str, *, anywhere: bool = False) -> None:
        self._own, self._anywhere = _origin(directory_url), anywhere

    def __str__(self) -> str:
        if self._own is None:
            return "no URL"
        scheme, host, port = self._own
        return f"{scheme}://{host}" + ("" if port == _PORTS[scheme] else f":{port}")

    def has(self, url: str) -> bool:
        """It is https and of the server's own host and port."""
        return self._own is not None and self._own[0] == "https" and _origin(url) == self._own

    def permits(self, url: str) -> bool:
        """A request may be sent there."""
        return self.has(url) or (self._anywhere and _origin(url) is not None)

    def take(self, field: str, url: str) -> str:
        """The URL, which the server gave as `field`. Raises ForeignUrl."""
        if not self.permits(url):
            raise ForeignUrl(field, fit_line(url[:_MOST], 100) or "empty", str(self))
        return url


def _origin(url: str) -> tuple[str, str, int] | None:
    """None if it is no URL of http or https."""
    if len(url) > _MOST or (match := _URL.fullmatch(url)) is None:
        return None
    scheme = match["scheme"]
    return scheme, match["host"].lower(), int(match["port"] or _PORTS[scheme])
