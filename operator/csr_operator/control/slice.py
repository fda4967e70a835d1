"""How long the workers may have the event loop before whoever else waits for it has a turn."""

import asyncio
from collections import deque

_LENGTH = 0.005
"""Seconds, for all workers together: most keys take a tenth of a millisecond, in which their worker need not wait."""


class Slice:
    """The workers' share of one round of the event loop.

    Without it, ten thousand keys that need nothing from outside, as after a start, are one piece of work.
    """

    def __init__(self) -> None:
        self._ends = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def wait(self) -> None:
        """Return at once while there is something left of it, else in one of the next rounds."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._ends:
            return
        if not self._waiting:
            loop.call_soon(self._renew)
        self._waiting.append(turn := loop.create_future())
        await turn

    def end(self) -> None:
        """Nothing is left of it: what was begun just now is to have the next round."""
        self._ends = 0.0

    def _renew(self) -> None:
        loop = asyncio.get_running_loop()
        self._ends = loop.time() + _LENGTH
        # One in each round: more would find it used up, and wait again.
        while self._waiting and (turn := self._waiting.popleft()).done():
            pass  # its worker was stopped
        if not turn.done():
            turn.set_result(None)
        if self._waiting:
            loop.call_soon(self._renew)
