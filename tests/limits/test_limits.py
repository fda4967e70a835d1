"""How many requests an issuer works on: never more than it allows, and none of another's."""

from csr_operator.limits import Queued, Slots
from csr_operator.model import Kind, Limits, ObjectKey

SLOW, GOOD = (ObjectKey(Kind.ISSUER, "n", name) for name in ("slow", "good"))
REQUESTS = [ObjectKey(Kind.CERTIFICATE_REQUEST, "n", f"r{n}") for n in range(5)]
TWO = Limits(concurrent=2)


def test_so_many_at_a_time_and_the_next_in_their_order() -> None:
    slots = Slots()
    queued = [slots.acquire(SLOW, request, TWO) for request in REQUESTS]
    assert queued[:2] == [None, None]
    assert all(isinstance(each, Queued) for each in queued[2:])
    assert slots.release(SLOW, TWO) == [REQUESTS[2]]
    assert slots.acquire(SLOW, REQUESTS[2], TWO) is None
    assert slots.acquire(SLOW, REQUESTS[3], TWO) is not None
    assert slots.release(SLOW, TWO) == [REQUESTS[3]]


def test_one_issuer_takes_nothing_from_another() -> None:
    slots = Slots()
    for request in REQUESTS:
        slots.acquire(SLOW, request, TWO)
    assert slots.acquire(GOOD, REQUESTS[0], TWO) is None


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_who_waits_while_nobody_is_served_is_told_why() -> None:
    clock = Clock()
    slots = Slots(clock)
    one = Limits(concurrent=1)
    slots.acquire(SLOW, REQUESTS[0], one)
    first = slots.acquire(SLOW, REQUESTS[1], one)
    assert first is not None
    clock.now += first.seconds
    second = slots.acquire(SLOW, REQUESTS[1], one)
    assert second is not None
    assert first.message == ""
    assert second.message == "Issuer n/slow is at work for 1 requests, as many as spec.limits.concurrent allows"


def test_who_merely_waits_in_a_burst_is_told_nothing() -> None:
    clock = Clock()
    slots = Slots(clock)
    one = Limits(concurrent=1)
    slots.acquire(SLOW, REQUESTS[0], one)
    first = slots.acquire(SLOW, REQUESTS[1], one)
    assert first is not None
    clock.now += first.seconds - 1
    slots.release(SLOW, one)
    slots.acquire(SLOW, REQUESTS[2], one)
    for _ in range(2):
        clock.now += 1
        again = slots.acquire(SLOW, REQUESTS[1], one)
        assert again is not None
        assert again.message == ""


def test_so_many_within_a_minute_whether_they_are_done_or_not() -> None:
    slots = Slots()
    limits = Limits(per_minute=2)
    assert slots.acquire(SLOW, REQUESTS[0], limits) is None
    slots.release(SLOW, limits)
    assert slots.acquire(SLOW, REQUESTS[1], limits) is None
    queued = slots.acquire(SLOW, REQUESTS[2], limits)
    assert queued is not None
    assert 0 < queued.seconds <= 60
    assert queued.message == "Issuer n/slow has taken 2 requests within a minute (spec.limits.perMinute)"


def test_after_a_minute_there_is_room_again() -> None:
    clock = Clock()
    slots = Slots(clock)
    limits = Limits(per_minute=1)
    slots.acquire(SLOW, REQUESTS[0], limits)
    clock.now += 61
    assert slots.acquire(SLOW, REQUESTS[1], limits) is None
