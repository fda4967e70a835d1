"""`python -m benchmarks.hurried ARGUMENTS...`: csr-operator, for which time can be made to pass.

A line `SECONDS STEP` on its standard input lets so much time pass, in steps, each of which begins when all that was due
is done; it then answers with a line of its own. The operator's clock and its queue are ahead of the real time from then
on. Connections are not, which would all time out.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, ClassVar

from csr_operator.__main__ import main
from csr_operator.control import controller
from csr_operator.control.queue import WorkQueue
from csr_operator.control.slots import Slots
from csr_operator.manager.operator import Operator

Call = Callable[[], object]

_LOOKS = 3
"""So often in a row has nothing to be found to do; what was just woken is in the queue by then."""
_PATIENCE = 60.0


class Hurried(WorkQueue[Any]):
    """The operator's queue. ahead: of the real time, in seconds."""

    ahead = 0.0
    made: "Hurried"
    calls: ClassVar[list[tuple[float, Call]]] = []

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        Hurried.made = self
        self._obeying = asyncio.get_running_loop().create_task(self._obey())
        self._obeying.add_done_callback(_end)

    def hurry(self, seconds: float) -> None:
        Hurried.ahead += seconds
        self._due = {key: due - seconds for key, due in self._due.items()}
        self._heap = [(due - seconds, tie, key) for due, tie, key in self._heap]
        self._set_timer()
        due = [call for at, call in self.calls if at <= self.clock()]
        Hurried.calls = [(at, call) for at, call in self.calls if at > self.clock()]
        for call in due:
            call()

    @classmethod
    def clock(cls) -> float:
        """Seconds that only grow."""
        return time.monotonic() + cls.ahead

    @classmethod
    def later(cls, seconds: float, call: Call) -> None:
        """As the event loop's `call_later`."""
        cls.calls.append((cls.clock() + seconds, call))

    async def _obey(self) -> None:
        while line := await asyncio.to_thread(sys.stdin.readline):
            left, step = map(float, line.split())
            at_rest = await self._tasks_at_rest()
            while left > 0:
                self.hurry(min(step, left))
                left -= step
                await self._idle(at_rest)
            print(self.ahead, flush=True)

    async def _tasks_at_rest(self) -> int:
        """The most that there are within a second of which nothing is to be done."""
        most, quiet = 0, time.monotonic()
        while time.monotonic() < quiet + 1:
            await asyncio.sleep(0.01)
            if len(self):
                most, quiet = 0, time.monotonic()
            most = max(most, len(asyncio.all_tasks()))
        return most

    async def _idle(self, at_rest: int) -> None:
        """Wait until nothing is to be done, and no more tasks are there than at rest."""
        looks, until = 0, time.monotonic() + _PATIENCE
        while looks < _LOOKS:
            await asyncio.sleep(0)
            if not len(self) and len(asyncio.all_tasks()) <= at_rest:
                looks += 1
                continue
            if time.monotonic() > until:
                raise TimeoutError(f"busy: {len(self)} keys, {len(asyncio.all_tasks())} tasks, at rest {at_rest}")
            looks = 0
            await asyncio.sleep(0.0005)


def _end(obeying: asyncio.Task[None]) -> None:
    """Nobody says any more how much time is to pass."""
    if obeying.cancelled():
        return
    if obeying.exception() is not None:
        os._exit(1)
    os.kill(os.getpid(), signal.SIGTERM)  # it gives up its Lease, as it does where it is told to end


def _hurried_slots(**parts: Any) -> Slots:
    """An issuer's requests of a minute are counted by the same time."""
    return Slots(**{**parts, "later": Hurried.later}, clock=Hurried.clock)


if __name__ == "__main__":
    controller.WorkQueue = Hurried  # type: ignore[attr-defined]
    controller.Slots = _hurried_slots  # type: ignore[attr-defined,assignment]
    sys.exit(main(sys.argv[1:], partial(Operator, clock=lambda: datetime.now(UTC) + timedelta(seconds=Hurried.ahead))))
