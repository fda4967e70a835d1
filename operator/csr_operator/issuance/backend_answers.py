"""What a backend answered, as the rest of the operator gets it: of the types that are declared, and in bounds.

Whatever else comes, a third party wrote. It is refused here, once for all that is done with it later: functions raise
OutOfBounds, whose text is for the user, and TypeError or ValueError for what only the backend's author can mend.
"""

import inspect
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TypeVar

from cryptography import x509

from csr_operator.pki.verify import Rules, SubjectRule
from csr_operator.plugin.backend import Health, Issued, Pending, Renewal
from csr_operator.plugin.errors import BackendError, Retryable
from csr_operator.plugin.schedule import LONGEST, SHORTEST, bounded_pause
from csr_operator.plugin.text import redact

T = TypeVar("T")

_MOST_CERTIFICATES, _MOST_ROOTS = 20, 100
_LONGEST_REFERENCE, _LARGEST_HANDLE = 1024, 4096
_YEARS = range(1970, 9000)  # with room for what is added to a time, or taken from it


class OutOfBounds(Exception):
    """An answer that is more than may be kept. The text is for the user."""


def bound_answer(answer: object) -> Issued | Pending:
    """Of `poll`."""
    if isinstance(answer, Pending):
        return _bound_pending(answer)
    if isinstance(answer, Issued):
        return _bound_issued(answer)
    raise TypeError(f"the answer is {type(answer).__name__}, neither Issued nor Pending")


def bound_first_answer(answer: object) -> Issued | Pending:
    """Of `submit`: an order that was only just placed may be looked at once its handle is kept."""
    bounded = bound_answer(answer)
    if isinstance(answer, Pending) and isinstance(bounded, Pending) and answer.handle and not answer.poll_after:
        return replace(bounded, poll_after=timedelta(0))
    return bounded


def bound_renewal(renewal: object) -> Renewal | None:
    """Of `suggest_renewal`."""
    if renewal is None:
        return None
    wanted = _typed(renewal, Renewal, "the renewal")
    start, end = _typed(wanted.start, datetime, "Renewal.start"), _typed(wanted.end, datetime, "Renewal.end")
    _check_pause(wanted.ask_after, "Renewal.ask_after")
    explanation = redact(_text(wanted.explanation, "Renewal.explanation"))
    is_aware = start.utcoffset() is not None and end.utcoffset() is not None
    if not is_aware or start.year not in _YEARS or end.year not in _YEARS or start >= end:
        raise OutOfBounds("suggests a renewal in a time that does not begin before it ends")
    again = bounded_pause(wanted.ask_after) or SHORTEST
    return Renewal(_in_utc(start), _in_utc(end), again, explanation)


def bound_roots(roots: object) -> tuple[x509.Certificate, ...] | None:
    """Of `roots_of`."""
    return None if roots is None else _bound_certificates(roots, "roots", _MOST_ROOTS)


def bound_health(health: object) -> Health:
    """Of `check`."""
    told = _typed(health, Health, "the answer")
    message = redact(_text(told.message, "Health.message"))
    fingerprint = _fingerprint(_text(told.fingerprint, "Health.fingerprint"))
    if told.not_after is None:
        return Health(message, fingerprint)
    not_after = _typed(told.not_after, datetime, "Health.not_after")
    if not_after.utcoffset() is None:
        raise ValueError("Health.not_after has no time zone")
    return Health(message, fingerprint, _in_utc(not_after))


def bound_nothing(answer: object) -> None:
    """Of a call that is only done. Whatever else it answers may mean that it was not."""
    if answer is not None:
        if inspect.iscoroutine(answer):
            answer.close()  # or Python complains somewhere else that nobody awaited it
        raise TypeError(f"the answer is {type(answer).__name__}, where there is none")


def describe_refusal(error: BackendError) -> str:
    """For the user: the text of the error, as far as it has one."""
    try:
        text = "" if error.args == (None,) else redact(str(error))
    except BaseException:  # `__str__` is the backend's as well
        text = ""
    return text or "the CA gave no reason"


def bound_wait(error: Retryable) -> timedelta:
    """Its `after`; 0 if that is none."""
    try:
        return bounded_pause(getattr(error, "after", None))
    except BaseException:  # so may `after` be, and what it is
        return timedelta(0)


