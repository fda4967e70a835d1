"""When a CA is asked again."""

from datetime import UTC, datetime, timedelta


def last_multiple(now: datetime, every: timedelta) -> datetime:
    """The last multiple of `every` (since 1970) that has passed."""
    seconds = every.total_seconds()
    return datetime.fromtimestamp(now.timestamp() // seconds * seconds, UTC)


SHORTEST, LONGEST = timedelta(seconds=1), timedelta(days=1)


def bounded_pause(asked: timedelta | float | None) -> timedelta:
    """How long to wait where somebody asked for that (a number: seconds): from a second to a day.

    0 if what is asked for means nothing: nothing, no number, what has passed.
    """
    seconds = asked.total_seconds() if isinstance(asked, timedelta) else asked
    if not isinstance(seconds, int | float) or not seconds > 0:  # as not-a-number is not
        return timedelta(0)
    return timedelta(seconds=min(max(seconds, SHORTEST.total_seconds()), LONGEST.total_seconds()))
