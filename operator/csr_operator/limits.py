"""How much of each issuer's CA is used at once: one that hangs, or is slow, delays no other."""

import asyncio
from collections import defaultdict, deque
from dataclasses import dataclass, field
from itertools import islice

from .model import Limits, ObjectKey

_PARKED = 30.0
"""A parked request looks again by itself after so many seconds: the one that was named may not have wanted its slot."""


@dataclass(slots=True)
class _Use:
    running: int = 0
    started: deque[float] = field(default_factory=deque)  # times within the last minute
    parked: dict[ObjectKey, None] = field(default_factory=dict)  # in order, each once


class Slots:
    """Each request holds a slot of its issuer while that issuer's CA works for it."""

    def __init__(self) -> None:
        self._uses: defaultdict[ObjectKey, _Use] = defaultdict(_Use)

    def acquire(self, issuer: ObjectKey, request: ObjectKey, limits: Limits) -> float:
        """0.0: `request` has a slot. Else the seconds after which to try again.

        `release` may name it before that.
        """
        use = self._uses[issuer]
        if use.running >= limits.concurrent:
            use.parked[request] = None
            return _PARKED
        if limits.per_minute is not None:
            now = asyncio.get_running_loop().time()
            while use.started and use.started[0] <= now - 60.0:
                use.started.popleft()
            if len(use.started) >= limits.per_minute:
                return use.started[0] + 60.0 - now
            use.started.append(now)
        use.running += 1
        return 0.0

    def release(self, issuer: ObjectKey, limits: Limits) -> list[ObjectKey]:
        """Give a slot back; returns the requests to try again, as many as there are free slots."""
        use = self._uses[issuer]
        use.running -= 1
        first = list(islice(use.parked, max(limits.concurrent - use.running, 0)))
        for key in first:
            del use.parked[key]
        return first
