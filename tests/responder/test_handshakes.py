"""A handshake whose certificate is waited for, with clients that do as they like."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from csr_operator.challenges.alpn import AlpnChallenge
from csr_operator.challenges.alpn_certificates import server_context
from csr_operator.challenges.server import serve_tls
from csr_operator.web import ports as listening
from csr_operator.web.handshakes import Hello, prepare_first_pass
from csr_operator.web.ports import Port, serve_handshakes
from tests.responder.support import answering, now, proven_by, shaken, trusting, until_closed
from tests.support.ports import free_ports

CHALLENGE = AlpnChallenge("www.example.com", "token.thumbprint")
NAME = CHALLENGE.host
PROTOCOL_VERSION, INTERNAL_ERROR, UNRECOGNIZED_NAME = 70, 80, 112


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


@pytest.fixture
def silent(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Whatever comes by leaves nothing in the log, nor past it."""
    yield
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []
    assert capfd.readouterr().err == ""


@asynccontextmanager
async def serving(port: int) -> AsyncIterator[None]:
    """CHALLENGE, until a client gets it. Then nothing is left of the others."""
    before = asyncio.all_tasks()
    async with serve_tls("127.0.0.1", port, answering(CHALLENGE), now):
        yield
        der, protocol, _ = await shaken(port, NAME, "acme-tls/1")
        assert proven_by(der, CHALLENGE)
        assert protocol == "acme-tls/1"
    assert asyncio.all_tasks() == before


def hello(name: str, *protocols: str) -> bytes:
    """What a client begins with."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        trusting(*protocols).wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


async def told(port: int, sent: bytes, *, leaves: bool = False) -> bytes:
    """What comes back to who sends that. leaves: sends no more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    if leaves:
        writer.write_eof()
    answer = await until_closed(reader)
    writer.close()
    return answer


def alert_of(record: bytes) -> int:
    """Of a record that has nothing else."""
    assert record[0] == 21
    assert record[3:6] == bytes((0, 2, 2))
    return record[6]


@pytest.mark.usefixtures("silent")
async def test_a_hello_that_comes_octet_by_octet_is_as_good(port: int) -> None:
    async with serving(port):
        client, (incoming, outgoing) = trusting("acme-tls/1"), (ssl.MemoryBIO(), ssl.MemoryBIO())
        shaking = client.wrap_bio(incoming, outgoing, server_hostname=NAME)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while True:
            try:
                shaking.do_handshake()
                break
            except ssl.SSLWantReadError:
                for octet in outgoing.read():
                    writer.write(bytes((octet,)))
                    await writer.drain()
                incoming.write(await reader.read(1))
        assert proven_by(shaking.getpeercert(binary_form=True) or b"", CHALLENGE)
        writer.close()


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_both_versions_of_tls_serve(port: int, version: ssl.TLSVersion) -> None:
    context = trusting("acme-tls/1")
    context.minimum_version = context.maximum_version = version
    async with serving(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=NAME)
        shaken_hands = writer.get_extra_info("ssl_object")
        assert shaken_hands.version() == version.name.replace("_", ".")
        assert proven_by(shaken_hands.getpeercert(binary_form=True), CHALLENGE)
        assert await until_closed(reader) == b""
        writer.close()


@pytest.mark.usefixtures("silent")
async def test_a_client_that_has_to_say_hello_twice(port: int) -> None:
    """The server wants another group than the first that the client offers: HelloRetryRequest."""
    contexts = [server_context(CHALLENGE.identifier, CHALLENGE.answer, now()) for _ in range(2)]
    for context in contexts:
        context.set_ecdh_curve("prime256v1")
    seen = []

    async def choose(wanted: Hello) -> ssl.SSLContext | None:
        seen.append(wanted)
        return contexts[1]

    async with serve_handshakes(Port("127.0.0.1", port, "", 4), prepare_first_pass(contexts[0]), choose):
        der, protocol, _ = await shaken(port, NAME, "acme-tls/1")
    assert proven_by(der, CHALLENGE)
    assert protocol == "acme-tls/1"
    assert seen == [Hello(NAME, "acme-tls/1")]


@pytest.mark.usefixtures("silent", "patient")
async def test_who_waits_for_a_certificate_keeps_nobody_else_from_one(port: int) -> None:
    begun, found = asyncio.Event(), asyncio.Event()
    slow = AlpnChallenge("slow.example.com", "token.thumbprint")

    async def answer(name: str, look: bool) -> AlpnChallenge | None:
        if name == NAME:
            return CHALLENGE
        begun.set()
        await found.wait()
        return slow

    async with serve_tls("127.0.0.1", port, answer, now):
        waiting = asyncio.create_task(shaken(port, slow.host, "acme-tls/1"))
        await begun.wait()
        await shaken(port, NAME, "acme-tls/1")
        assert not waiting.done()
        found.set()
        assert proven_by((await waiting)[0], slow)


