"""A TCP proxy that goes between a client and a server, to do to a connection what networks do."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from tests.support.loop import LoopThread


class Proxy:
    """Passes bytes between its own port of 127.0.0.1 and `upstream` (a port there as well), TLS and all.

    A context manager; it serves from a thread of its own. received: bytes that came from upstream until now.
    """

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._links: dict[_Link, asyncio.Task[None]] = {}
        self._loop = LoopThread("proxy", patience=10.0)
        self._server: asyncio.Server | None = None
        self._stuck = False
        self.port = 0
        self.received = 0

    def __enter__(self) -> "Proxy":
        self._loop.start()
        self._loop.run(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.run(self._end())
        self._loop.end()

    def cut(self) -> None:
        """Break all connections there are; new ones are served."""
        self._loop.run(self._cut())

    def refuse(self) -> None:
        """Break all connections there are, and refuse new ones until `accept`."""
        self._loop.run(self._close())

    def accept(self) -> None:
        """Serve new connections again."""
        self._loop.run(self._listen())

    def silence(self) -> None:
        """Let the connections there are fall silent: open on both sides, but nothing passes; new ones are served."""
        self._loop.run(self._silence(stuck=False))

    def swallow(self) -> None:
        """Like `silence`, and new connections are silent as well until `accept`."""
        self._loop.run(self._silence(stuck=True))

    async def _listen(self) -> None:
        self._stuck = False
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(writer, self._count, silent=self._stuck)
        task = asyncio.current_task()
        assert task is not None
        self._links[link] = task
        try:
            await link.pass_on(reader, self._upstream)
        finally:
            del self._links[link]

    def _count(self, data: bytes) -> None:
        self.received += len(data)

    async def _silence(self, *, stuck: bool) -> None:
        self._stuck = stuck
        for link in self._links:
            link.silent = True

    async def _cut(self) -> None:
        for link in list(self._links):
            link.cut()

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._cut()

    async def _end(self) -> None:
        await self._close()
        await asyncio.gather(*self._links.values(), return_exceptions=True)


class _Link:
    """One connection through the proxy."""

    def __init__(self, client: asyncio.StreamWriter, received: Callable[[bytes], None], *, silent: bool) -> None:
        self._writers = [client]
        self._received = received
        self._ended = asyncio.Event()
        self.silent = silent

    async def pass_on(self, from_client: asyncio.StreamReader, upstream: int) -> None:
        pumps = []
        try:
            from_server, to_server = await asyncio.open_connection("127.0.0.1", upstream)
            to_client = self._writers[0]
            self._writers.append(to_server)
            pumps = [
                asyncio.create_task(self._pump(from_client, to_server, lambda _: None)),
                asyncio.create_task(self._pump(from_server, to_client, self._received)),
            ]
            await self._ended.wait()
        except OSError:
            pass
        finally:
            for pump in pumps:
                pump.cancel()
            self.cut()

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._ended.set()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passed: Callable[[bytes], None]
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if self.silent:
                    return
                writer.write(data)
                passed(data)
                await writer.drain()
        if not self.silent:
            self._ended.set()


def kubeconfig_through(proxy: Proxy, kubeconfig: Path, folder: Path) -> Path:
    """A copy of `kubeconfig`, in `folder`, that goes through `proxy`."""
    config = yaml.safe_load(kubeconfig.read_text())
    for cluster in config["clusters"]:
        cluster["cluster"]["server"] = f"https://127.0.0.1:{proxy.port}"
    path = folder / "proxied.kubeconfig"
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(config))
    return path


def port_of(url: str) -> int:
    """The port in a URL that has one."""
    port = urlsplit(url).port
    assert port is not None
    return port
