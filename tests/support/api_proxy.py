"""Goes between the operator and the API server, and does what busy servers, load balancers and proxies do at times."""

import asyncio
import base64
import itertools
import json
import random
import ssl
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import yaml
from aiohttp import web
from yarl import URL

from csr_operator.kube import resources
from tests.support.loop import LoopThread

WATCHED = tuple(resource.plural for resource in resources.WATCHED.values())
_SEEN = (*WATCHED, resources.LEASES.plural)


READS = ("GET", "watch", "continue")
WRITES = ("POST", "PUT", "PATCH", "DELETE")


@dataclass(slots=True, eq=False)
class Fault:
    """What becomes of the next `times` calls of `resource` (empty: any) by one of `verbs` (empty: any).

    verbs: methods of HTTP, and for some of GET `watch`, or `continue` for what is not the first page of a list.
    status: what each is answered with instead, if not 0, with `headers` and `text`. cut: it is done, and the answer
    breaks off in the middle. lost: it is done, and the connection ends without an answer. before: done before it, with
    its path.
    """

    times: int
    resource: str = ""
    verbs: tuple[str, ...] = ()
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    cut: bool = False
    lost: bool = False
    before: Callable[[str], Awaitable[None]] | None = None

    def meets(self, resource: str, verb: str) -> bool:
        """Whether it is for this call; it counts as one, then."""
        if not self.times or (self.resource and self.resource != resource) or (self.verbs and verb not in self.verbs):
            return False
        self.times -= 1
        return True


@dataclass(frozen=True, slots=True)
class Passed:
    """A call that came, and how it was answered (0: not at all)."""

    resource: str
    verb: str
    path: str
    status: int
    at: float
    """When it came, by the monotonic clock."""


@dataclass(slots=True, eq=False)
class _Stream:
    """An open watch. said: what is said instead of what the server says, at the end of the stream. rest: of an event,
    the beginning. held: events that are shown later."""

    resource: str
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    is_over: bool = False
    said: bytes = b""
    rest: bytes = b""
    held: list[bytes] = field(default_factory=list)


