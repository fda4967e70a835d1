"""`python -m tests.support.counted_operator SETTINGS`: csr-operator whose time can be made to pass, and which counts
what it holds.

SETTINGS: fields of its settings, as JSON. A line on standard input is answered with a line on standard output:

- `pass SECONDS`: so much time passes for all that it does, in steps, each of which begins when little goes on;
- `count`: how many there are of all that could pile up, by name, as JSON.

The clock and the event loop are ahead of the real time from then on: timers, timeouts and pauses are over when they
would be. What a Lease is worth goes by the real time.
"""

import asyncio
import functools
import gc
import itertools
import json
import logging
import os
import signal
import sys
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from csr_operator.control.queue import WorkQueue
from csr_operator.kube.errors import NoConfiguration
from csr_operator.manager import logs
from csr_operator.manager.operator import Operator, OperatorFailed
from csr_operator.metrics import REGISTRY
from csr_operator.settings import Settings
from csr_operator.web.ports import CannotListen
from tests.support.entries import entries_of

_STEP = 150.0
"""Seconds that pass at once: more than a watch may be silent, and less than an hour has a reason to."""
_LOOKS = 3
"""So often in a row has nothing to be found to do."""
_PAUSE, _PATIENCE = 0.02, 1.0
"""Seconds: between two looks, and until the next step begins all the same, as a CA that hangs does so for longer."""

_OURS = ("csr_operator", "csr_acme")
_ALSO = ("aiohttp.connector", "aiohttp.client", "aiohttp.web_server", "aiohttp.web_protocol")
"""Of others, what keeps connections."""


class HurriedLoop(asyncio.SelectorEventLoop):
    """ahead: of the real time, in seconds."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


def main(settings: Settings) -> int:
    """As `csr-operator run`."""
    logs.configure("info", "text")
    with asyncio.Runner(loop_factory=HurriedLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, HurriedLoop)
        try:
            runner.run(_run(settings, loop))
        except (NoConfiguration, CannotListen, OperatorFailed) as error:
            logging.getLogger(__name__).error("%s", error)
            return 1
    return 0


async def _run(settings: Settings, loop: HurriedLoop) -> None:
    obeying = asyncio.create_task(_obey(loop), name="obeying")
    obeying.add_done_callback(_end)
    await Operator(settings, clock=lambda: datetime.now(UTC) + timedelta(seconds=loop.ahead)).run()


async def _obey(loop: HurriedLoop) -> None:
    lines: asyncio.Queue[str] = asyncio.Queue()

    def read() -> None:
        for line in itertools.chain(sys.stdin, [""]):
            loop.call_soon_threadsafe(lines.put_nowait, line)

    threading.Thread(target=read, daemon=True, name="commands").start()
    while line := (await lines.get()).split():
        answer: Any = loop.ahead
        match line:
            case ["pass", seconds]:
                await _pass(loop, float(seconds))
                answer = loop.ahead
            case ["count"]:
                answer = count_all()
        print(json.dumps(answer), flush=True)


def _end(obeying: asyncio.Task[None]) -> None:
    """Nobody says any more what is to be done."""
    if not obeying.cancelled() and (error := obeying.exception()) is not None:
        logging.getLogger(__name__).error("it does not obey", exc_info=error)
        os._exit(1)
    os.kill(os.getpid(), signal.SIGTERM)


async def _pass(loop: HurriedLoop, left: float) -> None:
    (queue,) = (found for found in gc.get_objects() if isinstance(found, WorkQueue))
    while left > 0:
        loop.ahead += min(_STEP, left)
        left -= _STEP
        looks, until = 0, loop.time() + _PATIENCE
        while looks < _LOOKS and loop.time() < until:
            await asyncio.sleep(_PAUSE)
            looks = 0 if len(queue) else looks + 1


def count_all() -> dict[str, int]:
    """By what it is. Caches of a size that is given with them are emptied before."""
    found = gc.get_objects()
    for each in found:
        if not isinstance(each, functools._lru_cache_wrapper) or not str(each.__module__).startswith(_OURS):
            continue
        if each.cache_parameters()["maxsize"] is not None:
            each.cache_clear()
    del found
    gc.collect()
    counts = Counter(
        {
            "tasks": len(asyncio.all_tasks()),
            "threads": threading.active_count(),
            "files": len(list(Path("/proc/self/fd").iterdir())),
            "resident KiB": _resident_kib(),
            "blocks of memory": sys.getallocatedblocks(),
        }
    )
    for family in REGISTRY.collect():
        counts["samples of metrics"] += len(family.samples)
    objects = gc.get_objects()
    counts["objects"] = len(objects)
    for each in objects:
        owner = type(each)
        name = f"{owner.__module__}.{owner.__qualname__}"
        if name.startswith(_OURS):
            counts[f"instances of {name}"] += 1
        elif not name.startswith(_ALSO):
            continue
        for attribute, count in entries_of(each).items():
            counts[f"in {name}.{attribute}"] += count
    for module_name, module in list(sys.modules.items()):
        if module_name.startswith(_OURS):
            for attribute, count in entries_of(module).items():
                counts[f"in {module_name}.{attribute}"] += count
    return dict(counts)


def _resident_kib() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


if __name__ == "__main__":
    sys.exit(main(Settings(**json.loads(sys.argv[1]))))
