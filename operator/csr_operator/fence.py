"""What a replica may do is asked at the door: before each write to Kubernetes, and before each call of a CA.

Whose work a task does is known where it begins, and not at the door; so it travels in the task's context.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.connector import Connection


class Fenced(Exception):
    """The work is another replica's by now, or may be: nothing more is done for it here."""


_may_act: ContextVar[Callable[[], bool] | None] = ContextVar("may_act", default=None)


@contextmanager
def fenced(may_act: Callable[[], bool]) -> Iterator[None]:
    """Within, and in each task that is begun within, `may_act` is asked at each door."""
    token = _may_act.set(may_act)
    try:
        yield
    finally:
        _may_act.reset(token)


def check_fence() -> None:
    """Pass the door. Raises Fenced. What no replica owns, such as the reading of a kubeconfig, passes always."""
    may_act = _may_act.get()
    if may_act is not None and not may_act():
        raise Fenced("another replica has taken this over, or may have")


def current_fence() -> Callable[[], bool]:
    """What is asked at the doors now, for what outlasts the task that begins it."""
    return _may_act.get() or _always


class FencedRequest(aiohttp.ClientRequest):
    """Asks at the last moment, for `request_class` of a session: to wait for a connection takes long enough for a
    process to be stopped, and woken when its work is another replica's. What only reads passes."""

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        """Raises Fenced."""
        self._check()
        return await super().send(conn)

    async def write_bytes(
        self, writer: AbstractStreamWriter, conn: Connection, content_length: int | None = None
    ) -> None:
        """The body, and with it the headers, which were kept back until now; instead of an answer there is Fenced."""
        try:
            self._check()
        except Fenced as error:
            assert conn.protocol is not None
            conn.protocol.set_exception(error)
            return
        await super().write_bytes(writer, conn, content_length)

    def _check(self) -> None:
        if self.method not in ("GET", "HEAD"):
            check_fence()


def _always() -> bool:
    return True
