"""A member: it renews its Lease, looks at those of the others, and takes and gives shards.

All of it is read anew each time, and each write is refused if somebody else wrote before: there is nothing to agree on
but what the API server has.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Protocol

from csr_operator.api.names import REPLICAS_LABEL
from csr_operator.api.replicas import Assignment, Group, read_assignment
from csr_operator.kube.errors import KubeError, Unreachable
from csr_operator.kube.leases import Leases
from csr_operator.kube.objects import Object

from .assignment import spread, to_give, to_take
from .fencing import LEASE, Holding, boot_time
from .identity import new_name
from .members import Members, assignment_lease, is_held_by, is_same, new_lease, renewed_lease

logger = logging.getLogger(__name__)

_RENEW = 5.0
"""Seconds between two renewals of the Lease."""
_LOOK = 2.0
"""Seconds between two looks at the others."""
_SOON = 0.5
"""The same while shards move."""
_AT_ONCE = 100
"""Leases of the dead that are deleted between two looks: there may be thousands, and its own has to be renewed."""


class Work(Protocol):
    """What is done in the shards."""

    def take(self, shards: frozenset[int]) -> None:
        """These are this member's from now on."""
        ...

    def give_up(self, shards: frozenset[int]) -> frozenset[int]:
        """Begin nothing more in these, and in no others; returns those in which nothing goes on any more."""
        ...

    def drop(self, shards: frozenset[int]) -> None:
        """These are another's, or will be: stop whatever still goes on there, and forget it. May be told twice."""
        ...


