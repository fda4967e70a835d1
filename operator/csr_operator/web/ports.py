"""The ports to which others connect: what one of them may take of a port, and how long.

Everybody in the cluster, and for challenges everybody at all, can reach them. So a port has only so many connections,
and half of them for one peer; each carries one request, or handshake, which has to come soon; and where there is no
room, the one that has been silent for longest makes some. A crowd of silent connections keeps nobody out.
"""

import asyncio
import ipaddress
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from aiohttp import web

from .handshakes import Choose, part, shake_hands

logger = logging.getLogger(__name__)

_HEAD = 5.0
"""Seconds until the head of the request, or the handshake, has to be there."""

_WHOLE = 10.0
"""Seconds from then on after which a connection is cut, whatever it is at."""


class CannotListen(Exception):
    """The address is in use, or not one of this host."""


@dataclass(frozen=True, slots=True)
class Port:
    """Where to listen. argument: of `csr-operator run`, which says so. most: connections at once."""

    host: str
    port: int
    argument: str
    most: int


@asynccontextmanager
async def serve_requests(
    port: Port, answer: Callable[[web.BaseRequest], Awaitable[web.Response]]
) -> AsyncIterator[None]:
    """Have GET and HEAD answered while the context lasts, one for each connection; no body is read.

    Raises CannotListen.
    """
    visits: dict[asyncio.BaseProtocol, _Visit] = {}

    async def handle(request: web.BaseRequest) -> web.Response:
        visit = visits.get(request.protocol)
        if visit is not None:
            visit.heard()
        response = await _answer(request, answer)
        response.force_close()
        return response

    noise = logging.getLogger(f"{__name__}.http")
    noise.setLevel(logging.CRITICAL)  # what is no HTTP comes by every day
    server = _Server(handle, handler_cancellation=True, access_log=None, logger=noise, lingering_time=0)
    loop = asyncio.get_running_loop()

    async def greet(connection: socket.socket, visit: _Visit) -> None:
        handler = server()
        server.gone[handler] = gone = loop.create_future()
        visits[handler] = visit
        try:
            transport, _ = await loop.connect_accepted_socket(lambda: handler, connection)
            try:
                await gone
            finally:
                transport.abort()
        finally:
            del visits[handler]
            server.gone.pop(handler, None)

    async with _listener(port, greet):
        yield


@asynccontextmanager
async def serve_handshakes(port: Port, first_pass: ssl.SSLContext, choose: Choose) -> AsyncIterator[None]:
    """Shake hands while the context lasts, and close the connection after that. Raises CannotListen.

    first_pass: of `prepare_first_pass`.
    """

    async def greet(connection: socket.socket, visit: _Visit) -> None:
        if await shake_hands(connection, first_pass, choose):
            visit.heard()
            await part(connection)

    async with _listener(port, greet):
        yield


async def _answer(
    request: web.BaseRequest, answer: Callable[[web.BaseRequest], Awaitable[web.Response]]
) -> web.Response:
    if request.method not in ("GET", "HEAD"):
        return web.Response(status=405, headers={"Allow": "GET, HEAD"})
    try:
        return await answer(request)
    except Exception:
        logger.exception("unexpected, at a request")
        return web.Response(status=500)


class _Server(web.Server):
    """Tells when a connection is gone."""

    def __init__(self, handler: Callable[[web.BaseRequest], Awaitable[web.Response]], **options: object) -> None:
        super().__init__(handler, **options)  # type: ignore[arg-type]
        self.gone: dict[asyncio.BaseProtocol, asyncio.Future[None]] = {}

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        super().connection_lost(handler, exc)
        gone = self.gone.pop(handler, None)
        if gone is not None and not gone.done():
            gone.set_result(None)


class _Visit:
    """One connection. It is silent until its request, or its handshake, is there."""

    __slots__ = ("_deadline", "peer", "silent", "task")

    def __init__(self, peer: str) -> None:
        self.peer, self.silent = peer, True
        self.task: asyncio.Task[None] | None = None
        self._deadline = asyncio.timeout(_HEAD)

    def heard(self) -> None:
        self.silent = False
        if not self._deadline.expired():
            self._deadline.reschedule(asyncio.get_running_loop().time() + _WHOLE)

    async def last(self, greet: "_Greet", connection: socket.socket) -> None:
        """As long as it may."""
        try:
            async with self._deadline:
                await greet(connection, self)
        except OSError as error:  # TimeoutError is one
            logger.debug("a connection of %s was cut: %s", self.peer, error)
        except Exception:
            logger.exception("unexpected, at a connection")


_Greet = Callable[[socket.socket, _Visit], Awaitable[None]]


class _Door:
    """Who is let in at one port."""

    def __init__(self, most: int, greet: _Greet) -> None:
        self._most, self._share, self._greet = most, max(most // 2, 1), greet
        self._visits: dict[_Visit, None] = {}  # the oldest first

    async def keep(self, listener: socket.socket) -> None:
        """For ever."""
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            while True:
                try:
                    connection, address = await loop.sock_accept(listener)
                except ConnectionAbortedError:
                    continue
                except OSError as error:  # such as too many open files
                    logger.warning("cannot accept a connection: %s", error)
                    await asyncio.sleep(1.0)
                    continue
                visit = _Visit(_peer(address[0]))
                if not self._has_room(visit.peer):
                    connection.close()
                    continue
                self._visits[visit] = None
                visit.task = group.create_task(visit.last(self._greet, connection))
                visit.task.add_done_callback(partial(self._over, visit, connection))

    def _has_room(self, peer: str) -> bool:
        """Also by sending the one away that has been silent for longest."""
        crowd = [visit for visit in self._visits if visit.peer == peer]
        if len(crowd) < self._share:
            if len(self._visits) < self._most:
                return True
            crowd = list(self._visits)
        silent = next((visit for visit in crowd if visit.silent), None)
        if silent is None:
            return False
        del self._visits[silent]
        if silent.task is not None:
            silent.task.cancel()
        return True

    def _over(self, visit: _Visit, connection: socket.socket, _: asyncio.Task[None]) -> None:
        """Also of a task that was canceled before it began."""
        self._visits.pop(visit, None)
        connection.close()


def _peer(host: str) -> str:
    """Who has one address of IPv6 has the 2^64 around it as well."""
    if ":" not in host:
        return host
    address = ipaddress.IPv6Address(host.partition("%")[0])
    return str(address.ipv4_mapped or ipaddress.ip_network((address, 64), strict=False))


@asynccontextmanager
async def _listener(port: Port, greet: _Greet) -> AsyncIterator[None]:
    listener = _bound(port)
    door = asyncio.create_task(_Door(port.most, greet).keep(listener))
    try:
        yield
    finally:
        door.cancel()
        await asyncio.wait([door])
        listener.close()


def _bound(port: Port) -> socket.socket:
    family = socket.AF_INET6 if ":" in port.host else socket.AF_INET
    both = port.host == "::" and socket.has_dualstack_ipv6()
    try:
        listener = socket.create_server((port.host, port.port), family=family, backlog=512, dualstack_ipv6=both)
    except OSError as error:
        text = f"cannot listen on {port.host}:{port.port}: {error.strerror or error}: choose another {port.argument}"
        raise CannotListen(text) from error
    listener.setblocking(False)
    return listener
