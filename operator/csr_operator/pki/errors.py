"""What goes wrong with keys, names and certificates. No message ever holds key material."""

from collections.abc import Sequence
from datetime import datetime
from typing import Self

from cryptography import x509


class PkiError(ValueError):
    """Input that cannot be used. The message names the field or object, and the remedy if there is one."""


class Mismatch(PkiError):
    """A CA's answer that is not what was asked for.

    ``differences`` holds one sentence for each thing that differs, in a stable order. ``not_before`` is when nothing
    will differ any more, in UTC, if it is the time alone that differs; else None. ``is_over``: it is, but the time has
    passed.
    """

    def __init__(self, differences: Sequence[str]) -> None:
        self.differences = tuple(differences)
        begins = [difference.not_before for difference in self.differences if isinstance(difference, NotYet)]
        self.not_before = max(begins) if begins and len(begins) == len(self.differences) else None
        self.is_over = self.not_before is None and all(
            isinstance(difference, NotYet | Over) for difference in self.differences
        )
        super().__init__("the certificate is not what was asked for: " + "; ".join(self.differences))


class NotYet(str):
    """A difference that passes by itself: something is valid from ``not_before`` on (UTC)."""

    not_before: datetime

    def __new__(cls, text: str, not_before: datetime) -> Self:
        difference = super().__new__(cls, text)
        difference.not_before = not_before
        return difference


class Over(str):
    """A difference of the time alone: something was valid once."""


class Added(str):
    """A difference: something is in the certificate that the request could have asked for, and did not."""


class Missing(str):
    """A difference: something that was asked for is not in the certificate."""


def quoted(value: object, limit: int = 100) -> str:
    """Text from outside, made fit for a message: one line, printable, at most ``limit`` characters."""
    text = str(value)
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:limit])
    return f'"{shown}"' if len(text) <= limit else f'"{shown}..." ({len(text)} characters)'


def name_text(name: x509.Name) -> str:
    """A distinguished name, made fit for a message."""
    return quoted(name.rfc4514_string()) if name.rdns else "the empty name"
