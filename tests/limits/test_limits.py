"""How many requests an issuer works on: never more than it allows, none of another's, and those of all in turn."""

import heapq
import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csr_operator.api.issuer import Limits
from csr_operator.api.keys import Kind, ObjectKey
from csr_operator.control.slots import Queued, Slots

SLOW, GOOD = (ObjectKey(Kind.CLUSTER_ISSUER, "", name) for name in ("slow", "good"))


def requests(namespace: str, count: int) -> list[ObjectKey]:
    return [ObjectKey(Kind.CERTIFICATE_REQUEST, namespace, f"r{n}") for n in range(count)]


REQUESTS = requests("n", 5)
ONE, TWO = Limits(concurrent=1), Limits(concurrent=2)


class Scene:
    """Slots, a clock, and who was woken since it was last asked."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._woken: list[ObjectKey] = []
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._tie = itertools.count()
        self.slots = Slots(self._woken.append, self._later, lambda: self.now)

    def woken(self) -> list[ObjectKey]:
        woken = self._woken[:]
        self._woken.clear()
        return woken

    def pass_time(self, seconds: float) -> None:
        until = self.now + seconds
        while self._timers and self._timers[0][0] <= until:
            self.now, _, call = heapq.heappop(self._timers)
            call()
        self.now = until

    @property
    def timers(self) -> int:
        return len(self._timers)

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (self.now + seconds, next(self._tie), call))

    def serve(self, limits: Limits, counted: bool = True) -> list[ObjectKey]:
        """Let each one that is woken have its slot, and give it back, until nobody is woken any more."""
        served = []
        while woken := self.woken():
            for request in woken:
                assert self.slots.acquire(SLOW, request, limits, counted=counted) is None
                self.slots.leave(request)
                served.append(request)
        return served


def test_so_many_at_a_time_and_the_next_in_their_order() -> None:
    scene = Scene()
    queued = [scene.slots.acquire(SLOW, request, TWO) for request in REQUESTS]
    assert queued[:2] == [None, None]
    assert all(isinstance(each, Queued) for each in queued[2:])
    scene.slots.leave(REQUESTS[0])
    assert scene.woken() == [REQUESTS[2]]
    assert scene.slots.acquire(SLOW, REQUESTS[2], TWO) is None
    assert scene.slots.acquire(SLOW, REQUESTS[3], TWO) is not None
    scene.slots.leave(REQUESTS[1])
    assert scene.woken() == [REQUESTS[3]]


def test_one_issuer_takes_nothing_from_another() -> None:
    slots = Scene().slots
    for request in REQUESTS:
        slots.acquire(SLOW, request, TWO)
    assert slots.acquire(GOOD, REQUESTS[4], TWO) is None


def test_who_waits_while_nobody_is_served_is_told_why() -> None:
    scene = Scene()
    scene.slots.acquire(SLOW, REQUESTS[0], ONE)
    first = scene.slots.acquire(SLOW, REQUESTS[1], ONE)
    assert first is not None
    scene.pass_time(first.seconds)
    second = scene.slots.acquire(SLOW, REQUESTS[1], ONE)
    assert second is not None
    assert first.message == ""
    said = "ClusterIssuer slow has 1 requests in progress, as many as spec.limits.concurrent allows"
    assert second.message == said


def test_who_merely_waits_in_a_burst_is_told_nothing() -> None:
    scene = Scene()
    scene.slots.acquire(SLOW, REQUESTS[0], ONE)
    scene.slots.acquire(SLOW, REQUESTS[2], ONE)
    first = scene.slots.acquire(SLOW, REQUESTS[1], ONE)
    assert first is not None
    scene.pass_time(first.seconds - 1)
    scene.slots.leave(REQUESTS[0])
    assert scene.slots.acquire(SLOW, REQUESTS[2], ONE) is None
    for _ in range(2):
        scene.pass_time(1)
        again = scene.slots.acquire(SLOW, REQUESTS[1], ONE)
        assert again is not None
        assert again.message == ""


def test_so_many_within_a_minute_whether_they_are_done_or_not() -> None:
    scene = Scene()
    limits = Limits(per_minute=2)
    assert scene.slots.acquire(SLOW, REQUESTS[0], limits) is None
    scene.slots.leave(REQUESTS[0])
    assert scene.slots.acquire(SLOW, REQUESTS[1], limits) is None
    queued = scene.slots.acquire(SLOW, REQUESTS[2], limits)
    assert queued is not None
    assert queued.message == "ClusterIssuer slow has taken 2 requests within a minute (spec.limits.perMinute)"
    scene.pass_time(59)
    assert scene.woken() == []
    scene.pass_time(1)
    assert scene.woken() == [REQUESTS[2]]


def test_after_a_minute_there_is_room_again() -> None:
    scene = Scene()
    limits = Limits(per_minute=1)
    assert scene.slots.acquire(SLOW, REQUESTS[0], limits) is None
    scene.pass_time(61)
    assert scene.slots.acquire(SLOW, REQUESTS[1], limits) is None


def test_who_looks_again_at_what_was_begun_needs_none_of_this_minutes() -> None:
    scene = Scene()
    limits = Limits(concurrent=2, per_minute=1)
    assert scene.slots.acquire(SLOW, REQUESTS[0], limits) is None
    assert scene.slots.acquire(SLOW, REQUESTS[1], limits) is not None
    assert scene.slots.acquire(SLOW, REQUESTS[2], limits, counted=False) is None


def test_beginning_and_looking_again_take_turns() -> None:
    scene = Scene()
    scene.slots.acquire(SLOW, REQUESTS[0], ONE)
    begin, again = requests("a", 3), requests("b", 3)
    for request in begin:
        scene.slots.acquire(SLOW, request, ONE)
    for request in again:
        scene.slots.acquire(SLOW, request, ONE, counted=False)
    scene.slots.leave(REQUESTS[0])
    order = []
    while woken := scene.woken():
        order += woken
        scene.slots.acquire(SLOW, woken[0], ONE, counted=woken[0] in begin)
        scene.slots.leave(woken[0])
    assert [request.namespace for request in order] in (["a", "b"] * 3, ["b", "a"] * 3)


def test_a_namespace_that_many_wait_in_delays_no_other() -> None:
    scene = Scene()
    many, few = requests("team-a", 1000), requests("team-b", 2)
    for request in (*many, *few):
        scene.slots.acquire(SLOW, request, ONE)
    scene.slots.leave(many[0])
    served = scene.serve(ONE)
    assert sorted(served) == sorted([*many[1:], *few])
    assert max(served.index(request) for request in few) <= 3


def test_what_becomes_free_of_a_minute_goes_round_the_namespaces() -> None:
    """20 at once, and the next ones when a minute is over: whoever asks, asks behind 380 of another's."""
    scene = Scene()
    limits = Limits(per_minute=20)
    many, few = requests("team-a", 400), requests("team-b", 3)
    for request in many:
        if scene.slots.acquire(SLOW, request, limits) is None:
            scene.slots.leave(request)
    scene.pass_time(30)
    for request in few:
        assert scene.slots.acquire(SLOW, request, limits) is not None
    assert scene.timers == 1, "one timer for all that wait"
    scene.pass_time(30)
    served = scene.serve(limits)
    assert len(served) == 20
    assert set(few) < set(served[:6])


