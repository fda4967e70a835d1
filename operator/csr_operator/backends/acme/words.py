"""What an ACME server's refusal means for a request, and how it is told."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from csr_acme import AcmeError, ForeignUrl, Problem, Refused
from csr_operator.backends.base import BackendError, Misconfigured, Rejected, Retryable
from csr_operator.backends.text import shown

_LIMITED = 900.0
"""Seconds to wait where a CA limits the rate and does not say for how long."""

NAMED = 5
"""How many names a message has at most."""

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
def in_words(now: datetime, secrets: Iterable[str] = ()) -> Iterator[None]:
    """AcmeError becomes the BackendError that it means."""
    try:
        yield
    except AcmeError as error:
        raise translated(error, now, secrets) from error


def translated(error: AcmeError, now: datetime, secrets: Iterable[str] = ()) -> BackendError:
    """secrets: what the text must not show, should the CA say it."""
    text = shown(str(error), secrets)
    if isinstance(error, ForeignUrl):
        return Misconfigured(
            f"{text}: see that spec.acme.server is the CA that you mean, or for a CA of tests set "
            "spec.acme.insecureAllowAnyURL"
        )
    if not isinstance(error, Refused):
        return Retryable(text, error.retry_after or 0.0)
    kind = error.problem.type
    if kind == "rateLimited":
        wait = error.retry_after if error.retry_after is not None else _LIMITED
        text = f"{text}; the next try is at {_moment(now + timedelta(seconds=wait))}"
        return Retryable(text, wait, unplaced=True)
    if kind in _LATER or error.status >= 500:
        return Retryable(text, error.retry_after or 0.0)
    if kind in _ISSUERS:
        return Misconfigured(f"{text}: {_ISSUERS[kind]}")
    return Rejected(text)


def failure(problems: Sequence[tuple[str, Problem | None]], secrets: Iterable[str] = ()) -> str:
    """Why names could not be validated: (name, what the CA says of it), the first few."""
    said = [f"{name}: {problem.words() if problem else 'the CA gives no reason'}" for name, problem in problems[:NAMED]]
    if len(problems) > NAMED:
        said.append(f"and {len(problems) - NAMED} more")
    return shown("; ".join(said), secrets)


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
