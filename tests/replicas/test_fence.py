"""What a replica sends is stopped at the last moment: the time that it waits for a connection is long enough to be
stopped in, and woken when another has taken the work over.

The server is a fake: no real one keeps a handshake waiting until it is told to go on.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from csr_operator.fence import Fenced, fenced
from csr_operator.plugin.http import http_session
from tests.support.authorities import authority


@dataclass
class SlowServer:
    """HTTP over TLS, which accepts no connection before it is told to."""

    context: ssl.SSLContext
    listening: socket.socket
    waiting: asyncio.Event = field(default_factory=asyncio.Event)
    heard: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)
    """What each connection said first; nothing if it was closed before it said anything."""

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.listening.getsockname()[1]}/"

    async def wait_called(self) -> None:
        """Until somebody wants to connect."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self.listening, self.waiting.set)
        try:
            await asyncio.wait_for(self.waiting.wait(), 30)
        finally:
            loop.remove_reader(self.listening)

    @asynccontextmanager
    async def answering(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._serve, sock=self.listening, ssl=self.context)
        try:
            yield
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.read(4096)
        if first:
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()
        await self.heard.put(first)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SlowServer]:
    pair = authority("127.0.0.1")
    (tmp_path / "server.pem").write_text(pair.certificate + pair.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield SlowServer(context, listening)


@asynccontextmanager
async def underway(server: SlowServer, method: str, may_act: Callable[[], bool]) -> AsyncIterator[asyncio.Task[int]]:
    """A call that waits for its connection."""
    async with http_session() as session:

        async def call() -> int:
            body = b"an order" if method == "POST" else None
            with fenced(may_act):
                async with session.request(method, server.url, data=body, ssl=False) as response:
                    return response.status

        task = asyncio.create_task(call())
        await server.wait_called()
        yield task


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_what_waited_for_a_connection_is_not_sent_for_another_replica(server: SlowServer, method: str) -> None:
    may_act = True
    async with underway(server, method, lambda: may_act) as task:
        may_act = False
        async with server.answering():
            with pytest.raises(Fenced):
                await asyncio.wait_for(task, 30)
            assert await asyncio.wait_for(server.heard.get(), 30) == b""


async def test_not_even_when_it_was_taken_over_between_the_headers_and_the_body(server: SlowServer) -> None:
    answers = iter([True])  # to the first question; to all further ones: no
    async with underway(server, "POST", lambda: next(answers, False)) as task, server.answering():
        with pytest.raises(Fenced):
            await asyncio.wait_for(task, 30)
        assert await asyncio.wait_for(server.heard.get(), 30) == b""


@pytest.mark.parametrize("method", ["POST", "DELETE", "GET"])
async def test_what_is_its_own_is_sent(server: SlowServer, method: str) -> None:
    async with underway(server, method, lambda: True) as task, server.answering():
        assert await asyncio.wait_for(task, 30) == 204
        assert (await asyncio.wait_for(server.heard.get(), 30)).startswith(f"{method} / ".encode())


async def test_what_only_reads_is_anybodys(server: SlowServer) -> None:
    async with underway(server, "GET", lambda: False) as task, server.answering():
        assert await asyncio.wait_for(task, 30) == 204
