"""What goes wrong with keys, names and certificates. No message ever holds key material."""

from collections.abc import Sequence

from cryptography import x509


class PkiError(ValueError):
    """Input that cannot be used. The message names the field or object, and the remedy if there is one."""


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


def why_unreadable(error: Exception) -> str:
    """Why the library could not read something, without its advice to programmers."""
    return "the PEM text is damaged" if "PEM" in str(error) else quoted(error)


def name_text(name: x509.Name) -> str:
    """A distinguished name, made fit for a message."""
    return quoted(name.rfc4514_string()) if name.rdns else "the empty name"
