"""The log's lines about one object: what became of it, for whoever reads the log after the events are gone.

Whatever its user does to an object, it writes no more than so many lines in an hour.
"""

import logging
from collections.abc import Callable

from csr_operator.api.keys import ObjectKey
from csr_operator.api.reasons import Reason
from csr_operator.api.request import CertificateRequest
from csr_operator.api.secrets import Record
from csr_operator.plugin.text import redact

logger = logging.getLogger(__name__)

_MOST = 30
_HOUR = 3600.0
_MOST_OBJECTS = 10_000
"""Whoever makes more than so many in an hour has other names each time."""

_MOST_NAMES = 3


class Journal:
    """clock: seconds that only grow."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._written: dict[ObjectKey, tuple[float, int]] = {}  # since when, the earliest first, and how many

    def say(self, level: int, key: ObjectKey, text: str) -> None:
        """One line about `key`. level: of `logging`. What is too much within an hour is left out, also about one that
        was deleted and made anew."""
        now = self._clock()
        self._forget_old(now)
        since, count = self._written.get(key, (now, 0))
        self._written[key] = since, count + 1
        if count < _MOST:
            logger.log(level, "%s: %s", key, text)
        elif count == _MOST:
            logger.warning("%s: more than %d lines in an hour: what follows is left out", key, _MOST)

    def _forget_old(self, now: float) -> None:
        """Which of these objects are gone does not matter."""
        while self._written:
            key, (since, _) = next(iter(self._written.items()))
            if now - since < _HOUR and len(self._written) < _MOST_OBJECTS:
                return
            del self._written[key]


def issued_text(request: CertificateRequest, record: Record, reason: Reason | None) -> str:
    """What was issued, by whom, for which names and why; never a key."""
    why = f" because of {reason}" if reason else ""
    return (
        f"issued by {record.issuer}{why}: revision {record.revision}, serial number {record.serial_number}, "
        f"valid until {record.not_after}, {_names(request)}"
    )


def _names(request: CertificateRequest) -> str:
    names = request.spec.template.names
    listed = (names.dns_names, names.ip_addresses, names.uris, names.email_addresses)
    count = sum(map(len, (*listed, names.other_names)))
    if request.spec.csr_pem:
        return "the names of its own CSR"
    if not count:
        return f"subject {redact(names.literal_subject or names.common_name) or 'as asked for'}"
    first = [redact(name) for texts in listed for name in texts[:_MOST_NAMES]][:_MOST_NAMES]
    rest = ", ..." if count > len(first) else ""
    return f"{count} name{'' if count == 1 else 's'}: {', '.join(first)}{rest}"
