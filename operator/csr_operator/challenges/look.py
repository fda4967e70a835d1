"""Looks at what all replicas presented, which cost the same however many CAs, or others, ask."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

logger = logging.getLogger(__name__)

T = TypeVar("T")

_PAUSE = 1.0
"""Seconds from one look to the next."""

_QUIET = 600.0
"""Seconds until the log says again that it cannot look: anybody who connects has it do so, every second."""


class Look(Generic[T]):
    """read: looks, and raises nothing that is to be expected."""

    def __init__(self, read: Callable[[], Awaitable[T]]) -> None:
        self._read = read
        self._queued: asyncio.Task[T] | None = None
        self._looking = asyncio.Lock()
        self._next = 0.0
        self._told: dict[str, float] = {}

    async def fresh(self) -> T:
        """What is there now, or was later than this was called: one look at a time serves all who wait for it."""
        if self._queued is None:
            self._queued = asyncio.create_task(self._look())
        return await asyncio.shield(self._queued)  # who goes away stops it for nobody else

    def failed(self, what: str, error: Exception) -> None:
        """`read` could not look at that; what: one of few."""
        now = asyncio.get_running_loop().time()
        if now - self._told.get(what, float("-inf")) >= _QUIET:
            self._told[what] = now
            logger.warning("cannot look up a challenge: %s", error)

    async def _look(self) -> T:
        loop = asyncio.get_running_loop()
        async with self._looking:
            await asyncio.sleep(self._next - loop.time())
            self._queued = None  # who comes from now on needs a look that begins later
            self._next = loop.time() + _PAUSE
            return await self._read()
