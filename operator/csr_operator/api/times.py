"""Times and durations as the Kubernetes API writes them."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache


def parse_duration(text: str) -> timedelta:
    """A Go duration (https://pkg.go.dev/time#ParseDuration) such as `2160h` or `1h30m`; ValueError otherwise."""
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is not a duration: write hours, minutes and seconds, such as 2160h or 1h30m")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _DURATION_PART.findall(text))
    return timedelta(seconds=seconds)


@lru_cache(maxsize=4096)
def parse_time(text: str) -> datetime:
    """RFC 3339 as Kubernetes writes it, in UTC; ValueError otherwise."""
    # Kept, as one look at a certificate asks for each of its times several times over.
    if text[4::3] != "--T::Z":  # other forms of ISO 8601, which fromisoformat takes too
        raise ValueError(f"{text!r} is not of the form 2006-01-02T15:04:05Z")
    return datetime.fromisoformat(text)


def format_time(moment: datetime) -> str:
    """RFC 3339 as Kubernetes writes it, in UTC, to the second; `parse_time` reads it."""
    return moment.astimezone(UTC).isoformat()[:19] + "Z"


_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}

_DURATION_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(h|ms|m|us|µs|ns|s)")

_DURATION = re.compile(rf"\+?(?:{_DURATION_PART.pattern})+")