class Membership:
    """group: the same for all that share their work. now: in UTC, for who looks at the Leases."""

    def __init__(
        self,
        leases: Leases,
        group: Group,
        holding: Holding,
        work: Work,
        now: Callable[[], datetime],
        lost: Callable[[Object], None],
        identity: str,
        clock: Callable[[], float] = boot_time,
    ) -> None:
        """lost: called with the Lease of each other member that was found dead. identity: of `own_process`."""
        self._leases, self._group, self._holding, self._work = leases, group, holding, work
        self._now, self._lost, self._identity, self._clock = now, lost, identity, clock
        self._members = Members(group, clock)
        self._lease: Object | None = None  # this member's own
        self._renewed = 0.0
        self._missing: float | None = None  # since when there is no assignment
        self._buried: set[str] = set()  # the assignment may still name them
        self._waits_for: Group | None = None
        self._leaving = False
        self.trouble = ""
        """Why the last turn came to nothing; empty if it did not."""
        self._went_well = clock()

    @property
    def troubled(self) -> float:
        """Seconds since the last turn that went well."""
        return self._clock() - self._went_well

    @property
    def name(self) -> str:
        """That of its Lease; empty before it joined."""
        return self._lease["metadata"]["name"] if self._lease is not None else ""

    async def run(self, joined: Callable[[], None]) -> None:
        """For ever. joined: called after each turn that went well."""
        while True:
            pause = _LOOK
            try:
                pause = await self.turn()
                joined()
                self.trouble, self._went_well = "", self._clock()
            except (KubeError, Unreachable) as error:
                if str(error) != self.trouble:
                    logger.warning("the Leases of the replicas: %s; trying again", error)
                self.trouble = str(error)
            await asyncio.sleep(pause)

    async def leave(self, patience: float) -> None:
        """Give all shards up, and end. What goes on in them is stopped after `patience` seconds."""
        if self._lease is None:
            return
        self._leaving, self._renewed = True, float("-inf")
        until = self._clock() + patience
        try:
            while self._holding.shards and self._lease is not None:
                if self._clock() >= until:
                    self._work.drop(self._holding.shards)
                await asyncio.sleep(min(await self.turn(), _SOON / 5))
            if self._lease is not None:
                await self._leases.delete(self._lease)
        except (KubeError, Unreachable) as error:
            logger.warning("others take the shards of this replica when its Lease has ended, and not now: %s", error)

    async def turn(self) -> float:
        """Look, and do what there is to do; returns the seconds until the next time. Raises KubeError, Unreachable."""
        sent = self._clock()
        renews = self._lease is None or sent - self._renewed >= _RENEW
        if renews and not await self._renew():
            return _SOON
        self._members.saw(await self._leases.list(REPLICAS_LABEL))
        there = self._members.leases.get(self.name)
        if there is None or self._lease is None or not is_same(there, self._lease):
            self._end("it was taken for dead")
            return _SOON
        dead = self._members.dead(self.name, self._identity)
        staying = self._members.staying() - {*dead}
        self._holding.place = self._place(staying)
        assignment = self._read()
        if assignment is None:
            self._have(frozenset())
        else:
            self._missing = None
            self._have(assignment.held_by(self.name))
            if renews:
                self._renewed = sent
                self._holding.renewed(sent)
        await self._bury(dead[:_AT_ONCE])
        pause = await self._move(assignment, staying if self._is_first() else set())
        return pause if len(dead) <= _AT_ONCE else 0.0

    async def _renew(self) -> bool:
        """False if it has to be done again."""
        try:
            if self._lease is None:
                self._lease = await self._leases.create(new_lease(new_name(), self._group, self._identity, self._now()))
                self._renewed = float("-inf")
            else:
                lease = renewed_lease(self._lease, self._identity, self._now(), leaving=self._leaving)
                self._lease = await self._leases.replace(lease)
            return True
        except KubeError as error:
            if error.is_not_found:
                self._end("its Lease is gone")
            elif error.status != 409:
                raise
            elif self._lease is not None:
                # The answer to the last renewal was lost, or somebody annotated it.
                there = {lease["metadata"]["name"]: lease for lease in await self._leases.list(REPLICAS_LABEL)}
                now_is = there.get(self.name)
                if now_is is not None and is_same(now_is, self._lease):
                    self._lease = now_is
                else:
                    self._end("its Lease is gone")
            return False

    def _end(self, why: str) -> None:
        """This member is none any more: it joins anew, under another name, and has nothing until then."""
        logger.warning("replica %s has lost its shards: %s", self.name, why)
        self._holding.close()
        self._have(frozenset())
        self._members.gone(self.name)
        self._lease = None

    def _place(self, staying: set[str]) -> tuple[int, int]:
        names = sorted({*staying, self.name})
        return names.index(self.name), len(names)

    def _read(self) -> Assignment | None:
        """None if there is none that can be gone by."""
        if self._members.assignment is None:
            return None
        try:
            return read_assignment(self._members.assignment)
        except ValueError as error:
            logger.warning("Lease %s cannot be read, and is written anew: %s", self._group.assignment_name, error)
            return None

    def _have(self, shards: frozenset[int]) -> None:
        before, self._holding.shards = self._holding.shards, shards
        if before - shards:
            self._work.drop(before - shards)
        if shards - before:
            self._work.take(shards - before)

    def _is_first(self) -> bool:
        """No other group has to end before this one works."""
        before, self._waits_for = self._waits_for, self._members.rival()
        if self._waits_for not in (None, before):
            logger.warning(
                "replica %s does nothing yet: Lease %s shows replicas at work that watch %s, which this one watches as "
                "well: it begins when those have ended",
                self.name,
                self._waits_for.assignment_name,
                ", ".join(self._waits_for.namespaces) or "all namespaces",
            )
        return self._waits_for is None

    async def _bury(self, dead: Iterable[str]) -> None:
        """Delete their Leases. One that was renewed meanwhile stays; one that is gone cannot be renewed."""
        for name in dead:
            lease = self._members.leases[name]
            if await self._leases.delete(lease):
                self._members.gone(name)
                self._buried.add(name)
                if not is_held_by(lease, self._identity):
                    logger.warning("replica %s is lost: others take its shards", name)
                    self._lost(lease)

    async def _move(self, assignment: Assignment | None, staying: set[str]) -> float:
        """Take and give; returns the seconds until the next turn. staying: the members that are to have shards."""
        alive = self._members.acting
        if assignment is None:
            if not self._may_begin_anew(alive) or not staying:
                return _LOOK
            assignment = Assignment()
        elif not self._holding.is_open:
            return _SOON
        giving = to_give(assignment, self.name, staying)
        moved = self._work.give_up(giving) | to_take(assignment, self.name, alive, staying)
        for name in self._buried:  # nobody else knows that it is dead, and not a Lease that was deleted by mistake
            moved |= assignment.held_by(name)
        if not moved:
            return _SOON if giving else _LOOK
        following = assignment.having(moved, spread(staying))
        body = assignment_lease(self._group, following, self._members.assignment)
        try:
            if self._members.assignment is None:
                await self._leases.create(body)
            else:
                await self._leases.replace(body)
        except KubeError as error:
            if error.status not in (404, 409):
                raise
            return _SOON  # another one was first
        self._buried.clear()
        self._have(following.held_by(self.name))
        logger.info("replica %s has %d shards", self.name, len(self._holding.shards))
        return _SOON if self._holding.is_open else 0.0

    def _may_begin_anew(self, alive: set[str]) -> bool:
        """There is no assignment, and nobody can act by the one before: alone, or after all have seen that."""
        self._missing = self._missing if self._missing is not None else self._clock()
        if alive == {self.name} and self._members.assignment is None:
            return True
        return self._clock() - self._missing >= LEASE
