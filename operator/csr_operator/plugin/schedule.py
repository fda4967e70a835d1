"""When a CA is asked again."""

from datetime import UTC, datetime, timedelta


def last_multiple(now: datetime, every: timedelta) -> datetime:
    """The last multiple of `every` (since 1970) that has passed."""
    seconds = every.total_seconds()
    return datetime.fromtimestamp(now.timestamp() // seconds * seconds, UTC)


SHORTEST, LONGEST = timedelta(seconds=1), timedelta(days=1)


def bounded_seconds(asked: float) -> float:
    """Of a `Retry-After`: 0 if nothing is asked for that means anything (nothing, no number, what has passed)."""
    if not isinstance(asked, int | float) or not asked > 0:  # as not-a-number is not
        return 0.0
    return min(max(asked, SHORTEST.total_seconds()), LONGEST.total_seconds())


def bounded_pause(asked: timedelta) -> timedelta:
    """Until the next look."""
    return min(max(asked, SHORTEST), LONGEST)