@dataclass(slots=True)
class ApiProxy:
    """A context manager; it serves HTTP from a thread of its own, as who the caller's token says.

    server: a kubeconfig that leads to it. answers: by resource (`*`: any), how each call is answered instead; once: the
    next one. seen: resource and verb of what came, the resource being empty unless it is watched, or that of Leases.
    muted: watches bring nothing. broken: how many answers were lost.
    faults: of which the first that meets a call is what becomes of it. passed: what came and was answered. echoes: how
    often each event is repeated. held: events are held back. page: objects in a page of a list of what is watched, if
    fewer are wanted. gone: of what the API server said that it had forgotten (410).
    """

    server: Path
    answers: dict[str, tuple[int, str]] = field(default_factory=dict)
    once: dict[str, tuple[int, str]] = field(default_factory=dict)
    seen: list[tuple[str, str]] = field(default_factory=list)
    muted: bool = False
    broken: int = 0
    faults: list[Fault] = field(default_factory=list)
    passed: list[Passed] = field(default_factory=list)
    echoes: int = 0
    held: bool = False
    page: int = 0
    gone: list[str] = field(default_factory=list)
    chance: random.Random = field(default_factory=lambda: random.Random(0))
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

    def show(self) -> None:
        """All events that were held back, each object's in their order, and those of several mixed."""
        self.held = False
        self._loop.run(self._show())

    def writes(self) -> list[Passed]:
        """Those that were passed on, without the Leases by which replicas agree."""
        return [call for call in self.passed if call.verb not in READS and call.resource != resources.LEASES.plural]

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
            stream.is_over = True
            stream.woken.set()
        assert self._runner is not None
        assert self._session is not None
        await self._runner.cleanup()
        await self._session.close()

    async def _say(self, resource: str, line: bytes) -> None:
        for stream in self._streams:
            if stream.resource == resource:
                stream.said, stream.is_over = line, True
                stream.woken.set()

    async def _show(self) -> None:
        for stream in self._streams:
            stream.woken.set()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        resource = next((name for name in reversed(request.path.split("/")) if name in _SEEN), "")
        verb = "watch" if request.query.get("watch") == "true" else request.method
        self.seen.append((resource, verb))
        if "continue" in request.query:
            verb = "continue"
        began, status = time.monotonic(), 0
        try:
            answer = self.once.pop(resource, None) or self.answers.get(resource) or self.answers.get("*")
            if answer is not None:
                status, text = answer
                return web.Response(status=status, text=text)
            fault = next((fault for fault in self.faults if fault.meets(resource, verb)), None)
            if fault is not None and fault.before is not None:
                await fault.before(request.path)
            if fault is not None and fault.status:
                status = fault.status
                return web.Response(status=status, text=fault.text, headers=fault.headers)
            response = await self._pass_on(request, resource, verb, fault)
            status = response.status
            if status == 410:
                self.gone.append(resource)
            return response
        finally:
            self.passed.append(Passed(resource, verb, request.path, status, began))

    async def _pass_on(
        self, request: web.BaseRequest, resource: str, verb: str, fault: Fault | None
    ) -> web.StreamResponse:
        assert self._session is not None
        headers = {k: v for k, v in request.headers.items() if k.lower() not in ("host", "accept-encoding")}
        url = f"{self._upstream}{request.raw_path}"
        if self.page and resource in WATCHED and "limit" in request.query:
            url = url.replace(f"limit={request.query['limit']}", f"limit={self.page}")
        async with self._session.request(
            request.method,
            URL(url, encoded=True),
            headers=headers,
            data=await request.read() or None,
            timeout=aiohttp.ClientTimeout(total=None),
        ) as given:
            if given.status < 300 and self._is_to_be_lost(request):
                self._break()
                return web.Response()
            if fault is not None and fault.lost:
                await given.read()
                _abort(request)
                return web.Response()
            if verb == "watch" and given.status == 200:
                return await self._stream(request, resource, given)
            body = await given.read()
            content_type = {"Content-Type": given.headers.get("Content-Type", "application/json")}
            if fault is not None and fault.cut:
                return await _cut(request, given.status, body, content_type)
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
        woken = asyncio.create_task(stream.woken.wait())
        chunk: asyncio.Task[bytes] | None = None
        try:
            while True:
                chunk = chunk or asyncio.create_task(given.content.readany())
                await asyncio.wait([chunk, woken], return_when=asyncio.FIRST_COMPLETED)
                if woken.done():
                    stream.woken.clear()
                    woken = asyncio.create_task(stream.woken.wait())
                if chunk.done():
                    data, chunk = chunk.result(), None
                    if not data:
                        break
                    self._keep(stream, data)
                if not self.held or stream.is_over:
                    held, stream.held = stream.held, []
                    if held:
                        await response.write(b"".join(_mixed(held, self.chance)))
                if stream.is_over:
                    if chunk is not None:
                        chunk.cancel()
                    await response.write(stream.said)
                    break
            await response.write_eof()
        except (ConnectionError, aiohttp.ClientError):
            pass
        finally:
            woken.cancel()
            if chunk is not None:
                chunk.cancel()
                if chunk.done() and not chunk.cancelled():
                    chunk.exception()  # Who went away while it failed has nobody else to look at it.
            self._streams.discard(stream)
        return response

    def _keep(self, stream: _Stream, data: bytes) -> None:
        *lines, stream.rest = (stream.rest + data).split(b"\n")
        if any(b'"type":"ERROR"' in line[:20] and b'"code":410' in line for line in lines):
            self.gone.append(stream.resource)
        if not self.muted:
            stream.held += [line + b"\n" for line in lines if line for _ in range(1 + self.echoes)]


def _mixed(lines: Iterable[bytes], chance: random.Random) -> Iterator[bytes]:
    """In another order, but each object's in theirs, and none beyond a bookmark, which says that all before it came."""
    for is_object, part in itertools.groupby(lines, key=lambda line: b'"type":"BOOKMARK"' not in line[:40]):
        if not is_object:
            yield from part
            continue
        queues = defaultdict[tuple[str, str], list[bytes]](list)
        for line in part:
            metadata = json.loads(line)["object"].get("metadata", {})
            queues[metadata.get("namespace", ""), metadata.get("name", "")].append(line)
        rest = list(queues.values())
        while rest:
            queue = chance.choice(rest)
            yield queue.pop(0)
            if not queue:
                rest.remove(queue)


def _abort(request: web.BaseRequest) -> None:
    if request.transport is not None:
        request.transport.abort()


async def _cut(request: web.BaseRequest, status: int, body: bytes, headers: Mapping[str, str]) -> web.StreamResponse:
    """Half of it, and then the end of the connection."""
    response = web.StreamResponse(status=status, headers=headers)
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    _abort(request)
    return response
