"""What an ACME server's refusal means for a request, and how it is told."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from csr_acme import AcmeError, Problem, Refused
from csr_operator.backends.base import BackendError, Misconfigured, Rejected, Retryable

_LIMITED = 900.0
"""Seconds to wait where a CA limits the rate and does not say for how long."""

_LATER = frozenset({"badNonce", "orderNotReady", "serverInternal"})
_ISSUERS = {
    "accountDoesNotExist": "there is no account of this key: remove disableAccountKeyGeneration, or name its Secret",
    "externalAccountRequired": "set spec.acme.externalAccountBinding to what the CA gave you",
    "invalidContact": "correct spec.acme.email",
    "unsupportedContact": "correct spec.acme.email",
    "userActionRequired": "do what the CA asks for, such as agreeing to new terms",
    "unauthorized": "see whether the account was deactivated, and whether its key is the right one",
}


@contextmanager
def in_words(now: datetime) -> Iterator[None]:
    """AcmeError becomes the BackendError that it means."""
    try:
        yield
    except AcmeError as error:
        raise translated(error, now) from error


def translated(error: AcmeError, now: datetime) -> BackendError:
    if not isinstance(error, Refused):
        return Retryable(str(error), error.retry_after or 0.0)
    kind = error.problem.type
    if kind == "rateLimited":
        wait = error.retry_after if error.retry_after is not None else _LIMITED
        return Retryable(f"{error}; the next try is at {_moment(now + timedelta(seconds=wait))}", wait)
    if kind in _LATER or error.status >= 500:
        return Retryable(str(error), error.retry_after or 0.0)
    if kind in _ISSUERS:
        return Misconfigured(f"{error}: {_ISSUERS[kind]}")
    return Rejected(str(error))


def failure(problems: list[tuple[str, Problem | None]]) -> str:
    """Why names could not be validated: (name, what the CA says of it)."""
    said = (f"{name}: {problem.words() if problem else 'the CA gives no reason'}" for name, problem in problems)
    return "; ".join(said)


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