def test_who_comes_new_does_not_overtake_who_waits() -> None:
    scene = Scene()
    waiting, late = requests("team-a", 2), requests("team-b", 1)[0]
    for request in waiting:
        scene.slots.acquire(SLOW, request, ONE)
    scene.slots.leave(waiting[0])
    assert scene.slots.acquire(SLOW, late, ONE) is not None
    assert scene.slots.acquire(SLOW, waiting[1], ONE) is None


def test_who_does_not_want_its_turn_any_more_passes_it_on() -> None:
    scene = Scene()
    for request in REQUESTS[:4]:
        scene.slots.acquire(SLOW, request, ONE)
    scene.slots.leave(REQUESTS[2])  # while it waits
    scene.slots.leave(REQUESTS[0])
    assert scene.woken() == [REQUESTS[1]]
    scene.slots.leave(REQUESTS[1])  # when it is its turn
    assert scene.woken() == [REQUESTS[3]]


def test_who_turns_to_another_issuer_waits_there_and_nowhere_else() -> None:
    scene = Scene()
    for request in REQUESTS[:3]:
        scene.slots.acquire(SLOW, request, ONE)
    assert scene.slots.acquire(GOOD, REQUESTS[1], ONE) is None
    scene.slots.leave(REQUESTS[0])
    assert scene.woken() == [REQUESTS[2]]


