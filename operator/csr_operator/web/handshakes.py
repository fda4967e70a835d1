"""A TLS handshake in which the certificate is waited for, which the ssl module cannot: it wants it at once.

So the ClientHello is read twice, from memory: first to see what is asked for, by a handshake that is thrown away, and
then, when the certificate is there, by the one that the client gets an answer of.
"""

import asyncio
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

_MOST_HELLO = 16 * 1024
"""Bytes until the ClientHello is whole, which with all that is common has less than 2 KiB."""

_MOST = 64 * 1024
"""Bytes of a client after that."""

_CHUNK = 4096

_PARTING = 1.0
"""Seconds for the client to take what it was sent, and to end the connection."""

_UNRECOGNIZED_NAME = bytes((21, 3, 3, 0, 2, 2, ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME))
"""A fatal alert, in a record by itself (RFC 8446, sections 5.1 and 6)."""


@dataclass(frozen=True, slots=True)
class Hello:
    """What a client asks for. name: empty if it sends none (SNI). protocol: that of its own which the server has."""

    name: str
    protocol: str | None


Choose = Callable[[Hello], Awaitable[ssl.SSLContext | None]]
"""Whose certificate the client gets; None for none."""


class _FirstPass(ssl.SSLObject):
    name = ""
    is_read = False


def prepare_first_pass(context: ssl.SSLContext) -> ssl.SSLContext:
    """Have it tell what clients ask for. It takes a certificate to come so far, which no client gets to see."""
    context.sslobject_class = _FirstPass
    context.sni_callback = _note_name
    return context


async def shake_hands(connection: socket.socket, first_pass: ssl.SSLContext, choose: Choose) -> bool:
    """At the server's side; False if it comes to nothing, as the client leaves, or nothing is there for it. Raises
    OSError (ssl.SSLError is one), also for whatever is no handshake; the client then has its alert."""
    loop = asyncio.get_running_loop()
    sent, seen = bytearray(), _Ends(connection)
    reader = seen.wrap(first_pass)
    assert isinstance(reader, _FirstPass)
    while not reader.is_read:
        chunk = await loop.sock_recv(connection, min(_CHUNK, _MOST_HELLO - len(sent)))
        if not chunk:
            return False
        sent += chunk
        seen.incoming.write(chunk)
        try:
            with _without_tracebacks():
                reader.do_handshake()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            await seen.send()
            raise
        if len(sent) == _MOST_HELLO and not reader.is_read:
            raise OSError(f"its ClientHello has more than {_MOST_HELLO} bytes")
    context = await choose(Hello(reader.name, reader.selected_alpn_protocol()))
    if context is None:
        await loop.sock_sendall(connection, _UNRECOGNIZED_NAME)
        return False
    ends = _Ends(connection)
    ends.incoming.write(sent)
    return await ends.shake_hands(ends.wrap(context))


async def part(connection: socket.socket) -> None:
    """Leave the client some time to take what it was sent: a connection that is closed earlier can take that away."""
    loop = asyncio.get_running_loop()
    with suppress(OSError):  # TimeoutError is one
        async with asyncio.timeout(_PARTING):
            connection.shutdown(socket.SHUT_WR)
            received = 0
            while received < _MOST and (chunk := await loop.sock_recv(connection, _CHUNK)):
                received += len(chunk)


class _Ends:
    """Both ends of TLS in memory, and the connection that feeds them."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()

    def wrap(self, context: ssl.SSLContext) -> ssl.SSLObject:
        return context.wrap_bio(self.incoming, self.outgoing, server_side=True)

    async def send(self) -> None:
        """What there is to send."""
        if self.outgoing.pending:
            await asyncio.get_running_loop().sock_sendall(self._connection, self.outgoing.read())

    async def shake_hands(self, server: ssl.SSLObject) -> bool:
        """And say that this was all. False if the client ended it."""
        received = 0
        while True:
            try:
                server.do_handshake()
                break
            except ssl.SSLWantReadError:
                await self.send()
            except ssl.SSLError:
                await self.send()  # the alert
                raise
            chunk = await asyncio.get_running_loop().sock_recv(self._connection, _CHUNK)
            received += len(chunk)
            if not chunk:
                return False
            if received > _MOST:
                raise OSError(f"its handshake has more than {_MOST} bytes")
            self.incoming.write(chunk)
        with suppress(ssl.SSLError):
            server.unwrap()  # whose first half is enough
        await self.send()
        return True


def _note_name(connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> None:
    assert isinstance(connection, _FirstPass)
    connection.name, connection.is_read = name or "", True


@contextmanager
def _without_tracebacks() -> Iterator[None]:
    """For a name that is not ASCII the ssl module prints one, past all who call it. No name of a certificate is so."""
    print_traceback = sys.unraisablehook

    def print_others(unraisable: "sys.UnraisableHookArgs") -> None:
        if not isinstance(unraisable.exc_value, UnicodeDecodeError):
            print_traceback(unraisable)

    sys.unraisablehook = print_others
    try:
        yield
    finally:
        sys.unraisablehook = print_traceback
