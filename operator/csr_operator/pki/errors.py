"""What goes wrong with keys, names and certificates. No message ever holds key material."""

from collections.abc import Sequence


class PkiError(ValueError):
    """Input that cannot be used. The message names the field or the object, and the remedy where there is one."""


class Mismatch(PkiError):
    """A CA's answer that is not what was asked for.

    ``differences`` holds one sentence for each thing that differs, in a stable order.
    """

    def __init__(self, differences: Sequence[str]) -> None:
        self.differences = tuple(differences)
        super().__init__("the certificate is not what was asked for: " + "; ".join(self.differences))


def quoted(value: object, limit: int = 100) -> str:
    """Text from outside, made fit for a message: one line, printable, at most ``limit`` characters."""
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(value))
    return f'"{text}"' if len(text) <= limit else f'"{text[:limit]}..." ({len(text)} characters)'
