"""Which member should have which shard: pure, so that all members come to the same result."""

import hashlib
from collections import Counter
from collections.abc import Collection
from functools import lru_cache

from csr_operator.api.replicas import NOBODY, Assignment
from csr_operator.api.shards import SHARDS


def spread(members: Collection[str]) -> tuple[str, ...]:
    """With whom each shard should be, so that each member has as many as the others, or one more.

    Each shard goes to the first in its own order of the members that has room (rendezvous hashing with bounded loads),
    so that few move when one of them comes or goes. NOBODY, if there are no members.
    """
    return _spread(frozenset(members))


@lru_cache(maxsize=16)
def _spread(members: frozenset[str]) -> tuple[str, ...]:
    # Each turn of a member asks several times, and the members are the same for days.
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
