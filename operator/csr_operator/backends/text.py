"""Text that others wrote (a CA, a DNS server, a vendor), as a user may read it."""

from collections.abc import Iterable
from urllib.parse import quote, quote_plus

_MOST = 500


def shown(text: str, secrets: Iterable[str]) -> str:
    """What may be told of a text that somebody else wrote: without the secrets, in one line, and not too long."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        for form in {secret, quote(secret, safe=""), quote(secret), quote_plus(secret), repr(secret)[1:-1]}:
            text = text.replace(form, "***")
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= _MOST else f"{line[:_MOST]}..."
