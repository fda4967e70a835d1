"""`/metrics`, `/healthz` and `/readyz`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client.exposition import choose_encoder

from .metrics import REGISTRY


class CannotListen(Exception):
    """The address is in use, or not one of this host."""


@asynccontextmanager
async def serve(host: str, port: int, ready: asyncio.Event) -> AsyncIterator[None]:
    """Serve while the context lasts; `/readyz` is 503 until `ready` is set. Raises CannotListen."""

    async def metrics(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(REGISTRY), headers={"Content-Type": content_type})

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        if ready.is_set():
            return web.Response(text="ok\n")
        return web.Response(status=503, text="not everything has been listed yet\n")

    application = web.Application()
    application.add_routes([web.get("/metrics", metrics), web.get("/healthz", healthz), web.get("/readyz", readyz)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            text = f"cannot listen on {host}:{port}: {error.strerror}: choose another --metrics-address"
            raise CannotListen(text) from error
        yield
    finally:
        await runner.cleanup()
