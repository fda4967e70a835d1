"""Another address for a DNS server on loopback: named listens only on addresses that an interface has."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast


@contextmanager
def relay(listen: tuple[str, int], upstream: tuple[str, int]) -> Iterator[None]:
    """Carry UDP and TCP from one address to another."""
    loop, ready = asyncio.new_event_loop(), threading.Event()

    async def serve() -> None:
        transport, _ = await loop.create_datagram_endpoint(lambda: _Front(upstream), local_addr=listen)
        server = await asyncio.start_server(lambda r, w: _carry(r, w, upstream), *listen)
        ready.set()
        try:
            await asyncio.Event().wait()
        finally:
            transport.close()
            server.close()

    task = loop.create_task(serve())
    thread = threading.Thread(target=_run, args=(loop, task), daemon=True)
    thread.start()
    try:
        assert ready.wait(10), f"nothing can listen on {listen}"
        yield
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()
        loop.close()


def _run(loop: asyncio.AbstractEventLoop, task: asyncio.Task[None]) -> None:
    loop.run_until_complete(asyncio.gather(task, return_exceptions=True))


class _Front(asyncio.DatagramProtocol):
    """Opens a socket of its own for each question, and closes it after the answer."""

    def __init__(self, upstream: tuple[str, int]) -> None:
        self._upstream, self._tasks = upstream, set[asyncio.Task[None]]()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, source: tuple[str, int]) -> None:
        task = asyncio.get_running_loop().create_task(self._answer(data, source))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, data: bytes, source: tuple[str, int]) -> None:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bytes] = loop.create_future()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Back(answer), remote_addr=self._upstream)
        try:
            transport.sendto(data)
            self._transport.sendto(await asyncio.wait_for(answer, 10), source)
        except (TimeoutError, OSError):
            pass
        finally:
            transport.close()


class _Back(asyncio.DatagramProtocol):
    def __init__(self, answer: asyncio.Future[bytes]) -> None:
        self._answer = answer

    def datagram_received(self, data: bytes, source: object) -> None:
        if not self._answer.done():
            self._answer.set_result(data)

    def error_received(self, error: Exception) -> None:
        if not self._answer.done():
            self._answer.set_exception(error)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upstream: tuple[str, int]) -> None:
    try:
        back, forth = await asyncio.open_connection(*upstream)
        await asyncio.gather(_pipe(reader, forth), _pipe(back, writer))
    except OSError:
        writer.close()


async def _pipe(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    finally:
        sink.close()
