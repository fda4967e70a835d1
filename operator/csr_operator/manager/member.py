"""This process among several replicas, as its controller sees it."""

import asyncio

from csr_operator.replicas.fencing import Holding


class Member:
    """The `Replica` of an operator that may not be the only one. taken: set when shards were taken."""

    def __init__(self, holding: Holding, taken: asyncio.Event) -> None:
        self._holding, self._taken = holding, taken

    @property
    def place(self) -> tuple[int, int]:
        """As the last look at the others showed it."""
        return self._holding.place

    def holds(self, shard: int) -> bool:
        """The assignment says so, and it was recently enough that this member was not taken for dead."""
        return self._holding.holds(shard)

    def has_taken(self) -> None:
        """Have somebody see to it that all is listed anew."""
        self._taken.set()
