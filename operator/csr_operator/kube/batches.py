"""What comes on a watch, some changes at a time.

To be woken for a single change costs several times what it costs to read it, and where several replicas share the work
most changes are another one's.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress

import aiohttp

_INTERVAL = 0.1
"""Seconds for which more is waited for, when something was read."""

_ENOUGH = 64 * 1024
"""Bytes that are not waited with."""


class Batches:
    """The body of `response`: what comes after a silence is read at once, and what follows ten times a second.

    The kernel keeps it until then (SO_RCVLOWAT of socket(7)); where it does not, each change is read as it comes.
    """

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._content = response.content
        transport = response.connection.transport if response.connection is not None else None
        self._socket: socket.socket | None = transport.get_extra_info("socket") if transport is not None else None
        self._timer: asyncio.TimerHandle | None = None

    async def chunks(self) -> AsyncIterator[bytes]:
        """All of it; `end` is to be called after that."""
        async for chunk in self._content.iter_any():
            yield chunk
            if self._timer is None:
                self._wait_for(_ENOUGH)
                self._timer = asyncio.get_running_loop().call_later(_INTERVAL, self.end)

    def end(self) -> None:
        """From now on what comes is read at once."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._wait_for(1)

    def _wait_for(self, count: int) -> None:
        if self._socket is not None:
            with suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, count)
