"""How many requests an issuer works on: never more than it allows, and none of another's."""

import asyncio

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


def test_who_waits_for_long_can_be_told_why() -> None:
    slots = Slots()
    one = Limits(concurrent=1)
    slots.acquire(SLOW, REQUESTS[0], one)
    first, second = (slots.acquire(SLOW, REQUESTS[1], one) for _ in range(2))
    assert first is not None
    assert second is not None
    assert first.message == ""
    assert second.message == "Issuer n/slow is at work for 1 requests, as many as spec.limits.concurrent allows"


async def test_so_many_within_a_minute_whether_they_are_done_or_not() -> None:
    slots = Slots()
    limits = Limits(per_minute=2)
    assert slots.acquire(SLOW, REQUESTS[0], limits) is None
    slots.release(SLOW, limits)
    assert slots.acquire(SLOW, REQUESTS[1], limits) is None
    queued = slots.acquire(SLOW, REQUESTS[2], limits)
    assert queued is not None
    assert 0 < queued.seconds <= 60
    assert queued.message == "Issuer n/slow has taken 2 requests within a minute (spec.limits.perMinute)"


async def test_after_a_minute_there_is_room_again() -> None:
    slots = Slots()
    limits = Limits(per_minute=1)
    loop = asyncio.get_running_loop()
    slots.acquire(SLOW, REQUESTS[0], limits)
    now = loop.time
    try:
        loop.time = lambda: now() + 61  # type: ignore[method-assign]
        assert slots.acquire(SLOW, REQUESTS[1], limits) is None
    finally:
        loop.time = now  # type: ignore[method-assign]
