"""The self-check of http-01, against servers that answer rightly and wrongly."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import aiohttp
import pytest
from aiohttp import web

from csr_acme import Identifier
from csr_operator.backends.acme import self_check as reachability
from csr_operator.backends.acme.self_check import find_unreachable
from csr_operator.challenges.alpn_certificates import server_context
from tests.responder.support import PATH, rerouted
from tests.support.ports import free_ports

HOST, TOKEN, ANSWER = "www.example.com", "token", "token.thumbprint"
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reachability, "_PAUSE", 0.0)


@asynccontextmanager
async def serving(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The port of a server that answers everything by `handler`."""
    server = web.ServerRunner(web.Server(handler), shutdown_timeout=0.1)
    await server.setup()
    [port] = free_ports(1)
    await web.TCPSite(server, "127.0.0.1", port, ssl_context=tls).start()
    try:
        yield port
    finally:
        await server.cleanup()


async def said_of(handler: Handler, host: str = HOST) -> str:
    async with serving(handler) as port, rerouted(port) as session:
        return await find_unreachable(session, host, TOKEN, ANSWER)


def redirect(to: str, status: int = 301) -> Handler:
    async def handler(_: web.BaseRequest) -> web.Response:
        return web.Response(status=status, headers={"Location": to})

    return handler


def body(text: str, status: int = 200) -> Handler:
    async def handler(_: web.BaseRequest) -> web.Response:
        return web.Response(text=text, status=status)

    return handler


@pytest.mark.parametrize("host", [HOST, "192.0.2.1", "2001:db8::1"])
async def test_the_answer_is_found_at_the_path_and_host_that_a_ca_asks_for(host: str) -> None:
    asked = set()

    async def handler(request: web.BaseRequest) -> web.Response:
        asked.add((request.method, request.host, request.path, request.headers.get("Authorization")))
        return web.Response(text=ANSWER + " \r\n")

    assert await said_of(handler, host) == ""
    assert asked == {("GET", f"[{host}]" if ":" in host else host, PATH + TOKEN, None)}


async def test_one_good_answer_is_not_enough() -> None:
    """Of several proxies one may not know the path yet."""
    answers = iter([200, 404, 200, 200, 200])

    async def handler(_: web.BaseRequest) -> web.Response:
        return web.Response(text=ANSWER, status=next(answers))

    assert "404" in await said_of(handler)


@pytest.mark.parametrize(
    ("handler", "words"),
    [
        (body("not found", 404), "404"),
        (body("secret of another service", 200), "by somebody else"),
        (body("secret of another service", 500), "500"),
        (body("x" * 10_000_000), "by somebody else"),
        (redirect("https://elsewhere.example.com:8443" + PATH + TOKEN), "usual ports"),
        (redirect("file:///etc/passwd"), "usual ports"),
        (redirect("gopher://internal/"), "usual ports"),
        (redirect("http://169.254.169.254/latest/meta-data"), "another path"),
        (redirect("http://[::1"), "not a URL"),
        (redirect("http://" + "a" * 5000 + PATH + TOKEN), "characters"),
        (redirect(PATH + TOKEN), "more than 10 times"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_is_wrong_is_said_and_no_body_is_shown(handler: Handler, words: str) -> None:
    said = await said_of(handler)
    assert words in said
    assert "secret" not in said
    assert len(said) < 2000


async def test_a_redirect_to_another_path_is_not_asked_for() -> None:
    asked = []

    async def handler(request: web.BaseRequest) -> web.Response:
        asked.append(request.path)
        return web.Response(status=302, headers={"Location": "/admin/restart"})

    await said_of(handler)
    assert asked == [PATH + TOKEN]


async def test_a_redirect_to_https_is_followed_whatever_the_certificate() -> None:
    """That may be what the certificate is wanted for."""
    tls = server_context(Identifier("dns", "old.example.com"), ANSWER, datetime.now(UTC))
    async with (
        serving(body(ANSWER), tls) as tls_port,
        serving(redirect(f"https://{HOST}{PATH}{TOKEN}")) as port,
        rerouted(port, tls_port) as session,
    ):
        assert await find_unreachable(session, HOST, TOKEN, ANSWER) == ""


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_to_another_host_is_followed(status: int) -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        if request.host == HOST:
            return web.Response(status=status, headers={"Location": f"http://challenges.example.com{PATH}{TOKEN}"})
        return web.Response(text=ANSWER)

    assert await said_of(handler) == ""


async def test_nobody_there() -> None:
    [port] = free_ports(1)
    async with rerouted(port) as session:
        said = await find_unreachable(session, HOST, TOKEN, ANSWER)
        assert said == await find_unreachable(session, HOST, TOKEN, ANSWER)
    assert "no connection" in said
    assert HOST in said


async def test_a_name_without_an_address() -> None:
    async with aiohttp.ClientSession(trust_env=False) as session:
        assert "has no address" in await find_unreachable(session, "www.example.invalid", TOKEN, ANSWER)


async def test_a_server_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reachability, "_TIMEOUT", aiohttp.ClientTimeout(total=0.2))
    never = asyncio.Event()

    async def handler(_: web.BaseRequest) -> web.Response:
        await never.wait()
        return web.Response()

    said = await said_of(handler)
    never.set()
    assert "not answered within" in said


async def test_what_is_no_http() -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.com ESMTP\r\n")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server, rerouted(server.sockets[0].getsockname()[1]) as session:
        assert "not answered with valid HTTP" in await find_unreachable(session, HOST, TOKEN, ANSWER)
