"""What this process may act on now: its shards, as long as it is certain that nobody has taken them."""

import time
from collections.abc import Callable

HOLDS = 10.0
"""Seconds after the last renewal of its Lease in which a member acts. Others wait LEASE seconds."""

LEASE = 15.0
"""Seconds that a Lease is not changed until others take its holder for dead."""


def boot_time() -> float:
    """Seconds that go on while the process is stopped, or the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Holding:
    """clock: seconds, as those of `boot_time`."""

    def __init__(self, clock: Callable[[], float] = boot_time) -> None:
        self._clock, self._until = clock, float("-inf")
        self.shards: frozenset[int] = frozenset()
        """Those that the assignment says, whether they may be acted on or not."""
        self.place = (0, 1)
        """This member's rank among all, from 0, and how many there are."""

    def holds(self, shard: int) -> bool:
        """It may be acted on."""
        return shard in self.shards and self.is_open

    @property
    def is_open(self) -> bool:
        """The Lease was renewed recently enough."""
        return self._clock() < self._until

    def renewed(self, sent: float) -> None:
        """The Lease was renewed by a call that was sent then, and the assignment was read after it."""
        self._until = sent + HOLDS

    def close(self) -> None:
        """Nothing more is certain."""
        self._until = float("-inf")
