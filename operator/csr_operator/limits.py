"""How much of each issuer's CA is used at once: one that hangs, or is slow, delays no other."""

import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from .model import Limits, ObjectKey

_PARKED = 30.0
"""A parked request looks again by itself after so many seconds: the one that was named may not have wanted its slot."""

_SOON = 5.0
"""A wait of so many seconds is not worth telling."""


class Queued(NamedTuple):
    """There is no slot: try again after so many seconds, or when `release` says so. message: why; empty if soon."""

    seconds: float
    message: str


@dataclass(slots=True)
class _Use:
    running: int = 0
    moved: float = 0.0  # when a slot was last taken or given back
    started: deque[float] = field(default_factory=deque)  # times within the last minute
    parked: dict[ObjectKey, None] = field(default_factory=dict)  # in order, each once


class Slots:
    """Each request holds a slot of its issuer while that issuer's CA works for it. clock: seconds, ever increasing."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._uses: defaultdict[ObjectKey, _Use] = defaultdict(_Use)

    def acquire(self, issuer: ObjectKey, request: ObjectKey, limits: Limits) -> Queued | None:
        """None: `request` has a slot."""
        use = self._uses[issuer]
        if use.running >= limits.concurrent:
            # While slots are given back it is merely a burst, and to tell each request would cost a write for each.
            stuck = self._clock() - use.moved >= _PARKED
            busy = f"{issuer} is at work for {use.running} requests, as many as spec.limits.concurrent allows"
            told = busy if request in use.parked and stuck else ""
            use.parked[request] = None
            return Queued(_PARKED, told)
        if limits.per_minute is not None:
            now = self._clock()
            while use.started and use.started[0] <= now - 60.0:
                use.started.popleft()
            if len(use.started) >= limits.per_minute:
                seconds = use.started[0] + 60.0 - now
                full = f"{issuer} has taken {limits.per_minute} requests within a minute (spec.limits.perMinute)"
                return Queued(seconds, full if seconds > _SOON else "")
            use.started.append(now)
        use.running += 1
        use.moved = self._clock()
        return None

    def release(self, issuer: ObjectKey, limits: Limits) -> list[ObjectKey]:
        """Give a slot back; returns the requests to try again, as many as there are free slots."""
        use = self._uses[issuer]
        use.running -= 1
        use.moved = self._clock()
        first = list(islice(use.parked, max(limits.concurrent - use.running, 0)))
        for key in first:
            del use.parked[key]
        return first
