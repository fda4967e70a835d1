"""`backdate`: how long before it is signed a certificate of a CA in the operator begins."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from csr_operator.api.times import parse_duration
from csr_operator.plugin.errors import Misconfigured

DEFAULT = timedelta(minutes=5)
MOST = timedelta(hours=1)


def backdate_of(config: Mapping[str, Any], field: str) -> timedelta:
    """The `backdate` of an issuer's configuration, which stands under `field`. Raises Misconfigured.

    Clocks differ: who is a little behind refuses a certificate that begins this very second.
    """
    text = config.get("backdate")
    if text is None:
        return DEFAULT
    try:
        backdate = parse_duration(text)
    except (ValueError, TypeError, OverflowError):
        backdate = None
    if backdate is None or backdate > MOST:
        raise Misconfigured(f"{field}.backdate: write a duration of at most 1h, such as 5m; 0s for none")
    return backdate


def validity(now: datetime, duration: timedelta, backdate: timedelta) -> tuple[datetime, datetime]:
    """From when until when a certificate is valid that is signed now: for `duration` from now on, and a little before.

    As long before as it is valid at most, so that a short one does not look as if it were nearly over.
    """
    return now - min(backdate, duration), now + duration
