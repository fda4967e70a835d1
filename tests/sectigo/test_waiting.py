"""Pending orders cost few calls, however many they are, and are seen to be done in time all the same."""

import asyncio
from datetime import timedelta

import pytest

from csr_operator.backends.base import Issued, Order, Pending, Retryable
from csr_operator.backends.sectigo import SectigoBackend
from tests.support.contract import Reply
from tests.vendors.sectigo_world import World, order


def orders(count: int) -> list[Order]:
    return [order(f"w{n}.example.com", key=f"{n:064}") for n in range(count)]


async def submit_all(backend: SectigoBackend, wanted: list[Order]) -> dict[str, Pending]:
    answers = await asyncio.gather(*(backend.submit(one) for one in wanted))
    assert all(isinstance(answer, Pending) for answer in answers)
    return {one.key: answer for one, answer in zip(wanted, answers, strict=True) if isinstance(answer, Pending)}


async def test_the_longer_an_order_waits_the_more_rarely_it_is_looked_at(world: World) -> None:
    world.server.steps = (("Requested", 0),)
    backend, wanted = world.backend(), order()
    answer = await backend.submit(wanted)
    waits: list[timedelta] = []
    while isinstance(answer, Pending) and len(waits) < 100:
        waits.append(answer.poll_after)
        world.clock.now += answer.poll_after
        answer = await backend.poll(wanted, answer.handle)
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (timedelta(seconds=5), timedelta(minutes=15))


async def test_many_orders_are_looked_at_by_a_list(world: World) -> None:
    world.server.steps = (("Requested", 0),)
    backend, wanted = world.backend(), orders(450)
    answers = await submit_all(backend, wanted)
    world.clock.advance(hours=10)
    world.server.calls.clear()
    polled = await asyncio.gather(*(backend.poll(one, answers[one.key].handle) for one in wanted))
    assert all("is Requested: " in one.message for one in polled if isinstance(one, Pending))
    # The first few before there are many; three pages of those Requested, and a page each of the other states.
    assert world.server.count("GET", r"/ssl/v1/\d+$") == 4
    assert world.server.count("GET", r"/ssl/v1$") == 5


async def test_one_of_many_that_is_issued_is_collected_at_its_next_look(world: World) -> None:
    world.server.steps = (("Requested", 0),)
    backend, wanted = world.backend(), orders(20)
    answers = await submit_all(backend, wanted)
    world.clock.advance(hours=10)
    await asyncio.gather(*(backend.poll(one, answers[one.key].handle) for one in wanted))
    ssl_id = int(answers[wanted[7].key].handle.split("/")[1])
    world.server.become(ssl_id, "Issued")
    world.clock.advance(minutes=15)
    polled = await asyncio.gather(*(backend.poll(one, answers[one.key].handle) for one in wanted))
    assert [isinstance(one, Issued) for one in polled] == [n == 7 for n in range(20)]


@pytest.mark.parametrize("state", ["Init", "SA Approved"])
async def test_what_is_in_no_list_is_looked_at_by_itself(world: World, state: str) -> None:
    world.server.steps = ((state, 0),)
    backend, wanted = world.backend(), orders(10)
    answers = await submit_all(backend, wanted)
    polled = await asyncio.gather(*(backend.poll(one, answers[one.key].handle) for one in wanted))
    assert all(f"is {state}: " in one.message for one in polled if isinstance(one, Pending))


async def test_lists_that_are_refused_are_done_without(world: World) -> None:
    world.server.steps = (("Requested", 0),)
    backend, wanted = world.backend(), orders(10)
    answers = await submit_all(backend, wanted)
    error = {"code": -1601, "description": "Field 'status' has invalid value."}
    world.server.fail(Reply(400, error), "GET", r"/ssl/v1$", times=99)
    polled = await asyncio.gather(*(backend.poll(one, answers[one.key].handle) for one in wanted))
    assert all("is Requested: " in one.message for one in polled if isinstance(one, Pending))


async def test_a_vendor_in_trouble_is_not_asked_by_each(world: World) -> None:
    world.server.steps = (("Requested", 0),)
    backend, wanted = world.backend(), orders(50)
    answers = await submit_all(backend, wanted)
    world.server.calls.clear()
    world.server.fail(Reply(503), times=999)
    polls = (backend.poll(one, answers[one.key].handle) for one in wanted)
    results = await asyncio.gather(*polls, return_exceptions=True)
    assert all(isinstance(one, Retryable) for one in results)
    assert len(world.server.calls) == 4 + 1