def is_unplaced(error: Retryable) -> bool:
    """It says so, and in no doubtful way."""
    try:
        return getattr(error, "unplaced", False) is True
    except BaseException:
        return False


def _bound_pending(pending: Pending) -> Pending:
    handle, message = _text(pending.handle, "Pending.handle"), _text(pending.message, "Pending.message")
    _check_pause(pending.poll_after, "Pending.poll_after")
    by_user = _typed(pending.by_user, bool, "Pending.by_user")
    if len(handle.encode()) > _LARGEST_HANDLE:
        raise OutOfBounds(f"asks to keep more of an order than the {_LARGEST_HANDLE} bytes available")
    told = redact(message) or "the CA does not say what it waits for"
    return Pending(handle, bounded_pause(pending.poll_after) or SHORTEST, told, by_user)


def _bound_issued(issued: Issued) -> Issued:
    certificates = _bound_certificates(issued.certificates, "certificates", _MOST_CERTIFICATES)
    roots = _bound_certificates(issued.roots, "roots", _MOST_ROOTS)
    reference = _text(issued.reference, "Issued.reference")
    if len(reference) > _LONGEST_REFERENCE:
        raise OutOfBounds(f"answered with a reference of more than {_LONGEST_REFERENCE} characters")
    if not reference.isprintable():
        raise OutOfBounds("answered with a reference that has a character that cannot be printed")
    try:
        renewal = bound_renewal(issued.renewal)
    except OutOfBounds:
        renewal = None  # the certificate is good nevertheless
    any_duration = _typed(issued.any_duration, bool, "Issued.any_duration")
    return Issued(certificates, roots, any_duration, _checked_rules(issued.rules), reference, renewal)


def _bound_certificates(given: object, what: str, most: int) -> tuple[x509.Certificate, ...]:
    if not isinstance(given, Sequence) or isinstance(given, str | bytes):
        raise TypeError(f"{what} is {type(given).__name__}, not a sequence of certificates")
    # Counted here: one of its own making may have more than it says, and no end.
    certificates = tuple[object, ...](islice(given, most + 1))
    if len(certificates) > most:
        raise OutOfBounds(f"gave more than {most} {what}, which is more than a chain has: leave out some")
    return tuple(_typed(certificate, x509.Certificate, f"an entry of {what}") for certificate in certificates)


def _checked_rules(given: object) -> Rules:
    rules = _typed(given, Rules, "Issued.rules")
    _typed(rules.subject, SubjectRule, "Issued.rules.subject")
    for usage in _typed(rules.added_usages, frozenset, "Issued.rules.added_usages"):
        _typed(usage, str, "an entry of Issued.rules.added_usages")
    if not timedelta(0) <= _typed(rules.clock_skew, timedelta, "Issued.rules.clock_skew") <= LONGEST:
        raise ValueError("Issued.rules.clock_skew is not from 0 to a day")
    return rules


def _check_pause(pause: object, what: str) -> None:
    """Seconds do as well: `bounded_pause` takes them."""
    if not isinstance(pause, timedelta | int | float):
        raise TypeError(f"{what} is {type(pause).__name__}, not timedelta")


def _fingerprint(text: str) -> str:
    """As `sha256_fingerprint` writes it, with which it is compared: by another spelling of the same, all certificates
    would be issued again and again."""
    if text and len(octets := bytes.fromhex(text.replace(":", ""))) != 32:
        raise ValueError(f"Health.fingerprint has {len(octets)} octets, and a SHA-256 has 32")
    return octets.hex(":").upper() if text else ""


def _in_utc(moment: datetime) -> datetime:
    """A plain one, whatever it was."""
    there = moment.astimezone(UTC)
    return datetime(there.year, there.month, there.day, there.hour, there.minute, there.second, there.microsecond, UTC)


def _text(value: object, what: str) -> str:
    """A plain one: what is kept is compared, and authenticated, by its characters."""
    return str.__str__(_typed(value, str, what))


def _typed(value: object, kind: type[T], what: str) -> T:
    if not isinstance(value, kind):
        raise TypeError(f"{what} is {type(value).__name__}, not {kind.__name__}")
    return value
