"""Pending orders cost few calls, however many they are, and are seen to be done in time all the same."""

import asyncio
import heapq
from datetime import timedelta
from itertools import accumulate

import pytest

from csr_operator.backends.sectigo import SectigoBackend
from csr_operator.plugin.backend import Issued, Order, Pending
from csr_operator.plugin.errors import Retryable
from tests.emulators.sectigo_world import World, order
from tests.support.contract import Reply


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
    assert timedelta(seconds=2.5) <= waits[0] < timedelta(seconds=7.5)
    assert waits[-1] == timedelta(seconds=1280)
    assert all(wait < age / 5 + timedelta(seconds=7.5) for age, wait in zip(accumulate(waits), waits[1:], strict=False))


async def test_many_orders_are_looked_at_by_a_list(world: World) -> None:
    world.server.steps = (("Requested", 0),)
    backend, wanted = world.backend(), orders(450)
    answers = await submit_all(backend, wanted)
    world.clock.advance(hours=10)
    world.server.calls.clear()
    polled = await asyncio.gather(*(backend.poll(one, answers[one.key].handle) for one in wanted))
    assert all("is Requested: " in one.message for one in polled if isinstance(one, Pending))
    # The first few before there are many; three pages, and one each of the two other states if those few came late.
    assert world.server.count("GET", r"/ssl/v1/\d+$") == 4
    assert world.server.count("GET", r"/ssl/v1$") in range(3, 6)


async def test_many_that_are_approved_at_once_are_looked_at_by_a_list(world: World) -> None:
    world.server.steps = (("Requested", 0), ("Applied", 36000))
    backend, wanted = world.backend(), orders(100)
    answers = await submit_all(backend, wanted)
    for _ in range(2):
        world.clock.advance(hours=6)
        world.server.calls.clear()
        polled = []
        for one in wanted:
            polled.append(await backend.poll(one, answers[one.key].handle))
            world.clock.advance(seconds=0.01)
    assert all("is Applied: " in one.message for one in polled if isinstance(one, Pending))
    assert len(world.server.calls) <= 15


@pytest.mark.slow("takes seconds")
async def test_100_orders_pending_for_a_week_cost_few_calls_and_change_nothing(world: World) -> None:
    world.server.steps = (("Requested", 0),)
    backend, wanted = world.backend(), orders(100)
    answers = await submit_all(backend, wanted)
    due = [(world.clock.now + answers[one.key].poll_after, n) for n, one in enumerate(wanted)]
    heapq.heapify(due)
    world.server.calls.clear()
    ends, said = world.clock.now + timedelta(days=7), set()
    while due[0][0] < ends:
        world.clock.now, n = heapq.heappop(due)
        answer = await backend.poll(wanted[n], answers[wanted[n].key].handle)
        assert isinstance(answer, Pending)
        said.add((answer.handle, answer.message))
        heapq.heappush(due, (world.clock.now + answer.poll_after, n))
    assert len(said) == 100
    # A list each 21 minutes, and what the account has each hour.
    assert len(world.server.calls) < 1100


async def test_a_restart_over_many_pending_orders_costs_a_handful_of_calls(world: World) -> None:
    world.server.steps = (("Requested", 0),)
    wanted = orders(300)
    answers = await submit_all(world.backend(), wanted)
    world.clock.advance(days=3)
    world.server.calls.clear()
    backend = world.backend()
    await asyncio.gather(*(backend.poll(one, answers[one.key].handle) for one in wanted))
    assert len(world.server.calls) <= 3 + 4 + 5  # what the account has, the first few, and the lists


@pytest.mark.parametrize("count", [1, 20])
async def test_an_outage_is_borne_for_an_hour_without_a_word(world: World, count: int) -> None:
    world.server.steps = (("Requested", 0),)
    backend, wanted = world.backend(), orders(count)
    answers = await submit_all(backend, wanted)
    world.clock.advance(hours=5)

    async def poll() -> list[object]:
        polls = (backend.poll(one, answers[one.key].handle) for one in wanted)
        return list(await asyncio.gather(*polls, return_exceptions=True))

    before = await poll()
    world.server.stop()
    world.clock.advance(minutes=50)
    borne = await poll()
    assert [one.message for one in borne if isinstance(one, Pending)] == [
        one.message for one in before if isinstance(one, Pending)
    ]
    world.clock.advance(minutes=11)
    assert all(isinstance(one, Retryable) for one in await poll())


async def test_one_of_many_that_is_issued_is_collected_at_its_next_look(world: World) -> None:
    world.server.steps = (("Requested", 0),)
    backend, wanted = world.backend(), orders(20)
    answers = await submit_all(backend, wanted)
    world.clock.advance(hours=10)
    await asyncio.gather(*(backend.poll(one, answers[one.key].handle) for one in wanted))
    ssl_id = int(answers[wanted[7].key].handle.split("/")[1])
    world.server.become(ssl_id, "Issued")
    world.clock.advance(minutes=22)
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


async def test_a_clock_that_is_put_back_puts_no_look_off(world: World) -> None:
    """What was seen by the clock that was ahead is older than what is seen now."""
    world.server.steps = (("Requested", 0),)
    backend, wanted = world.backend(), orders(20)
    answers = await submit_all(backend, wanted)
    world.clock.advance(hours=34)
    await asyncio.gather(*(backend.poll(one, answers[one.key].handle) for one in wanted))
    world.clock.advance(days=-1)
    world.server.become(int(answers[wanted[7].key].handle.split("/")[1]), "Issued")
    polled = await asyncio.gather(*(backend.poll(one, answers[one.key].handle) for one in wanted))
    assert [isinstance(one, Issued) for one in polled] == [n == 7 for n in range(20)]


async def test_a_clock_that_is_put_back_makes_no_outage_last(world: World) -> None:
    world.server.steps = (("Requested", 0),)
    backend, wanted = world.backend(), orders(20)
    answers = await submit_all(backend, wanted)
    world.clock.advance(hours=34)
    world.server.fail(Reply(503, {}), "GET", r"/ssl/v1$", times=1)
    polls = (backend.poll(one, answers[one.key].handle) for one in wanted)
    await asyncio.gather(*polls, return_exceptions=True)
    world.clock.advance(days=-1)
    world.server.become(int(answers[wanted[7].key].handle.split("/")[1]), "Issued")
    polled = await asyncio.gather(*(backend.poll(one, answers[one.key].handle) for one in wanted))
    assert [isinstance(one, Issued) for one in polled] == [n == 7 for n in range(20)]