def test_a_limit_that_is_raised_lets_more_of_them_in() -> None:
    scene = Scene()
    for request in REQUESTS:
        scene.slots.acquire(SLOW, request, ONE)
    assert scene.slots.acquire(SLOW, REQUESTS[1], Limits(concurrent=3)) is None
    assert scene.woken() == [REQUESTS[2]]


def test_an_issuer_that_is_made_anew_begins_with_all_that_it_allows() -> None:
    scene = Scene()
    assert scene.slots.acquire(SLOW, REQUESTS[0], ONE) is None
    scene.slots.forget(SLOW)
    assert scene.slots.acquire(SLOW, REQUESTS[1], ONE) is None
    scene.slots.leave(REQUESTS[0])
    assert scene.slots.acquire(SLOW, REQUESTS[2], ONE) is not None


def test_no_namespace_has_all_slots_of_a_cluster_issuer() -> None:
    """Its requests may take as long as it likes: it has the servers that a CA looks at."""
    scene = Scene()
    limits = Limits(concurrent=8)
    many, other = requests("team-a", 20), requests("team-b", 3)
    taken = [scene.slots.acquire(SLOW, request, limits) for request in many]
    assert taken.count(None) == 6
    assert [scene.slots.acquire(SLOW, request, limits) is None for request in other] == [True, True, False]
    scene.slots.leave(many[0])
    assert len(scene.woken()) == 1, "whoever it is: all slots are in use again"


def test_who_waits_behind_those_of_its_own_namespace_is_told_so() -> None:
    scene = Scene()
    limits = Limits(concurrent=4)
    for request in REQUESTS:
        scene.slots.acquire(SLOW, request, limits)
    scene.pass_time(30)
    queued = scene.slots.acquire(SLOW, REQUESTS[3], limits)
    assert queued is not None
    assert queued.message == (
        "ClusterIssuer slow has 3 requests in progress, as many as spec.limits.concurrent allows one namespace of its 4"
    )


def test_an_issuer_of_one_namespace_has_all_its_slots_for_it() -> None:
    slots, own = Scene().slots, ObjectKey(Kind.ISSUER, "n", "own")
    assert [slots.acquire(own, request, Limits(concurrent=5)) for request in REQUESTS] == [None] * 5


@given(st.integers(1, 100), st.one_of(st.none(), st.integers(1, 100)), st.integers(1, 8))
def test_replicas_keep_to_the_limits_together(concurrent: int, per_minute: int | None, count: int) -> None:
    shares = [Limits(concurrent, per_minute).share(rank, count) for rank in range(count)]
    assert sum(share.concurrent for share in shares) == max(concurrent, count)
    assert all(share.concurrent >= 1 and share.per_minute != 0 for share in shares)
    if per_minute is not None:
        a_minute = sum(60 * (share.per_minute or 0) / share.seconds for share in shares)
        assert a_minute == pytest.approx(per_minute)
