"""What an ACME server's refusal means for a request, and how it is told."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from csr_acme import AcmeError, ForeignUrl, Problem, Refused, Unreachable, Untrusted
from csr_operator.plugin.errors import BackendError, Misconfigured, Rejected, Retryable
from csr_operator.plugin.schedule import SHORTEST, bounded_pause
from csr_operator.plugin.text import redact

_LIMITED, _PAUSED = timedelta(minutes=1), timedelta(minutes=15)
"""How long to wait where a CA limits the rate, or has paused the account, and does not say for how long."""

_BUSY_FOR = timedelta(hours=1)
"""When a CA that has a fault is asked again at the latest, however long it wants to be left alone."""

_UNTIL = re.compile(r"retry after (\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d) ?(?:UTC|Z)", re.IGNORECASE)
"""As Let's Encrypt's own software ends the detail of a refusal by a limit, also where Retry-After is left out."""

_UNPAUSE = re.compile(r"(https://\S*[?&]jwt=)\S+")
"""Where its owner has a paused account go on; every refusal has another token."""

_MOST_PAUSES = 100

NAMED = 5
"""How many names a message has at most."""

FINAL = frozenset(
    {
        *("malformed", "rejectedIdentifier", "unsupportedIdentifier", "invalidProfile", "badCSR", "badPublicKey"),
        *("badSignatureAlgorithm", "badRevocationReason"),
    }
)
"""Refusals that the same question gets again. RFC 8555, section 6.7, makes none of its others so: what a CA saw of the
world (`caa`, `dns`, `connection`, `tls`), and what it does not explain, may be otherwise the next time."""

_BUSY = frozenset({"badNonce", "orderNotReady", "serverInternal"})
_ISSUERS = {
    "accountDoesNotExist": "there is no account of this key: remove disableAccountKeyGeneration, or name its Secret",
    "externalAccountRequired": "set spec.acme.externalAccountBinding to what the CA gave you",
    "invalidContact": "correct spec.acme.email, or remove it",
    "unsupportedContact": "correct spec.acme.email, or remove it",
    "userActionRequired": "do what the CA asks for, such as agreeing to new terms",
    "unauthorized": "check whether the account was deactivated, and whether its key is the right one",
}


class PauseTexts:
    """For one issuer. Of a pause it says the same as long as it lasts, by the first token for ending it."""

    def __init__(self) -> None:
        self._pauses: dict[str, str] = {}

    def stable(self, text: str) -> str:
        """text: a detail, which may hold a token that is another one each time."""
        if not _UNPAUSE.search(text):
            return text
        same = _UNPAUSE.sub(r"\1", text)
        if same not in self._pauses and len(self._pauses) >= _MOST_PAUSES:
            self._pauses.pop(next(iter(self._pauses)))
        return self._pauses.setdefault(same, text)


@contextmanager
def translate_errors(now: datetime, secrets: Iterable[str] = ()) -> Iterator[None]:
    """AcmeError becomes the BackendError that it means."""
    try:
        yield
    except AcmeError as error:
        raise to_backend_error(error, now, secrets) from error


def to_backend_error(
    error: AcmeError,
    now: datetime,
    secrets: Iterable[str] = (),
    *,
    pauses: PauseTexts | None = None,
    spread: float = 0.0,
) -> BackendError:
    """secrets: what the text must not show, should the CA say it.

    spread: from 0 to 1, another for each request: of those that wait for one limit not all come back at once.
    """
    text = redact(str(error), secrets)
    if isinstance(error, ForeignUrl):
        return Misconfigured(
            f"{text}: check that spec.acme.server is the CA that you mean, or for a CA of tests set "
            "spec.acme.insecureAllowAnyURL"
        )
    if isinstance(error, Untrusted):
        return Retryable(f"{text}: set spec.acme.caBundle to the certificate of the CA that issued it")
    if not isinstance(error, Refused):
        return Retryable(text, bounded_pause(error.retry_after))
    kind = error.problem.type
    if kind == "rateLimited":
        return _limited(error, now, pauses.stable(text) if pauses is not None else text, spread)
    if kind in _BUSY or error.status >= 500:
        busy = f"the CA is busy, or has a fault (HTTP status {error.status}), and is asked again: {text}"
        return Retryable(busy, min(bounded_pause(error.retry_after), _BUSY_FOR))
    if kind in _ISSUERS:
        return Misconfigured(f"{text}: {_ISSUERS[kind]}")
    return Rejected(text) if is_final(error) else Retryable(text, bounded_pause(error.retry_after))


def is_final(error: Refused) -> bool:
    """The same question would get the same refusal."""
    problem = error.problem
    if error.status == 404:
        return False  # whatever its type, it says that something is not there, or not yet
    if problem.type == "compound" and problem.subproblems and not problem.more:
        return all(subproblem.type in FINAL for subproblem in problem.subproblems)
    return problem.type in FINAL


def is_of_the_account(error: Refused) -> bool:
    """It says nothing about an order: the CA is busy, limits the rate, or does not want the account."""
    return error.problem.type in ({"rateLimited"} | _BUSY | _ISSUERS.keys()) or error.status >= 500


def describe_failures(problems: Sequence[tuple[str, Problem | None]], secrets: Iterable[str] = ()) -> str:
    """Why names could not be validated: (name, what the CA says of it), the first few."""
    reasons = [
        f"{name}: {problem.describe() if problem else 'the CA gives no reason'}" for name, problem in problems[:NAMED]
    ]
    if len(problems) > NAMED:
        reasons.append(f"and {len(problems) - NAMED} more")
    return redact("; ".join(reasons), secrets)


def to_directory_error(error: Unreachable, now: datetime) -> BackendError:
    """What answers at `spec.acme.server` is no directory of ACME's."""
    if isinstance(error, Untrusted) or not 400 <= error.status < 500:
        return to_backend_error(error, now)
    hint = "spec.acme.server has to be the URL of the CA's ACME directory, with its path, such as "
    return Retryable(
        f"{redact(str(error))}: {hint}https://acme.example.com/directory", bounded_pause(error.retry_after)
    )


def _limited(error: Refused, now: datetime, text: str, spread: float) -> Retryable:
    if _UNPAUSE.search(text):
        # It ends when its owner ends it, and the words are the same until then.
        return Retryable(text, bounded_pause(error.retry_after) or _PAUSED, unplaced=True)
    wait = bounded_pause(error.retry_after)
    if not wait and (told := _UNTIL.search(error.problem.detail)) is not None:
        try:
            until = datetime.fromisoformat(f"{told[1]}T{told[2]}").replace(tzinfo=UTC)
            wait = bounded_pause(until - now) or SHORTEST
        except ValueError:
            pass
    wait = wait or _LIMITED
    wait += spread * min(max(wait / 4, timedelta(seconds=5)), timedelta(minutes=15))
    text = f"{text}; the next try is at {_moment(now + wait)}"
    return Retryable(text, wait, unplaced=True)


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
