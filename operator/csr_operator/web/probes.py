"""`/metrics` on one port; `/healthz` and `/readyz` on another, so that no scrape keeps the kubelet waiting."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from aiohttp import web
from prometheus_client.exposition import choose_encoder

from csr_operator.metrics import REGISTRY

from .ports import Port, serve_requests

_MOST_SCRAPES = 16
"""Connections at once. Each may hold all that there is to show until it has been sent."""

_MOST_PROBES = 32

_OPEN_METRICS = "application/openmetrics-text"


def serve_metrics(host: str, port: int, kept: float) -> AbstractAsyncContextManager[None]:
    """Serve while the context lasts, which raises CannotListen.

    kept: seconds for which what was rendered once serves all who ask.
    """
    exposition = _Exposition(kept)

    async def respond(request: web.BaseRequest) -> web.Response:
        if request.rel_url.raw_path != "/metrics":
            return web.Response(status=404)
        # Of what is asked for nothing but this is taken: each form is rendered and kept by itself.
        wanted = _OPEN_METRICS if _OPEN_METRICS in request.headers.get("Accept", "") else ""
        _, content_type = choose_encoder(wanted)
        return web.Response(body=await exposition.text(wanted), headers={"Content-Type": content_type})

    return serve_requests(Port(host, port, "--metrics-address", _MOST_SCRAPES), respond)


def serve_probes(
    host: str, port: int, not_ready: Callable[[], str], not_alive: Callable[[], str]
) -> AbstractAsyncContextManager[None]:
    """Serve while the context lasts, which raises CannotListen.

    not_ready, not_alive: say why `/readyz` and `/healthz` are 503; empty if they are not.
    """

    async def respond(request: web.BaseRequest) -> web.Response:
        match request.rel_url.raw_path:
            case "/readyz":
                why = not_ready()
            case "/healthz":
                why = not_alive()
            case _:
                return web.Response(status=404)
        return web.Response(status=503, text=f"{why}\n") if why else web.Response(text="ok\n")

    return serve_requests(Port(host, port, "--probe-address", _MOST_PROBES), respond)


class _Exposition:
    """The metrics as text. That of thousands of requests takes a while: a thread renders, one form at a time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._kept: dict[str, asyncio.Task[bytes]] = {}
        self._turn = asyncio.Lock()

    async def text(self, accepted: str) -> bytes:
        """In the form that this header `Accept` asks for."""
        if accepted not in self._kept:
            self._kept[accepted] = asyncio.create_task(self._render(accepted))
        return await asyncio.shield(self._kept[accepted])  # who goes away stops it for nobody else

    async def _render(self, accepted: str) -> bytes:
        encode, _ = choose_encoder(accepted)
        try:
            async with self._turn:
                return await asyncio.to_thread(encode, REGISTRY)
        finally:
            asyncio.get_running_loop().call_later(self._seconds, self._kept.pop, accepted)
