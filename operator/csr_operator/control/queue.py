"""A queue of keys: each waits at most once, is worked on by one worker at a time, and can be due later.

The rules are those of client-go's workqueue (https://pkg.go.dev/k8s.io/client-go/util/workqueue): a key added while
it is being worked on is worked on again afterwards; adding it twice before that is adding it once. Keys of a namespace
with many wait for each other, not those of the others for them.
"""

import asyncio
import heapq
import itertools
import random
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from csr_operator.metrics import QUEUE_DEPTH, QUEUE_LATENCY
from csr_operator.plugin.turns import Turns

K = TypeVar("K", bound=Hashable)

FIRST_RETRY = 1.0
"""Seconds that the first retry of a key waits at most; jitter makes that half as long at times."""

LAST_RETRY = 60.0
"""Seconds that any retry waits at most, unless a CA asks for more."""


def retry_wait(failures: int) -> float:
    """Seconds to wait after so many failures before this one: exponential, jittered over its upper half."""
    ceiling = min(FIRST_RETRY * 2.0 ** min(failures, 16), LAST_RETRY)
    return ceiling * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret


class WorkQueue(Generic[K]):
    """namespace: which one a key belongs to; they are worked on in turn."""

    def __init__(self, namespace: Callable[[K], str] = lambda _: "") -> None:
        self._namespace = namespace
        self._ready: Turns[K] = Turns()
        self._count = asyncio.Semaphore(0)  # how many are ready
        self._added: dict[K, float] = {}  # waiting, with the time it was added; the dirty set
        self._working: set[K] = set()
        self._due: dict[K, float] = {}  # the one due time that counts for a key
        self._heap: list[tuple[float, int, K]] = []
        self._failures: dict[K, int] = {}
        self._tie = itertools.count()
        self._timer: asyncio.TimerHandle | None = None  # for the first in the heap
        QUEUE_DEPTH.set_function(lambda: len(self._added))

    def add(self, key: K) -> None:
        """Have `key` worked on as soon as a worker is free."""
        if key in self._added:
            return
        self._added[key] = asyncio.get_running_loop().time()
        if key not in self._working:
            self._make_ready(key)

    def add_after(self, key: K, seconds: float) -> None:
        """Have `key` worked on in `seconds`; replaces the due time that it had."""
        due = asyncio.get_running_loop().time() + max(seconds, 0.0)
        self._due[key] = due
        heapq.heappush(self._heap, (due, next(self._tie), key))
        if len(self._heap) > 2 * len(self._due) + 64:  # replaced entries stay in the heap until it is rebuilt
            self._heap = [(d, next(self._tie), k) for k, d in self._due.items()]
            heapq.heapify(self._heap)
        if self._heap[0][0] == due:
            self._set_timer()

    def backoff(self, key: K, at_least: float = 0.0) -> float:
        """Count a failure of `key` and return the seconds to wait, never less than `at_least`."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        return max(at_least, retry_wait(failures))

    def retry(self, key: K, at_least: float = 0.0) -> float:
        """Have `key` worked on again after a failure; returns the seconds until then."""
        wait = self.backoff(key, at_least)
        self.add_after(key, wait)
        return wait

    def succeeded(self, key: K) -> None:
        """Forget the failures of `key`."""
        self._failures.pop(key, None)

    def forget(self, key: K) -> None:
        """Drop all that is known of `key`: its object is gone."""
        self._failures.pop(key, None)
        self._due.pop(key, None)

    async def get(self) -> K:
        """Wait for a key; the caller owns it until `done`."""
        await self._count.acquire()
        key = self._ready.pop()
        assert key is not None
        added = self._added.pop(key)
        self._working.add(key)
        QUEUE_LATENCY.observe(asyncio.get_running_loop().time() - added)
        return key

    def done(self, key: K) -> None:
        """Give `key` back; if it was added meanwhile, it is ready again."""
        self._working.discard(key)
        if key in self._added:
            self._make_ready(key)

    def __len__(self) -> int:
        """Keys that wait for a worker or are being worked on; keys that are only due later do not count."""
        return len(self._added) + len(self._working)

    def _make_ready(self, key: K) -> None:
        self._ready.add(self._namespace(key), key)
        self._count.release()

    def _move_due(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._heap and self._heap[0][0] <= now:
            due, _, key = heapq.heappop(self._heap)
            if self._due.get(key) == due:
                del self._due[key]
                self.add(key)
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(self._heap[0][0], self._move_due) if self._heap else None
