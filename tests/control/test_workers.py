"""What the loop does with a key, for any kind of object."""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from datetime import timedelta
from typing import Any

import pytest

from csr_operator.api.keys import Kind, ObjectKey, Raw
from csr_operator.control.queue import WorkQueue
from csr_operator.control.reconciler import Aside, Done, Gone, Key, Outcome, Retry
from csr_operator.control.scope import Scope
from csr_operator.control.workers import Workers
from csr_operator.kube.errors import KubeError, Unreachable

DEADLINE = 10.0
Work = Callable[[Key], Coroutine[Any, Any, Outcome]]


def key(name: str) -> ObjectKey:
    return ObjectKey(Kind.ISSUER, "n", name)


class Recorder:
    """A reconciler that does what the test says, and counts how often it was asked for each name."""

    def __init__(self, work: Work, shard: int | None = None) -> None:
        self._work, self._shard = work, shard
        self.asked: Counter[str] = Counter()
        self._changed = asyncio.Condition()

    def observe(self, obj: Raw) -> None:
        raise NotImplementedError

    def forget(self, key: Key, uid: str, resource_version: str) -> None:
        raise NotImplementedError

    def shard(self, key: Key) -> int | None:
        return self._shard

    def known(self, namespace: str) -> Mapping[Key, str]:
        raise NotImplementedError

    async def reconcile(self, key: Key) -> Outcome:
        async with self._changed:
            self.asked[key.name] += 1
            self._changed.notify_all()
        return await self._work(key)

    async def until(self, name: str, times: int) -> None:
        async with asyncio.timeout(DEADLINE), self._changed:
            await self._changed.wait_for(lambda: self.asked[name] >= times)


@contextlib.asynccontextmanager
async def working(
    work: Work, count: int = 1, shard: int | None = None
) -> AsyncIterator[tuple[WorkQueue[Key], Recorder, Workers]]:
    queue: WorkQueue[Key] = WorkQueue(lambda key: key.namespace)
    recorder = Recorder(work, shard)
    workers = Workers(queue, lambda _: recorder, Scope.whole())
    workers.start(count)
    try:
        yield queue, recorder, workers
    finally:
        await workers.stop()


async def test_what_is_due_is_worked_on_again_and_what_is_not_is_left_alone() -> None:
    outcomes = iter([Done(timedelta(0)), Done(timedelta(milliseconds=1)), Done()])

    async def work(_: Key) -> Outcome:
        return next(outcomes)

    async with working(work) as (queue, recorder, workers):
        queue.add(key("a"))
        await recorder.until("a", 3)
        queue.add(key("a"))  # nothing was due: only this wakes it, and there is no outcome left
        await recorder.until("a", 4)
        assert workers.is_alive()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Unreachable("connection refused"), "the API server: connection refused"),
        (KubeError(500, "InternalError", "etcd is away"), "the API server: etcd is away"),
        (ZeroDivisionError("a bug"), "unexpected"),
    ],
)
async def test_an_error_ends_no_worker_and_is_tried_again(
    error: Exception, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def work(asked: Key) -> Outcome:
        if asked.name == "bad" and recorder.asked["bad"] == 1:
            raise error
        return Done()

    with caplog.at_level(logging.WARNING):
        async with working(work) as (queue, recorder, workers):
            queue.add(key("bad"))
            queue.add(key("good"))
            await recorder.until("good", 1)
            await recorder.until("bad", 2)
            assert workers.is_alive()
    assert f"Issuer n/bad: {told}; trying again in" in caplog.text


@pytest.mark.parametrize("error", [asyncio.CancelledError, GeneratorExit, SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("aside", [False, True])
async def test_whatever_ends_the_work_the_key_is_given_back(
    error: type[BaseException], aside: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """As of a task that a backend awaits, and that somebody cancelled."""

    async def fail() -> Done:
        raise error("hunter2")

    async def work(key: Key) -> Outcome:
        if key.name == "good" or recorder.asked["bad"] > 1:
            return Done()
        return Aside(fail()) if aside else await fail()

    async with working(work) as (queue, recorder, workers):
        queue.add(key("bad"))
        queue.add(key("good"))
        await recorder.until("good", 1)
        await recorder.until("bad", 2)
        assert workers.is_alive()
    assert f"Issuer n/bad: unexpected: {error.__name__} at test_workers.py:" in caplog.text
    assert "hunter2" not in caplog.text


async def test_what_is_done_aside_keeps_no_worker_and_the_key_from_another() -> None:
    go_on = asyncio.Event()

    async def wait() -> Done:
        await go_on.wait()
        return Done()

    async def work(asked: Key) -> Outcome:
        return Aside(wait()) if asked.name == "slow" and recorder.asked["slow"] == 1 else Done()

    async with working(work) as (queue, recorder, _):
        queue.add(key("slow"))
        await recorder.until("slow", 1)
        queue.add(key("slow"))
        for n in range(3):
            queue.add(key(f"other-{n}"))
        await recorder.until("other-2", 1)
        assert recorder.asked["slow"] == 1
        go_on.set()
        await recorder.until("slow", 2)


async def test_what_is_given_up_before_it_began_gives_back_what_was_taken_for_it() -> None:
    """Such as the slot of its issuer."""
    taken, given_back = asyncio.Event(), asyncio.Event()

    async def ask() -> Done:
        try:
            await asyncio.Event().wait()
        finally:
            given_back.set()
        return Done()

    async def work(_: Key) -> Outcome:
        taken.set()
        asyncio.get_running_loop().call_soon(workers.cancel, frozenset({5}))
        return Aside(ask())

    async with working(work, shard=5) as (queue, _, workers), asyncio.timeout(DEADLINE):
        queue.add(key("a"))
        await taken.wait()
        await given_back.wait()


async def test_a_pause_grows_with_each_failure_in_a_row_and_only_then() -> None:
    queue: WorkQueue[Key] = WorkQueue(lambda key: key.namespace)
    recorder = Recorder(lambda _: _return(Retry()))
    workers = Workers(queue, lambda _: recorder, Scope.whole())
    workers._end(key("a"), Retry())
    workers._end(key("a"), Retry())
    assert queue.backoff(key("a")) >= 2  # the third
    workers._end(key("a"), Done())
    assert queue.backoff(key("a")) <= 1
    workers._end(key("a"), Retry())
    workers._end(key("a"), Gone())
    assert queue.backoff(key("a")) <= 1


async def _return(outcome: Outcome) -> Outcome:
    return outcome
