"""When pending orders are looked at: at the same moments for all of the same interval, so that one call serves many."""

from datetime import UTC, datetime, timedelta


def last_multiple(now: datetime, every: timedelta) -> datetime:
    """The last multiple of `every` (since 1970) that has passed."""
    seconds = every.total_seconds()
    return datetime.fromtimestamp(now.timestamp() // seconds * seconds, UTC)
