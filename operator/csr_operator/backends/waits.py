"""How long others may have the operator wait: at least a second, at most a day, whatever they write."""

from datetime import timedelta

SHORTEST, LONGEST = timedelta(seconds=1), timedelta(days=1)


def seconds(asked: float) -> float:
    """Of a `Retry-After`: 0 if nothing is asked for that means anything (nothing, no number, what has passed)."""
    if not isinstance(asked, int | float) or not asked > 0:  # as not-a-number is not
        return 0.0
    return min(max(asked, SHORTEST.total_seconds()), LONGEST.total_seconds())


def pause(asked: timedelta) -> timedelta:
    """Until the next look."""
    return min(max(asked, SHORTEST), LONGEST)
