"""The loop that works on keys: it knows nothing of certificates. All others touch the queue only to wake a key."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

from csr_operator.fence import Fenced
from csr_operator.kube.errors import KubeError, Unreachable
from csr_operator.plugin.offload import locate_error

from .queue import WorkQueue
from .reconciler import Aside, Done, Gone, Key, Outcome, Reconciler, Retry
from .scope import Scope
from .slice import Slice

logger = logging.getLogger(__name__)


_NOT_YET = Done(timedelta(seconds=1))
"""Its shard is about to be another replica's, or is to stay after all."""


class Workers:
    """reconciler: whose a key is."""

    def __init__(self, queue: WorkQueue[Key], reconciler: Callable[[Key], Reconciler], scope: Scope) -> None:
        self._queue, self._reconciler, self._scope = queue, reconciler, scope
        self._tasks: list[asyncio.Task[None]] = []
        self._aside: dict[asyncio.Task[Outcome], tuple[Key, int | None]] = {}
        self._given_up: set[asyncio.Task[Outcome]] = set()  # of those, what `cancel` has ended
        self._stopping = False
        self._slice = Slice()

    def start(self, count: int) -> None:
        """Begin, with so many at once."""
        self._tasks = [asyncio.create_task(self._work(), name=f"worker {n}") for n in range(count)]

    def is_alive(self) -> bool:
        """False once they were stopped, or if one has ended, which none should."""
        return not any(task.done() for task in self._tasks)

    async def stop(self) -> None:
        """Give up what is under way."""
        self._stopping = True
        await asyncio.sleep(0)  # as in `cancel`
        tasks = [*self._tasks, *self._aside]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def cancel(self, shards: frozenset[int]) -> None:
        """Give up what is done beside the workers in these."""
        for task, (_, shard) in self._aside.items():
            if shard in shards:
                self._given_up.add(task)
                # One that has not begun yet begins before that: it is what ends it that gives back what it has taken.
                asyncio.get_running_loop().call_soon(task.cancel)

    async def _work(self) -> None:
        while True:
            await self._slice.wait()
            key = await self._queue.get()
            reconciler = self._reconciler(key)
            shard = reconciler.shard(key)
            if not self._scope.may_begin(shard):
                self._end(key, _NOT_YET if shard in self._scope else Gone())
                continue
            self._scope.begin(shard)
            with self._scope.fence(shard):
                outcome = await self._tried(key, reconciler.reconcile(key))
                if isinstance(outcome, Aside):
                    # A CA that hangs must not keep a worker.
                    task = asyncio.create_task(self._tried(key, outcome.work))
                    self._aside[task] = key, shard
                    task.add_done_callback(self._finish)
                    self._slice.end()
                    continue
            self._scope.end(shard)
            self._end(key, outcome)

    def _finish(self, task: asyncio.Task[Outcome]) -> None:
        key, shard = self._aside.pop(task)
        self._given_up.discard(task)
        self._scope.end(shard)
        self._end(key, Gone() if task.cancelled() else task.result())

    async def _tried(self, key: Key, work: Coroutine[Any, Any, Outcome]) -> Outcome:
        """What became of it; an error is to be tried again."""
        try:
            return await work
        except Fenced:
            return _NOT_YET
        except (Unreachable, KubeError) as error:
            return Retry(why=f"the API server: {error}")
        except Exception:
            # A bug, and no reason to leave this object, or any other, alone for good.
            logger.exception("%s: unexpected", key)
            return Retry(why="unexpected")
        except BaseException as error:
            # A cancellation of somebody's own, say: only `stop` and `cancel` end these tasks, and no key is lost by it.
            if self._stopping or asyncio.current_task() in self._given_up:
                raise
            logger.error("%s: unexpected: %s", key, locate_error(error))
            return Retry(why="unexpected")

    def _end(self, key: Key, outcome: Outcome) -> None:
        """Give the key back, and have it worked on again when that is due."""
        match outcome:
            case Retry(at_least, why):
                wait = self._queue.retry(key, at_least.total_seconds())
                if why:
                    logger.warning("%s: %s; trying again in %.0f s", key, why, wait)
            case Gone():
                self._queue.forget(key)
            case Done(after):
                self._queue.succeeded(key)
                if after == timedelta(0):
                    self._queue.add(key)
                elif after is not None:
                    self._queue.add_after(key, after.total_seconds())
        self._queue.done(key)
