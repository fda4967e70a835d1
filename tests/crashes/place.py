"""What the crash matrix knows of a CA, whichever it is."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from tests.support.kubectl import Kubectl

ISSUER_NAME = "issuer"


class Books:
    """What the CA knows of the request in one namespace. Serial numbers are in hex, without leading zeros."""

    def orders(self) -> int | None:
        """How many were placed; None if the CA keeps no account of them, as a repeat is harmless."""
        return None

    def issued(self) -> set[str] | None:
        """What it signed; None if it does not tell."""
        return None

    def revoked(self, seen: Sequence[x509.Certificate]) -> set[str]:
        """Of what was seen in the Secret."""
        raise NotImplementedError

    def left(self) -> list[str]:
        """What is still open there, or in the DNS, and belongs to nobody."""
        return []

    def attend(self) -> None:
        """Do what a person does who is asked to. Called again and again."""


@dataclass(frozen=True)
class Place:
    """A CA that runs. open_books: applies the issuer `ISSUER_NAME` in a namespace; the request is for `host`.

    secrets: those that the issuer needs or makes. revokes: it can. arguments, installed: for the operator.
    """

    open_books: Callable[[Kubectl, str], Books]
    secrets: frozenset[str] = frozenset()
    revokes: bool = True
    arguments: tuple[str, ...] = ()
    installed: Path | None = None


@dataclass(frozen=True)
class CaUnderTest:
    """kind: what makes up for a lost answer. takes_long: half a minute or more for each life.

    at_once: lives that go on beside one another: each waits more than it works.
    """

    name: str
    kind: str
    run: Callable[[Path], AbstractContextManager[Place]]
    takes_long: bool = False
    at_once: int = 3


def serial(certificate: x509.Certificate) -> str:
    """As the books have it."""
    return f"{certificate.serial_number:X}"


def trimmed(number: str) -> str:
    """A serial number as vendors write it, as the books have it."""
    return number.replace(":", "").lstrip("0").upper()
