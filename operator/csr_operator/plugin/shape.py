"""Answers of a CA that are not of the form that it publishes: it changed them, or something else answers."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from .errors import Retryable


@contextmanager
def published_form(what: str, after: timedelta = timedelta(0)) -> Iterator[None]:
    """Around what takes an answer apart: of another form it raises Retryable, not to be tried again before `after`.

    what: where it came from, to the user. A BackendError passes; a PkiError does not, as it is a ValueError.
    """
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError, ArithmeticError):
        raise Retryable(f"{what} is not of the published form", after) from None
