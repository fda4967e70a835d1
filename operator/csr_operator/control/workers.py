"""The loop that works on keys: it knows nothing of certificates. All others touch the queue only to wake a key."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

from csr_operator.kube.errors import KubeError, Unreachable
from csr_operator.plugin.offload import locate_error

from .queue import WorkQueue
from .reconciler import Aside, Done, Gone, Key, Outcome, Reconciler, Retry

logger = logging.getLogger(__name__)


class Workers:
    """reconciler: whose a key is."""

    def __init__(self, queue: WorkQueue[Key], reconciler: Callable[[Key], Reconciler]) -> None:
        self._queue, self._reconciler = queue, reconciler
        self._tasks: list[asyncio.Task[None]] = []
        self._aside: set[asyncio.Task[None]] = set()
        self._stopping = False

    def start(self, count: int) -> None:
        """Begin, with so many at once."""
        self._tasks = [asyncio.create_task(self._work(), name=f"worker {n}") for n in range(count)]

    def is_alive(self) -> bool:
        """False once they were stopped, or if one has ended, which none should."""
        return not any(task.done() for task in self._tasks)

    async def stop(self) -> None:
        """Give up what is under way."""
        self._stopping = True
        tasks = [*self._tasks, *self._aside]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            outcome = await self._tried(key, self._reconciler(key).reconcile(key))
            if isinstance(outcome, Aside):
                # A CA that hangs must not keep a worker.
                task = asyncio.create_task(self._finish(key, outcome))
                self._aside.add(task)
                task.add_done_callback(self._aside.discard)
            else:
                self._end(key, outcome)

    async def _finish(self, key: Key, begun: Aside) -> None:
        self._end(key, await self._tried(key, begun.work))

    async def _tried(self, key: Key, work: Coroutine[Any, Any, Outcome]) -> Outcome:
        """What became of it; an error is to be tried again."""
        try:
            return await work
        except (Unreachable, KubeError) as error:
            return Retry(why=f"the API server: {error}")
        except Exception:
            # A bug, and no reason to leave this object, or any other, alone for good.
            logger.exception("%s: unexpected", key)
            return Retry(why="unexpected")
        except BaseException as error:
            # A cancellation of somebody's own, say: nobody but `stop` ends these tasks, and no key is lost by it.
            if self._stopping:
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
