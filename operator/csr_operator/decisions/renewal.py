"""When a certificate is to be renewed, and from when on that is urgent."""

from datetime import datetime, timedelta
from functools import lru_cache

from csr_operator.api.request import CertificateRequest
from csr_operator.api.secrets import Record, Window
from csr_operator.api.times import parse_time

from .pace import EARLY, SETTLE

_LEFT = 10
"""This part of its life is left at least when a certificate is renewed, whatever the CA suggests: another one may take
time, and a CA with a fault, or that means harm, suggests a time when nothing serves any more."""

_SHORT = timedelta(days=10)
"""Below, a third is little time to get over an outage. CAs ask for the same (https://letsencrypt.org/docs/profiles/)."""


def renewal_time(request: CertificateRequest, record: Record) -> datetime:
    """When the certificate on record is to be renewed.

    At two thirds of its life (half of one below ten days, as most of what is left is then hours, not days), or as
    `renewBefore` or `renewBeforePercentage` say, but not before a tenth of it has passed; earlier than that by an
    amount that is fixed for each request, so that what was issued together is not renewed together: up to a tenth of
    what comes before or after, whichever is shorter. Where the CA suggests a time, that counts (RFC 9773, section 4.2),
    but not when less than a tenth of it is left, and unless the request says that it is to be earlier.
    """
    spec, (start, not_after) = request.spec, _life(record)
    return _renewal_time(
        start, not_after, record.window, spec.renew_before, spec.renew_before_percentage, fraction(request.uid)
    )


@lru_cache(maxsize=64)
def _renewal_time(
    start: datetime,
    not_after: datetime,
    window: Window | None,
    renew_before: timedelta | None,
    percentage: int | None,
    part: float,
) -> datetime:
    # Kept, as one look at a request asks for it more than once.
    life = not_after - start
    before = life / (2 if life < _SHORT else 3)
    if renew_before is not None and renew_before < life:
        before = renew_before
    elif percentage is not None:
        before = life * percentage / 100
    early = before + min(before, life - before) * part / 10
    due = max(not_after - early, start + life / EARLY)
    if window is not None:
        first, last = parse_time(window.start), parse_time(window.end)
        suggested = min(first + (last - first) * part, not_after - life / _LEFT)
        set_by_user = renew_before is not None or percentage is not None
        due = min(due, suggested) if set_by_user else suggested
    return max(due, start + min(SETTLE, life / 2)).replace(microsecond=0)


def late_from(request: CertificateRequest, record: Record) -> datetime:
    """When a renewal that is still waited for becomes urgent: a tenth of the certificate's life is left.

    Where it is renewed as late as that, half of what is left then.
    """
    start, not_after = _life(record)
    left = max(not_after - renewal_time(request, record), timedelta())
    return not_after - min((not_after - start) / 10, left / 2)


def renewal_note(request: CertificateRequest, record: Record) -> str:
    """What a user should know of `renewBefore`, now that the life of the certificate is known; mostly nothing."""
    wanted = request.spec.renew_before
    start, not_after = _life(record)
    if wanted is None or wanted <= (not_after - start) * (EARLY - 1) / EARLY:
        return ""
    instead = "nine tenths"
    if wanted >= not_after - start:
        instead = "half" if not_after - start < _SHORT else "a third"
    return (
        "spec.renewBefore is nearly as long as the certificate is valid, or longer: it is renewed when "
        f"{instead} of its life is left; shorten renewBefore"
    )


def fraction(uid: str) -> float:
    """A number in [0, 1) that is always the same for one request."""
    return int(uid.replace("-", "")[-8:], 16) / 2**32


def _life(record: Record) -> tuple[datetime, datetime]:
    """From when until when a certificate can serve: not before it is there, however far back the CA dates it."""
    not_before, not_after, stored = map(parse_time, (record.not_before, record.not_after, record.stored))
    return (stored if not_before < stored < not_after else not_before), not_after
