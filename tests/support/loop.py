"""An event loop in a thread of its own, for servers that a test without one runs."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def abort_connections() -> None:
    """All that this event loop has, as before it ends."""
    for transport in list(asyncio.get_running_loop()._transports.values()):  # type: ignore[attr-defined]
        transport.abort()
    for _ in range(3):  # a TLS transport is told by the one below it
        await asyncio.sleep(0)


class LoopThread:
    """name: of the thread. patience: seconds that `run` waits."""

    def __init__(self, name: str, patience: float = 30.0) -> None:
        self.loop = asyncio.new_event_loop()
        self._patience = patience
        self._thread = threading.Thread(target=self.loop.run_forever, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """There, from here."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(self._patience)

    def end(self) -> None:
        self.run(self._abort())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    async def _abort(self) -> None:
        """What a client that was killed has left, in the middle of TLS maybe, is no server's to close.

        A connection that was accepted just now is a task before it is a transport.
        """
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await abort_connections()
