"""Goes between the operator and the API server: sees each call, and breaks all connections at the moment that is asked.

The API server has then done what it was asked, and nobody was told: as when it is killed, or a load balancer changes
over.
"""

import base64
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import aiohttp
import yaml
from aiohttp import web

from devcluster import ControlPlane
from tests.support.loop import LoopThread

_HOP_BY_HOP = frozenset(("connection", "content-length", "transfer-encoding", "keep-alive", "host", "content-encoding"))


@dataclass(slots=True)
class LossyApi:
    """A context manager; it serves plain HTTP on a port of 127.0.0.1, from a thread of its own.

    broken: of how many calls the answer was lost.
    """

    cluster: ControlPlane
    broken: int = 0
    _lose: list[tuple[str, str]] = field(default_factory=list)
    _loop: LoopThread = field(default_factory=lambda: LoopThread("lossy-api", patience=20.0))
    _runner: web.AppRunner | None = None
    _session: aiohttp.ClientSession | None = None

    def __enter__(self) -> "LossyApi":
        cluster = yaml.safe_load(Path(self.cluster.kubeconfig).read_text())["clusters"][0]["cluster"]
        self._loop.start()
        self._loop.run(self._start(ssl.create_default_context(cadata=_authority(cluster))))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._loop.run(self._end())
        self._loop.end()

    def lose_answer(self, method: str, path: str) -> None:
        """Break all connections, once, after the server did the next call of `method` whose path ends so."""
        self._lose.append((method, path))

    def kubeconfig(self, kubeconfig: Path, folder: Path) -> Path:
        """A copy of `kubeconfig`, in `folder`, that goes through this."""
        assert self._runner is not None
        config = yaml.safe_load(kubeconfig.read_text())
        for cluster in config["clusters"]:
            cluster["cluster"] = {"server": f"http://127.0.0.1:{self._runner.addresses[0][1]}"}
        path = folder / "through-lossy-api.kubeconfig"
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(config))
        return path

    async def _start(self, trusted: ssl.SSLContext) -> None:
        connector = aiohttp.TCPConnector(ssl=trusted, limit=0)
        self._session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None))
        application = web.Application(client_max_size=8 * 1024 * 1024)
        application.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()

    async def _end(self) -> None:
        assert self._runner is not None
        assert self._session is not None
        self._cut()
        await self._runner.cleanup()
        await self._session.close()

    def _cut(self) -> None:
        assert self._runner is not None
        assert self._runner.server is not None
        for handler in list(self._runner.server.connections):
            if handler.transport is not None:
                handler.transport.abort()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        assert self._session is not None
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
        body = await request.read()
        async with self._session.request(
            request.method, f"{self.cluster.url}{request.path_qs}", data=body or None, headers=headers
        ) as answer:
            planned = next((p for p in self._lose if request.method == p[0] and request.path.endswith(p[1])), None)
            if planned is not None and answer.status < 300:
                self._lose.remove(planned)
                self.broken += 1
                self._cut()
                return web.Response()
            passed = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP}
            response = web.StreamResponse(status=answer.status, headers=passed)
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response


def _authority(cluster: dict[str, str]) -> str:
    if "certificate-authority-data" in cluster:
        return base64.b64decode(cluster["certificate-authority-data"]).decode()
    return Path(cluster["certificate-authority"]).read_text()
