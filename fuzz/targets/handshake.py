"""What whoever connects for tls-alpn-01 sends. May raise OSError. What is told of it is bounded."""

import asyncio
import socket
import ssl
from contextlib import suppress

from csr_acme.challenges import ALPN_PROTOCOL
from csr_acme.objects import Identifier
from csr_operator.challenges.alpn_certificates import server_context
from csr_operator.web.handshakes import Hello, prepare_first_pass, shake_hands
from fuzz.loop import finish
from fuzz.parties import NOW

SHAPE = "octets"

_NAME = Identifier("dns", "www.example.com")
_CONTEXT = server_context(_NAME, "token.thumbprint", NOW)
_FIRST_PASS = prepare_first_pass(server_context(_NAME, "token.thumbprint", NOW))


def fuzz(data: bytes) -> None:
    finish(_serve(data))


async def _serve(data: bytes) -> None:
    server, client = socket.socketpair()
    with server, client:
        server.setblocking(False)
        client.setblocking(False)
        with suppress(BlockingIOError):
            client.send(data)
        client.shutdown(socket.SHUT_WR)
        with suppress(OSError):
            async with asyncio.timeout(5):
                await shake_hands(server, _FIRST_PASS, _choose)


async def _choose(hello: Hello) -> ssl.SSLContext | None:
    assert len(hello.name) <= 255
    assert hello.protocol in (ALPN_PROTOCOL, None)
    return _CONTEXT if hello.name != "unknown.example.com" else None
