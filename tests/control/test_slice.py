"""While the workers have much to do that needs nothing from outside, others have their turn."""

import asyncio
from collections.abc import Mapping

from csr_operator.api.keys import Kind, ObjectKey, Raw
from csr_operator.control.queue import WorkQueue
from csr_operator.control.reconciler import Done, Key, Outcome
from csr_operator.control.scope import Scope
from csr_operator.control.workers import Workers

KEYS, MOST_AT_ONCE, WORKERS = 5000, 1000, 8


class Computing:
    """A reconciler whose work is never waited for."""

    def __init__(self) -> None:
        self.done = 0

    def observe(self, obj: Raw) -> None:
        raise NotImplementedError

    def forget(self, key: Key, uid: str, resource_version: str) -> None:
        raise NotImplementedError

    def shard(self, key: Key) -> int | None:
        return None

    def known(self, namespace: str) -> Mapping[Key, str]:
        raise NotImplementedError

    async def reconcile(self, key: Key) -> Outcome:
        sum(range(2000))
        self.done += 1
        return Done()


async def test_thousands_of_keys_are_worked_on_in_turns_with_whoever_else_wants_the_loop() -> None:
    queue: WorkQueue[Key] = WorkQueue(lambda key: key.namespace)
    computing = Computing()
    for number in range(KEYS):
        queue.add(ObjectKey(Kind.CERTIFICATE_REQUEST, "n", f"r-{number}"))
    workers = Workers(queue, lambda _: computing, Scope.whole())
    workers.start(WORKERS)
    before, most = 0, 0
    try:
        async with asyncio.timeout(60):
            while computing.done < KEYS:
                await asyncio.sleep(0)
                most, before = max(most, computing.done - before), computing.done
    finally:
        await workers.stop()
    assert most < MOST_AT_ONCE
