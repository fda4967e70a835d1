"""The queue's promises: once, one at a time, in time, and with growing patience."""

import asyncio

import pytest

from csr_operator.control.queue import FIRST_RETRY, LAST_RETRY, WorkQueue


async def test_a_key_added_twice_is_worked_on_once() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    queue.add("b")
    queue.add("a")
    assert [await queue.get(), await queue.get()] == ["a", "b"]
    assert len(queue) == 2  # both are being worked on
    queue.done("a")
    queue.done("b")
    assert len(queue) == 0


async def test_a_key_is_never_with_two_workers_and_comes_back_if_it_was_added_meanwhile() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    queue.add("b")
    assert await queue.get() == "b"
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    assert not waiting.done()
    queue.done("a")
    assert await waiting == "a"


async def test_keys_become_due_in_order_of_time() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add_after("later", 0.02)
    queue.add_after("sooner", 0.01)
    assert [await queue.get(), await queue.get()] == ["sooner", "later"]


async def test_the_last_due_time_counts() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add_after("a", 3600)
    queue.add_after("b", 0.01)
    queue.add_after("a", 0.0)
    assert [await queue.get(), await queue.get()] == ["a", "b"]


async def test_many_replaced_due_times_leave_one() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for _ in range(1000):
        queue.add_after("a", 3600)
    queue.add_after("a", 0)
    assert await queue.get() == "a"
    queue.done("a")
    assert len(queue) == 0


async def test_what_is_forgotten_is_not_due_any_more() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add_after("gone", 0)
    queue.forget("gone")
    queue.add_after("here", 0.01)
    assert await queue.get() == "here"


async def test_a_waiting_worker_is_woken_by_an_earlier_due_time() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add_after("late", 3600)
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add_after("soon", 0)
    assert await waiting == "soon"


async def test_backoff_grows_to_a_bound_and_starts_over_after_success() -> None:
    queue: WorkQueue[str] = WorkQueue()
    waits = [queue.backoff("a") for _ in range(20)]
    assert FIRST_RETRY / 2 <= waits[0] <= FIRST_RETRY
    assert FIRST_RETRY <= waits[1] <= FIRST_RETRY * 2
    assert LAST_RETRY / 2 <= waits[-1] <= LAST_RETRY
    queue.succeeded("a")
    assert queue.backoff("a") <= FIRST_RETRY


@pytest.mark.parametrize("asked", [120.0, 7200.0])
async def test_a_server_that_asks_for_more_time_gets_it(asked: float) -> None:
    queue: WorkQueue[str] = WorkQueue()
    assert queue.backoff("a", at_least=asked) >= asked


async def test_namespaces_are_worked_on_in_turn() -> None:
    queue: WorkQueue[str] = WorkQueue(lambda key: key[0])
    for key in ("a1", "a2", "a3", "b1", "a4", "b2"):
        queue.add(key)
    order = [await queue.get() for _ in range(6)]
    assert order == ["a1", "b1", "a2", "b2", "a3", "a4"]
