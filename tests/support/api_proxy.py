"""Goes between the operator and the API server, and does what busy servers, load balancers and proxies do at times."""

import asyncio
import base64
import ssl
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import yaml
from aiohttp import web

from csr_operator.kube import resources
from tests.support.loop import LoopThread

WATCHED = tuple(resource.plural for resource in resources.WATCHED.values())
_SEEN = (*WATCHED, resources.LEASES.plural)


@dataclass(slots=True, eq=False)
class _Stream:
    """An open watch. said: what is said instead of what the server says, at the end of the stream."""

    resource: str
    over: asyncio.Event = field(default_factory=asyncio.Event)
    said: bytes = b""


@dataclass(slots=True)
class ApiProxy:
    """A context manager; it serves HTTP from a thread of its own, as who the caller's token says.

    server: a kubeconfig that leads to it. answers: by resource (`*`: any), how each call is answered instead; once: the
    next one. seen: resource and verb of what came, the resource being empty unless it is watched, or that of Leases.
    muted: watches bring nothing. broken: how many answers were lost.
    """

    server: Path
    answers: dict[str, tuple[int, str]] = field(default_factory=dict)
    once: dict[str, tuple[int, str]] = field(default_factory=dict)
    seen: list[tuple[str, str]] = field(default_factory=list)
    muted: bool = False
    broken: int = 0
    port: int = 0
    _to_lose: list[tuple[str, str]] = field(default_factory=list)
    _streams: set[_Stream] = field(default_factory=set)
    _loop: LoopThread = field(default_factory=lambda: LoopThread("api-proxy"))
    _upstream: str = ""
    _runner: web.ServerRunner | None = None
    _session: aiohttp.ClientSession | None = None

    def __enter__(self) -> "ApiProxy":
        self._loop.start()
        self._loop.run(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.run(self._end())
        self._loop.end()

    def say(self, resource: str, line: bytes) -> None:
        """On the watches of `resource` that are open, after which they end as they should."""
        self._loop.run(self._say(resource, line))

    def cut(self) -> None:
        """End all watches that are open."""
        for resource in WATCHED:
            self.say(resource, b"")

    def lose_answer(self, method: str, path: str) -> None:
        """Break all connections, once, after the server did the next call of `method` whose path ends so.

        Nobody is told that it did: as when it is killed, or a load balancer changes over.
        """
        self._to_lose.append((method, path))

    def watches(self, resource: str) -> int:
        """How many were begun until now."""
        return self.seen.count((resource, "watch"))

    def kubeconfig(self, original: Path, folder: Path) -> Path:
        """A copy of `original`, in `folder`, that goes through here."""
        config = yaml.safe_load(original.read_text())
        for cluster in config["clusters"]:
            cluster["cluster"] = {"server": f"http://127.0.0.1:{self.port}"}
        path = folder / "through-the-proxy.kubeconfig"
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(config))
        return path

    async def _start(self) -> None:
        upstream = yaml.safe_load(self.server.read_text())["clusters"][0]["cluster"]
        self._upstream = upstream["server"]
        authority = base64.b64decode(upstream["certificate-authority-data"]).decode()
        trusted = ssl.create_default_context(cadata=authority)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=trusted), auto_decompress=False, read_bufsize=2**21
        )
        server = web.Server(self._serve, handler_cancellation=True)
        self._runner = web.ServerRunner(server, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _end(self) -> None:
        for stream in self._streams:
            stream.over.set()
        assert self._runner is not None
        assert self._session is not None
        await self._runner.cleanup()
        await self._session.close()

    async def _say(self, resource: str, line: bytes) -> None:
        for stream in self._streams:
            if stream.resource == resource:
                stream.said = line
                stream.over.set()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        resource = next((name for name in reversed(request.path.split("/")) if name in _SEEN), "")
        is_watch = request.query.get("watch") == "true"
        self.seen.append((resource, "watch" if is_watch else request.method))
        answer = self.once.pop(resource, None) or self.answers.get(resource) or self.answers.get("*")
        if answer is not None:
            status, text = answer
            return web.Response(status=status, text=text)
        assert self._session is not None
        headers = {k: v for k, v in request.headers.items() if k.lower() not in ("host", "accept-encoding")}
        async with self._session.request(
            request.method,
            f"{self._upstream}{request.raw_path}",
            headers=headers,
            data=await request.read() or None,
            timeout=aiohttp.ClientTimeout(total=None),
        ) as given:
            if given.status < 300 and self._is_to_be_lost(request):
                self._break()
                return web.Response()
            if is_watch and given.status == 200:
                return await self._stream(request, resource, given)
            body = await given.read()
            content_type = {"Content-Type": given.headers.get("Content-Type", "application/json")}
            return web.Response(status=given.status, body=body, headers=content_type)

    def _is_to_be_lost(self, request: web.BaseRequest) -> bool:
        for method, path in self._to_lose:
            if request.method == method and request.path.endswith(path):
                self._to_lose.remove((method, path))
                return True
        return False

    def _break(self) -> None:
        self.broken += 1
        assert self._runner is not None
        assert self._runner.server is not None
        for connection in list(self._runner.server.connections):
            if connection.transport is not None:
                connection.transport.abort()

    async def _stream(
        self, request: web.BaseRequest, resource: str, given: aiohttp.ClientResponse
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        stream = _Stream(resource)
        self._streams.add(stream)
        over = asyncio.create_task(stream.over.wait())
        chunk: asyncio.Task[bytes] | None = None
        try:
            while True:
                chunk = asyncio.create_task(given.content.readany())
                await asyncio.wait([chunk, over], return_when=asyncio.FIRST_COMPLETED)
                if over.done():
                    chunk.cancel()
                    await response.write(stream.said)
                    break
                if not chunk.result():
                    break
                if not self.muted:
                    await response.write(chunk.result())
            await response.write_eof()
        except (ConnectionError, aiohttp.ClientError):
            pass
        finally:
            over.cancel()
            if chunk is not None and chunk.done() and not chunk.cancelled():
                chunk.exception()  # Who went away while it failed has nobody else to look at it.
            self._streams.discard(stream)
        return response
