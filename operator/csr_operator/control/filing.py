"""Reads objects that the watches show: at once, or in a thread what takes long, in the order in which they came."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Generic, TypeVar

from csr_operator.api.keys import ObjectKey, Raw
from csr_operator.metrics import UNREADABLE
from csr_operator.plugin.offload import LARGE, locate_error, offload, weight_of

from .journal import Journal
from .reconciler import Key

T = TypeVar("T")


class Filing(Generic[T]):
    """Of one kind of object.

    Whatever is in one: if it cannot be filed it is counted, told of in the log, and counts as seen. What takes long to
    read is filed later, and holds up nothing but what comes of the same object meanwhile.
    """

    def __init__(self, parse: Callable[[Raw], T], file: Callable[[T], None], journal: Journal) -> None:
        self._parse, self._put, self._journal = parse, file, journal
        self._unfiled: dict[ObjectKey, str] = {}  # what was seen and cannot be read, with its UID
        self._reading: dict[ObjectKey, asyncio.Task[None]] = {}  # each after what came before

    def observe(self, key: ObjectKey, obj: Raw) -> None:
        """File it, at once or as soon as it is read."""
        weight, before = weight_of([obj.get("spec"), obj.get("status")]), self._reading.get(key)
        if weight <= LARGE and before is None:
            self._file(key, obj["metadata"]["uid"], self._parsed(obj))
        else:
            self._read(key, self._file_later(key, obj, weight, before))

    def forget(self, key: ObjectKey, forgotten: Callable[[], None]) -> None:
        """It is gone: have `forgotten` called once all that came of it before is filed."""
        if (before := self._reading.get(key)) is not None:
            self._read(key, self._forget_later(key, forgotten, before))
        else:
            self._forget(key, forgotten)

    def known(self, filed: Iterable[tuple[ObjectKey, str]], namespace: str) -> dict[Key, str]:
        """What was seen in `namespace` (empty: in all), with the UIDs: what is filed, and what cannot be read."""
        seen: dict[Key, str] = {key: uid for key, uid in self._unfiled.items() if namespace in ("", key.namespace)}
        seen.update(filed if not namespace else (entry for entry in filed if entry[0].namespace == namespace))
        return seen

    async def all_filed(self) -> None:
        """Return when all that was shown until now is filed."""
        if self._reading:
            await asyncio.wait([*self._reading.values()])

    async def stop(self) -> None:
        """Give up what is being read."""
        tasks = [*self._reading.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _read(self, key: ObjectKey, coroutine: Coroutine[Any, Any, None]) -> None:
        self._reading[key] = task = asyncio.create_task(coroutine)

        def over(_: asyncio.Task[None]) -> None:
            if self._reading.get(key) is task:
                del self._reading[key]

        task.add_done_callback(over)

    async def _file_later(self, key: ObjectKey, obj: Raw, weight: int, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        self._file(key, obj["metadata"]["uid"], await offload(weight, self._parsed, obj))

    async def _forget_later(self, key: ObjectKey, forgotten: Callable[[], None], before: asyncio.Task[None]) -> None:
        await asyncio.wait([before])
        self._forget(key, forgotten)

    def _forget(self, key: ObjectKey, forgotten: Callable[[], None]) -> None:
        self._unfiled.pop(key, None)
        forgotten()

    def _parsed(self, obj: Raw) -> T | Exception:
        """Or the error, if it cannot be read."""
        try:
            return self._parse(obj)
        except Exception as error:
            return error

    def _file(self, key: ObjectKey, uid: str, parsed: T | Exception) -> None:
        try:
            if isinstance(parsed, Exception):
                raise parsed
            self._put(parsed)
            self._unfiled.pop(key, None)
        except Exception as error:
            self._unfiled[key] = uid
            UNREADABLE.labels(key.kind).inc()
            self._journal.say(logging.ERROR, key, f"cannot be read, and is left alone: {locate_error(error)}")
