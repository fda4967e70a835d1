"""How much of each issuer's CA is used at once: one that hangs, or is slow, delays no other.

What there is of it goes round the namespaces that wait: one with ten thousand requests delays nobody else's one. And
none has all the slots of a ClusterIssuer: it may have servers that a CA looks at, and that take their time to answer.
"""

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

from csr_operator.api.issuer import Limits
from csr_operator.api.keys import ObjectKey
from csr_operator.plugin.turns import Turns

from .replica import ONLY_REPLICA, Replica

_PARKED = 30.0
"""A request that waits looks again after so many seconds, to tell its user what it waits for."""

_TOLD = 600.0
"""And so often when that is told: it is woken when it is its turn."""

_SOON = 5.0
"""A wait of so many seconds is not worth telling."""


class Queued(NamedTuple):
    """It is not its turn: look again after so many seconds, or when woken. message: why; empty if soon."""

    seconds: float
    message: str


@dataclass(slots=True)
class _Use:
    """Of one issuer. A slot is `kept` for a request from its turn until it comes; then it is one of those `running`.

    Who begins something takes one of those of this minute (counted: True); who looks again at what was begun does not.
    """

    shared: bool  # it is a ClusterIssuer
    whole: Limits = field(default_factory=Limits)
    """Of the issuer."""
    limits: Limits = field(default_factory=Limits)
    """This replica's share."""
    running: set[ObjectKey] = field(default_factory=set)
    kept: dict[ObjectKey, bool] = field(default_factory=dict)  # counted
    waiting: dict[bool, Turns[ObjectKey]] = field(default_factory=lambda: {True: Turns(), False: Turns()})  # by counted
    last: bool = False  # counted: what the last turn went to
    started: deque[float] = field(default_factory=deque)  # times within the last minute
    moved: float = 0.0  # when a slot was last taken or given back
    timed: bool = False

    @property
    def has_slot(self) -> bool:
        return len(self.running) + len(self.kept) < self.limits.concurrent

    @property
    def may_begin(self) -> bool:
        """Within this minute."""
        most = self.limits.per_minute
        return most is None or len(self.started) + sum(self.kept.values()) < most

    @property
    def share(self) -> int:
        """Slots that one namespace may have: three quarters, so that no two can have that many."""
        return -(-self.limits.concurrent * 3 // 4) if self.shared else self.limits.concurrent

    def full_namespace(self) -> str | None:
        """The one that has its share of a ClusterIssuer's slots."""
        if not self.shared or len(self.running) + len(self.kept) < self.share:
            return None
        namespace, slots = Counter(r.namespace for r in chain(self.running, self.kept)).most_common(1)[0]
        return namespace if slots >= self.share else None

    def pop(self) -> tuple[ObjectKey, bool] | None:
        """Whose turn it is; the two kinds alternate, so that neither waits for ever."""
        full = self.full_namespace()
        for counted in (not self.last, self.last):
            if (self.may_begin or not counted) and (request := self.waiting[counted].pop(full)) is not None:
                self.last = counted
                return request, counted
        return None


class Slots:
    """Each request holds a slot of its issuer while that issuer's CA works for it.

    wake: called with each request whose turn it is; it has to `acquire` or to `leave`. later: calls back after so many
    seconds, as an event loop does. clock: seconds, ever increasing. replica: whose share of the limits it goes by.
    """

    def __init__(
        self,
        wake: Callable[[ObjectKey], None],
        later: Callable[[float, Callable[[], None]], object],
        clock: Callable[[], float] = time.monotonic,
        replica: Replica = ONLY_REPLICA,
    ) -> None:
        self._wake, self._later, self._clock, self._replica = wake, later, clock, replica
        self._uses: dict[ObjectKey, _Use] = {}
        self._places: dict[ObjectKey, _Use] = {}  # of each request that waits or has a slot

    def acquire(self, issuer: ObjectKey, request: ObjectKey, limits: Limits, *, counted: bool = True) -> Queued | None:
        """None: `request` has a slot. Else it waits. counted: it begins something, of which there are `per_minute`."""
        use = self._uses.get(issuer)
        if use is None:
            use = self._uses[issuer] = _Use(shared=not issuer.namespace)
        use.whole, use.limits = limits, limits.share(*self._replica.place)
        if self._places.get(request, use) is not use or use.kept.get(request, counted) != counted:
            self.leave(request)  # it waited for something else
        has_waited = request in self._places
        if request not in use.kept:
            self._places[request] = use
            use.waiting[not counted].discard(request.namespace, request)
            use.waiting[counted].add(request.namespace, request)
            self._hand_out(use, asking=request)
        if request not in use.kept:
            return self._queued(issuer, request.namespace, use, has_waited)
        del use.kept[request]
        use.running.add(request)
        use.moved = self._clock()
        if counted and use.limits.per_minute is not None:
            use.started.append(use.moved)
        return None

    def leave(self, request: ObjectKey) -> None:
        """`request` has no use for a slot: give back what it has, or waits for."""
        use = self._places.pop(request, None)
        if use is None:
            return
        if request in use.running:
            use.running.discard(request)
            use.moved = self._clock()
        use.kept.pop(request, None)
        for line in use.waiting.values():
            line.discard(request.namespace, request)
        self._hand_out(use)

    def forget(self, issuer: ObjectKey) -> None:
        """`issuer` is gone; who waited for it finds that out by itself."""
        self._uses.pop(issuer, None)

    def _hand_out(self, use: _Use, asking: ObjectKey | None = None) -> None:
        """Keep what is free for those whose turn it is, and wake them; `asking` is awake."""
        then = self._clock() - use.limits.seconds
        while use.started and use.started[0] <= then:
            use.started.popleft()
        while use.has_slot and (turn := use.pop()) is not None:
            request, use.kept[request] = turn
            if request != asking:
                self._wake(request)
        if use.waiting[True] and use.started and not use.timed and not use.may_begin:
            use.timed = True
            self._later(use.started[0] - then, lambda: self._on_time(use))

    def _on_time(self, use: _Use) -> None:
        use.timed = False
        self._hand_out(use)

    def _queued(self, issuer: ObjectKey, namespace: str, use: _Use, has_waited: bool) -> Queued:
        told, now = "", self._clock()
        if not use.has_slot or namespace == use.full_namespace():
            # While slots are given back it is merely a burst, and to tell each request would cost a write for each.
            if has_waited and now - use.moved >= _PARKED:
                told = f"{issuer} has {len(use.running) + len(use.kept)} requests in progress, as many as "
                told += "spec.limits.concurrent allows"
                told += " this replica" if use.limits != use.whole else ""
                told += f" one namespace of its {use.limits.concurrent}" if use.has_slot else ""
        elif use.started and use.started[0] + use.limits.seconds - now > _SOON:
            told = f"{issuer} has taken {use.whole.per_minute} requests within a minute (spec.limits.perMinute)"
        return Queued(_TOLD if told else _PARKED, told)
