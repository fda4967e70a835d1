"""What the controller knows of there being several replicas: the one seam to them."""

from typing import Protocol


class Replica(Protocol):
    """This process among those that share the work."""

    @property
    def place(self) -> tuple[int, int]:
        """Its rank among all, from 0, and how many there are: the limits of issuers are divided by it."""
        ...

    def holds(self, shard: int) -> bool:
        """`shard` may be acted on at this moment: nobody else can have taken it."""
        ...

    def has_taken(self) -> None:
        """Shards were taken: all objects are to be shown once more, as those in them were not filed before."""
        ...


class _OnlyReplica:
    place = (0, 1)

    def holds(self, shard: int) -> bool:
        return True

    def has_taken(self) -> None:
        pass


ONLY_REPLICA: Replica = _OnlyReplica()
"""One that shares with nobody: whatever was shown to it is its own."""
