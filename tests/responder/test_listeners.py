"""The two ports that everybody can reach."""

import asyncio
import ssl

import pytest

from csr_operator.challenges import server as challenge_server
from csr_operator.challenges.alpn import AlpnChallenge, server_name
from csr_operator.challenges.routes import host_name
from csr_operator.challenges.server import serve_http, serve_tls
from csr_operator.web import ports as listening
from csr_operator.web.ports import CannotListen
from tests.responder.support import PATH, answering, now, proven_by, shaken, until_closed
from tests.support.ports import free_ports

PEERS = ("127.0.0.1", "127.0.0.2")
REQUEST = f"GET {PATH}token HTTP/1.1\r\nHost: www.example.com\r\n\r\n".encode()


async def answer(host: str, token: str) -> str | None:
    return "token.thumbprint" if (host, token) == ("www.example.com", "token") else None


@pytest.fixture
def port() -> int:
    return free_ports(1)[0]


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time is no reason to cut anybody."""
    monkeypatch.setattr(listening, "_HEAD", 600.0)
    monkeypatch.setattr(listening, "_WHOLE", 600.0)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "_HEAD", 0.2)
    monkeypatch.setattr(listening, "_WHOLE", 0.2)


async def fetched(port: int, request: bytes = REQUEST) -> bytes:
    """All that comes back until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    said = await until_closed(reader)
    writer.close()
    return said


async def test_an_answer_and_then_the_connection_is_closed(port: int) -> None:
    async with serve_http("127.0.0.1", port, answer):
        said = await fetched(port)
    head, body = said.split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nContent-Type: application/octet-stream" in head
    assert body == b"token.thumbprint"


@pytest.mark.parametrize("sent", [b"", b"GET ", REQUEST[:-2], b"POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\n"])
@pytest.mark.usefixtures("impatient")
async def test_who_dawdles_is_cut_off(port: int, sent: bytes) -> None:
    async with serve_http("127.0.0.1", port, answer):
        await fetched(port, sent)
        assert b" 200 " in await fetched(port)


async def test_what_is_no_http_is_answered_and_not_logged(port: int, caplog: pytest.LogCaptureFixture) -> None:
    async with serve_http("127.0.0.1", port, answer):
        assert b" 400 " in await fetched(port, b"\x16\x03\x01 hello\r\n\r\n")
        assert b" 400 " in await fetched(port, b"GET / HTTP/1.1\r\nHost: " + b"a" * 100_000 + b"\r\n\r\n")
    assert caplog.records == []


async def test_a_mistake_of_our_own_is_logged_and_shows_nothing(port: int, caplog: pytest.LogCaptureFixture) -> None:
    async def broken(host: str, token: str) -> str | None:
        raise RuntimeError("a secret")

    async with serve_http("127.0.0.1", port, broken):
        said = await fetched(port)
    assert b" 500 " in said
    assert b"secret" not in said
    assert "a secret" in caplog.text


@pytest.mark.usefixtures("patient")
async def test_who_says_nothing_makes_room_for_who_comes_later(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One peer has half of what there is; the one of its connections that waits for longest goes, and no other."""
    monkeypatch.setattr(challenge_server, "_MOST", 4)
    async with serve_http("127.0.0.1", port, answer):
        silent = [await asyncio.open_connection("127.0.0.1", port, local_addr=(peer, 0)) for peer in 2 * PEERS]
        assert b" 200 " in await fetched(port)
        assert await until_closed(silent[0][0]) == b""
        for reader, writer in silent[1:]:
            writer.write(REQUEST)
            assert b" 200 " in await until_closed(reader)
        for _, writer in silent:
            writer.close()


@pytest.mark.usefixtures("patient")
async def test_who_comes_when_all_are_busy_is_turned_away(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(challenge_server, "_MOST", 2)
    begun, done = asyncio.Event(), asyncio.Event()

    async def slow(host: str, token: str) -> str | None:
        begun.set()
        await done.wait()
        return "token.thumbprint"

    async with serve_http("127.0.0.1", port, slow):
        busy = asyncio.create_task(fetched(port))
        await begun.wait()
        assert await fetched(port) == b""
        done.set()
        assert b" 200 " in await busy


class Site:
    """Two names and an address with a challenge."""

    def __init__(self) -> None:
        self.shown = {
            name: AlpnChallenge(host_name(name), f"token.{number}")
            for number, name in enumerate(("one.example.com", "Two.example.com", "2001:db8::1"))
        }

    async def answer(self, name: str, look: bool) -> AlpnChallenge | None:
        return next((challenge for challenge in self.shown.values() if challenge.name == name.lower()), None)


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.mark.parametrize("name", ["one.example.com", "Two.example.com", "2001:db8::1"])
async def test_the_certificate_is_that_of_the_name_asked_for(port: int, site: Site, name: str) -> None:
    async with serve_tls("127.0.0.1", port, site.answer, now):
        der, protocol, rest = await shaken(port, server_name(name), "acme-tls/1")
    assert proven_by(der, *site.shown.values()) == site.shown[name]
    assert (protocol, rest) == ("acme-tls/1", b"")


def test_an_address_is_asked_for_by_its_reverse_name() -> None:
    """RFC 8738, section 6."""
    assert server_name("192.0.2.1") == "1.2.0.192.in-addr.arpa"
    assert server_name("2001:db8::1") == f"1.{'0.' * 23}8.b.d.0.1.0.0.2.ip6.arpa"


@pytest.mark.parametrize("name", ["three.example.com", None])
async def test_a_name_without_a_certificate_gets_none(port: int, site: Site, name: str | None) -> None:
    async with serve_tls("127.0.0.1", port, site.answer, now):
        with pytest.raises((ConnectionResetError, ssl.SSLError)):
            await shaken(port, name, "acme-tls/1")
        await shaken(port, "one.example.com", "acme-tls/1")


async def test_after_it_is_withdrawn_it_is_not_shown(port: int, site: Site) -> None:
    async with serve_tls("127.0.0.1", port, site.answer, now):
        await shaken(port, "one.example.com", "acme-tls/1")
        del site.shown["one.example.com"]
        with pytest.raises((ConnectionResetError, ssl.SSLError)):
            await shaken(port, "one.example.com", "acme-tls/1")
        await shaken(port, "two.example.com", "acme-tls/1")


async def test_a_browser_gets_no_page(port: int, site: Site) -> None:
    async with serve_tls("127.0.0.1", port, site.answer, now):
        _, protocol, rest = await shaken(port, "one.example.com", "h2", "http/1.1")
    assert (protocol, rest) == (None, b"")


@pytest.mark.usefixtures("impatient")
async def test_who_makes_no_handshake_is_cut_off_and_others_are_served(
    port: int, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(challenge_server, "_MOST", 2)
    async with serve_tls("127.0.0.1", port, site.answer, now):
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(4)]
        idle[0][1].write(b"GET / HTTP/1.1\r\n\r\n")
        await shaken(port, "one.example.com", "acme-tls/1")
        for reader, writer in idle:
            await until_closed(reader)
            writer.close()


async def test_an_address_that_is_not_of_this_host() -> None:
    with pytest.raises(CannotListen, match="--acme-http-address"):
        async with serve_http("192.0.2.1", 80, answer):
            pass
    with pytest.raises(CannotListen, match="--acme-tls-address"):
        async with serve_tls("192.0.2.1", 443, answering(), now):
            pass
