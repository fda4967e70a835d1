"""What holds of all that the operator reads, wherever it comes from."""

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

MOST_SHOWN = 2500
"""Characters of a message: it stands in a condition, which takes 32 KiB, beside others."""


def outcome(work: Callable[[], T], *documented: type[Exception]) -> T | None:
    """What `work` returns; None where it ends by a documented exception. Any other one passes: it is a fault."""
    try:
        return work()
    except documented as error:
        check_message(str(error))
        return None


def check_message(text: str) -> None:
    """Whatever is shown to users is there, printable, bounded, and no private key."""
    assert text, "the message is empty"
    assert len(text) <= MOST_SHOWN, f"the message has {len(text)} characters"
    assert text.isprintable(), f"the message is not one printable line: {text!r}"
    assert "PRIVATE KEY-----" not in text, "the message has a private key in it"