@pytest.mark.usefixtures("silent", "impatient")
async def test_who_waits_for_too_long_is_cut_off(port: int) -> None:
    never = asyncio.Event()

    async def answer(name: str, look: bool) -> AlpnChallenge | None:
        await never.wait()
        return None

    before = asyncio.all_tasks()
    async with serve_tls("127.0.0.1", port, answer, now):
        assert await told(port, hello(NAME, "acme-tls/1")) == b""
    assert asyncio.all_tasks() == before


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize("protocols", [(), ("h2", "http/1.1")])
async def test_only_who_may_be_a_ca_has_the_cluster_looked_at(port: int, protocols: tuple[str, ...]) -> None:
    looks = []

    async def answer(name: str, look: bool) -> AlpnChallenge | None:
        looks.append((name, look))
        return None

    async with serve_tls("127.0.0.1", port, answer, now):
        for offered in (protocols, (*protocols, "acme-tls/1")):
            assert alert_of(await told(port, hello("WWW.example.com", *offered))) == UNRECOGNIZED_NAME
    assert looks == [("WWW.example.com", False), ("WWW.example.com", True)]


@pytest.mark.usefixtures("silent")
async def test_a_name_that_is_no_name_ends_in_an_alert(port: int) -> None:
    """The ssl module prints a traceback of one that is not ASCII."""
    whole = hello(NAME, "acme-tls/1")
    async with serving(port):
        for odd in ("w\xfcw.example.co", "\x7f\x1b[2Jexample.ab", "' or 1=1; -- .c"):
            octets = odd.encode()
            assert len(octets) == len(NAME)
            sent = whole.replace(NAME.encode(), octets)
            assert alert_of(await told(port, sent)) in (UNRECOGNIZED_NAME, INTERNAL_ERROR)


@pytest.mark.usefixtures("silent")
async def test_an_old_version_ends_in_an_alert(port: int) -> None:
    """TLS 1.1, with one cipher suite and nothing else."""
    body = b"\x03\x02" + bytes(32) + b"\x00" + b"\x00\x02\xc0\x13" + b"\x01\x00"
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    async with serving(port):
        answer = await told(port, b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message)
        assert alert_of(answer) == PROTOCOL_VERSION


@pytest.mark.usefixtures("silent", "patient")
async def test_what_is_no_hello_is_cut_off(port: int) -> None:
    whole = hello(NAME, "acme-tls/1")
    odd = [b"GET / HTTP/1.1\r\n\r\n", b"SSH-2.0-Go\r\n", b"\x00" * 1000, b"\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00"]
    async with serving(port):
        for sent in (*odd, whole[:5] + b"\xff" * 500, whole[:11] + whole[:200] + bytes(306)):
            assert len(await told(port, sent, leaves=True)) in (0, 7)  # 7: an alert


@pytest.mark.usefixtures("silent")
async def test_who_leaves_in_the_middle_leaves_nothing_behind(port: int) -> None:
    whole = hello(NAME, "acme-tls/1")
    async with serving(port):
        for length in (0, 1, 5, 50, len(whole) - 1):
            assert await told(port, whole[:length], leaves=True) == b""
        assert (await told(port, whole, leaves=True))[0] == 22


@pytest.mark.usefixtures("silent", "patient")
async def test_a_hello_has_a_bound(port: int) -> None:
    """One that would be as good, but for its size."""
    large = hello(NAME, "acme-tls/1", *(f"{number:05}" * 40 for number in range(100)))
    assert len(large) > 16 * 1024
    async with serving(port):
        assert await told(port, large) == b""


@pytest.mark.usefixtures("patient")
async def test_a_mistake_of_our_own_is_logged_and_ends_one_connection(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def answer(name: str, look: bool) -> AlpnChallenge | None:
        if name == NAME:
            return CHALLENGE
        raise RuntimeError("a mistake")

    before = asyncio.all_tasks()
    async with serve_tls("127.0.0.1", port, answer, now):
        assert await told(port, hello("other.example.com", "acme-tls/1")) == b""
        await shaken(port, NAME, "acme-tls/1")
    assert asyncio.all_tasks() == before
    assert "a mistake" in caplog.text
