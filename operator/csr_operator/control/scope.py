"""Which shards this replica works on, and what goes on in each of them."""

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from csr_operator.api.shards import SHARDS
from csr_operator.fence import fenced
from csr_operator.metrics import SHARDS as HELD

from .replica import ONLY_REPLICA, Replica


class Scope:
    """replica: whose scope it is. let_go: called with shards that are another's."""

    def __init__(
        self, replica: Replica = ONLY_REPLICA, let_go: Callable[[frozenset[int]], None] = lambda _: None
    ) -> None:
        self._replica, self._let_go = replica, let_go
        self._shards: frozenset[int] = frozenset()
        self._giving: frozenset[int] = frozenset()
        self._busy: Counter[int] = Counter()
        self._terms: Counter[int] = Counter()  # how often each was let go of
        self._unfiled: dict[int, int] = {}  # by shard, the number of the taking after which nothing was filed yet
        self.takings = 0
        """How often shards were taken."""

    @classmethod
    def whole(cls) -> "Scope":
        """Of an only replica."""
        scope = cls()
        scope.take(frozenset(range(SHARDS)))
        scope.filed(scope.takings)
        return scope

    def __contains__(self, shard: object) -> bool:
        """What is in it is filed here, and nowhere else."""
        return shard in self._shards

    def may_act(self, shard: int) -> bool:
        """Nobody else can have taken it."""
        return shard in self._shards and self._replica.holds(shard)

    def may_begin(self, shard: int | None) -> bool:
        """Something new may go on there. None: in no shard, which always may."""
        return shard is None or (shard in self._shards and shard not in self._giving and shard not in self._unfiled)

    def begin(self, shard: int | None) -> None:
        """Something goes on there until `end`."""
        if shard is not None:
            self._busy[shard] += 1

    def end(self, shard: int | None) -> None:
        """What `begin` began is over."""
        if shard is not None:
            self._busy[shard] -= 1

    def fence(self, shard: int | None) -> AbstractContextManager[None]:
        """Within, and in tasks that are begun within, all stops at the next door once `shard` may not be acted on.

        What it was begun for is over when the shard was let go of, and stays so when it comes back.
        """
        if shard is None:
            return nullcontext()
        term = self._terms[shard]
        return fenced(lambda: self._terms[shard] == term and self.may_act(shard))

    def take(self, shards: frozenset[int]) -> None:
        """These are this replica's from now on: whoever lists has to list anew, and nothing begins there before."""
        self._shards |= shards
        self.takings += 1
        self._unfiled |= dict.fromkeys(shards, self.takings)
        self._count()
        self._replica.has_taken()

    def filed(self, takings: int) -> frozenset[int]:
        """All that there is in what had been taken by then (as `takings` was) is known; returns what was not before."""
        known = frozenset(shard for shard, number in self._unfiled.items() if number <= takings)
        for shard in known:
            del self._unfiled[shard]
        return known

    def give_up(self, shards: frozenset[int]) -> frozenset[int]:
        """Begin nothing more in these, and in no others; returns those in which nothing goes on any more."""
        self._giving = shards
        self._count()
        return frozenset(shard for shard in shards if not self._busy[shard] or shard not in self._shards)

    def drop(self, shards: frozenset[int]) -> None:
        """These are another's: what was filed of them is forgotten, and what still goes on stops at the next door."""
        self._shards -= shards
        self._giving -= shards
        for shard in shards:
            self._terms[shard] += 1
            self._unfiled.pop(shard, None)
        self._count()
        self._let_go(shards)

    def _count(self) -> None:
        HELD.labels("held").set(len(self._shards))
        HELD.labels("giving").set(len(self._giving))
