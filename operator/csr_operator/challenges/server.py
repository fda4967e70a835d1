"""The two listeners to which CAs connect, with an Ingress or a load balancer in between: http-01 and tls-alpn-01.

Everybody can reach them: nothing else is served there.
"""

import logging
import ssl
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime

from aiohttp import web

from csr_acme.challenges import ALPN_PROTOCOL, HTTP_PATH
from csr_acme.objects import Identifier
from csr_operator.web.handshakes import Hello, prepare_first_pass
from csr_operator.web.ports import Port, serve_handshakes, serve_requests

from .alpn import AlpnChallenge
from .alpn_certificates import AlpnCertificates, server_context

logger = logging.getLogger(__name__)

_MOST = 256
"""Connections at once, at each. An ingress controller, one peer, brings those of all CAs: half of them are its."""

_HEADERS = {"Content-Type": "application/octet-stream", "X-Content-Type-Options": "nosniff"}


def serve_http(
    host: str, port: int, answer: Callable[[str, str], Awaitable[str | None]]
) -> AbstractAsyncContextManager[None]:
    """Serve http-01 (RFC 8555, section 8.3) while the context lasts, which raises CannotListen.

    answer: given the header Host and a token of any form, the key authorization; None if there is none.
    """

    async def respond(request: web.BaseRequest) -> web.Response:
        path = request.rel_url.raw_path
        if not path.startswith(HTTP_PATH):
            return web.Response(status=404)
        host = request.headers.get("Host", "")
        content = await answer(host, path.removeprefix(HTTP_PATH))
        if content is None:
            return web.Response(status=404)
        logger.debug("http-01: answered %s, which asked for %s", request.remote, host)
        return web.Response(body=content.encode(), headers=_HEADERS)

    return serve_requests(Port(host, port, "--acme-http-address", _MOST), respond)


def serve_tls(
    host: str,
    port: int,
    answer: Callable[[str, bool], Awaitable[AlpnChallenge | None]],
    clock: Callable[[], datetime],
) -> AbstractAsyncContextManager[None]:
    """Serve tls-alpn-01 (RFC 8737) while the context lasts, which raises CannotListen: a handshake, and no more.

    answer: given the name that is asked for, and whether a CA may be who asks, the challenge; None if there is none.
    clock: the time now, in UTC.
    """
    certificates = AlpnCertificates(clock)
    unseen = server_context(Identifier("dns", "unseen.invalid"), "", clock())

    async def choose(hello: Hello) -> ssl.SSLContext | None:
        if not hello.name:
            return None
        challenge = await answer(hello.name, hello.protocol == ALPN_PROTOCOL)
        if challenge is None:
            return None
        logger.debug("tls-alpn-01: answered who asked for %s", challenge.host)
        return certificates.context(challenge)

    return serve_handshakes(Port(host, port, "--acme-tls-address", _MOST), prepare_first_pass(unseen), choose)
