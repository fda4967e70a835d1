"""Which member has which shard, and which it should be: pure, so that all members come to the same result."""

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from csr_operator.api.shards import SHARDS

NOBODY = ""


@dataclass(frozen=True, slots=True)
class Assignment:
    """Who has each shard. It changes when members come or go, and not otherwise."""

    epoch: int = 0
    """How many have been before it."""
    holders: tuple[str, ...] = (NOBODY,) * SHARDS
    """The name of a member for each shard; NOBODY for one that was given up."""

    @classmethod
    def read(cls, epoch: int, text: str) -> "Assignment":
        """As `text` is written. Raises ValueError for anything else."""
        try:
            shards_of = json.loads(text)
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error
        if not isinstance(shards_of, dict):
            raise ValueError("no members")
        holders = [NOBODY] * SHARDS
        for member, shards in shards_of.items():
            for shard in shards if isinstance(shards, list) else [None]:
                if type(shard) is not int or not 0 <= shard < SHARDS:
                    raise ValueError(f"{shard!r} is no shard: they are counted from 0 to {SHARDS - 1}")
                if holders[shard]:
                    raise ValueError(f"shard {shard} has two members")
                holders[shard] = member
        return cls(epoch, tuple(holders))

    @property
    def text(self) -> str:
        """JSON: the shards of each member."""
        members = sorted({*self.holders} - {NOBODY})
        return json.dumps({member: sorted(self.held_by(member)) for member in members})

    def held_by(self, member: str) -> frozenset[int]:
        """The shards that `member` has."""
        return frozenset(shard for shard, holder in enumerate(self.holders) if holder == member)

    def having(self, shards: Iterable[int], holders: tuple[str, ...]) -> "Assignment":
        """The next one, in which `shards` are with who has them in `holders`."""
        changed = list(self.holders)
        for shard in shards:
            changed[shard] = holders[shard]
        return Assignment(self.epoch + 1, tuple(changed))


def spread(members: Collection[str]) -> tuple[str, ...]:
    """With whom each shard should be, so that each member has as many as the others, or one more.

    Each shard goes to the first in its own order of the members that has room (rendezvous hashing with bounded loads),
    so that few move when one of them comes or goes. NOBODY, if there are no members.
    """
    if not members:
        return (NOBODY,) * SHARDS
    most, load = -(-SHARDS // len(members)), Counter[str]()
    holders = []
    for shard in range(SHARDS):
        holder = max((m for m in members if load[m] < most), key=lambda member: _weight(shard, member))
        load[holder] += 1
        holders.append(holder)
    return tuple(holders)


def to_take(assignment: Assignment, me: str, alive: Collection[str], staying: Collection[str]) -> frozenset[int]:
    """The shards that `me` should have, and that nobody alive has. staying: those alive that are not about to end."""
    should = spread(staying)
    return frozenset(
        shard for shard, holder in enumerate(assignment.holders) if holder not in alive and should[shard] == me
    )


def to_give(assignment: Assignment, me: str, staying: Collection[str]) -> frozenset[int]:
    """The shards that `me` has and should not have."""
    should = spread(staying)
    return frozenset(shard for shard in assignment.held_by(me) if should[shard] != me)


def _weight(shard: int, member: str) -> bytes:
    return hashlib.sha256(f"{shard}/{member}".encode()).digest()
