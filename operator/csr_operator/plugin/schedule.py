"""When a CA is asked again."""

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime


def last_multiple(now: datetime, every: timedelta) -> datetime:
    """The last multiple of `every` (since 1970) that has passed."""
    seconds = every.total_seconds()
    return datetime.fromtimestamp(now.timestamp() // seconds * seconds, UTC)


def grow(first: timedelta, longest: timedelta, times: int, factor: float = 2.0) -> timedelta:
    """`first`, made longer by `factor` as many times, and `longest` at most."""
    return min(first * factor ** min(times, 30), longest)


@dataclass(frozen=True, slots=True)
class Schedule:
    """How often an order is looked at: the longer it has waited, the more rarely."""

    first: timedelta
    """Between two looks at an order that is younger than twice `young`."""
    longest: timedelta
    """Between two looks, however old the order is."""
    young: timedelta
    """Each time that an order's age has doubled, from this on, so has the time between two looks."""

    def every(self, age: timedelta) -> timedelta:
        """Between two looks at an order of this age."""
        return grow(self.first, self.longest, math.floor(math.log2(max(age / self.young, 1.0))))


SHORTEST, LONGEST = timedelta(seconds=1), timedelta(days=1)


def bounded_pause(asked: timedelta | float | None) -> timedelta:
    """How long to wait where somebody asked for that (a number: seconds): from a second to a day.

    0 if what is asked for means nothing: nothing, no number, what has passed.
    """
    seconds = timedelta.total_seconds(asked) if isinstance(asked, timedelta) else asked
    if not isinstance(seconds, int | float) or not seconds > 0:  # as not-a-number is not
        return timedelta(0)
    return timedelta(seconds=min(max(seconds, SHORTEST.total_seconds()), LONGEST.total_seconds()))


def parse_retry_after(text: str) -> timedelta:
    """How long the header Retry-After (RFC 9110, section 10.2.3) asks to wait, bounded; 0 if it does not say."""
    if re.fullmatch("[0-9]+", text):
        return bounded_pause(float(text))  # too many digits are infinity
    try:
        return bounded_pause(parsedate_to_datetime(text) - datetime.now(UTC))
    except (TypeError, ValueError, OverflowError, IndexError):
        return timedelta(0)
