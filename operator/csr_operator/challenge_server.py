"""The two listeners to which CAs connect, with an Ingress or a load balancer in between: http-01 and tls-alpn-01.

Everybody can reach them: a connection is short, there are only so many, and nothing else is served.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import cast

from aiohttp import web

from csr_acme.challenges import HTTP_PATH

from .web import CannotListen

logger = logging.getLogger(__name__)

_PATIENCE = 10.0
"""Seconds after which a connection is cut, whatever it is at."""

_MOST = 512
"""Connections at once."""

_HEADERS = {"Content-Type": "application/octet-stream", "X-Content-Type-Options": "nosniff"}


@asynccontextmanager
async def serve_http(host: str, port: int, answer: Callable[[str, str], Awaitable[str | None]]) -> AsyncIterator[None]:
    """Serve http-01 (RFC 8555, section 8.3) while the context lasts. Raises CannotListen.

    answer: given the header Host and a token of any form, the key authorization; None if there is none.
    """

    async def handle(request: web.BaseRequest) -> web.Response:
        response = await _respond(request, answer)
        response.force_close()
        return response

    noise = logging.getLogger(f"{__name__}.http")
    noise.setLevel(logging.CRITICAL)  # what is no HTTP comes by every day
    server = web.Server(handle, access_log=None, logger=noise)
    loop = asyncio.get_running_loop()

    def connection() -> asyncio.Protocol:
        if len(server.connections) >= _MOST:
            return _Refusal()
        handler = server()
        loop.call_later(_PATIENCE, handler.force_close)
        return handler

    listener = await loop.create_server(connection, sock=_bound(host, port, "--acme-http-address"))
    try:
        yield
    finally:
        listener.close()
        await server.shutdown(1.0)


class _Refusal(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).abort()


async def _respond(request: web.BaseRequest, answer: Callable[[str, str], Awaitable[str | None]]) -> web.Response:
    path = request.rel_url.raw_path
    if not path.startswith(HTTP_PATH):
        return web.Response(status=404)
    if request.method not in ("GET", "HEAD"):
        return web.Response(status=405, headers={"Allow": "GET, HEAD"})
    host = request.headers.get("Host", "")
    try:
        found = await answer(host, path.removeprefix(HTTP_PATH))
    except Exception:
        logger.exception("unexpected, at a challenge")
        return web.Response(status=500)
    if found is None:
        return web.Response(status=404)
    logger.info("http-01: answered %s, which asked for %s", request.remote, host)
    return web.Response(body=found.encode(), headers=_HEADERS)


@asynccontextmanager
async def serve_tls(host: str, port: int, context: ssl.SSLContext) -> AsyncIterator[None]:
    """Serve tls-alpn-01 (RFC 8737) while the context lasts: a handshake, and no more. Raises CannotListen."""
    listener = _bound(host, port, "--acme-tls-address")
    accepting = asyncio.create_task(_accept(listener, context))
    try:
        yield
    finally:
        accepting.cancel()
        await asyncio.wait([accepting])
        listener.close()


async def _accept(listener: socket.socket, context: ssl.SSLContext) -> None:
    loop = asyncio.get_running_loop()
    free = asyncio.Semaphore(_MOST)

    async def greet(connection: socket.socket) -> None:
        try:
            transport, _ = await loop.connect_accepted_socket(
                asyncio.Protocol,
                connection,
                ssl=context,
                ssl_handshake_timeout=_PATIENCE,
                ssl_shutdown_timeout=1.0,
            )
            transport.close()
        except OSError as error:
            logger.debug("no handshake: %s", error)
        finally:
            free.release()

    async with asyncio.TaskGroup() as connections:
        while True:
            await free.acquire()
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError as error:  # such as too many open files
                logger.warning("tls-alpn-01: cannot accept a connection: %s", error)
                free.release()
                await asyncio.sleep(1.0)
                continue
            connections.create_task(greet(connection))


def _bound(host: str, port: int, argument: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    both = host == "::" and socket.has_dualstack_ipv6()
    try:
        listener = socket.create_server((host, port), family=family, backlog=_MOST, dualstack_ipv6=both)
    except OSError as error:
        text = f"cannot listen on {host}:{port}: {error.strerror or error}: choose another {argument}"
        raise CannotListen(text) from error
    listener.setblocking(False)
    return listener
