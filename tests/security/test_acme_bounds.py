"""An ACME server that sends too much, too deep or too odd: nothing but an AcmeError, of bounded text, comes of it."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from csr_acme import AcmeClient, AcmeError, ForeignUrl, Identifier, Refused, Unreachable
from csr_acme.client import retry_after
from tests.support.contract import Reply
from tests.support.hostile_acme import PROBLEM, HostileAcme, Lie, Sink, problem

NAME = "www.example.com"
ASKED = [Identifier("dns", NAME)]
SECRET = "INTERNAL-ANSWER-4711"


@pytest.fixture
def ca() -> Iterator[HostileAcme]:
    with HostileAcme() as server:
        yield server


@pytest.fixture
async def session(ca: HostileAcme) -> AsyncIterator[aiohttp.ClientSession]:
    context = ssl.create_default_context(cadata=ca.ca_bundle)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context), trust_env=False) as found:
        yield found


@pytest.fixture
def client(ca: HostileAcme, session: aiohttp.ClientSession) -> AcmeClient:
    return AcmeClient(session, ca.directory, ec.generate_private_key(ec.SECP256R1()))


async def everything(client: AcmeClient) -> None:
    """All that the operator asks of a server on the way to a certificate, and after."""
    await client.new_account()
    await client.orders()
    order = await client.new_order(ASKED)
    for url in order.authorizations:
        for challenge in (await client.authorization(url)).challenges[:1]:
            await client.respond(challenge)
    await client.order(order.url)
    await client.renewal_info("a.b")


async def complaint(client: AcmeClient) -> str:
    """What the user is told, which is printable and bounded; empty if all went well."""
    try:
        await everything(AcmeClient(client._session, client._directory_url, client.key))
    except AcmeError as error:
        text = str(error)
    else:
        text = ""
    assert not text or text.isprintable()
    assert len(text) < 500
    return text


async def test_an_honest_server_is_gone_through(client: AcmeClient, ca: HostileAcme) -> None:
    await everything(client)
    assert {call.path.split("/")[1] for call in ca.calls} >= {"order", "authorization", "challenge", "renewal-info"}


def sends(reply: Reply) -> Lie:
    return lambda _: reply


def put(name: str, value: Any) -> Lie:
    return lambda body: {**body, name: value}


ODD: dict[str, Any] = {
    "list": [],
    "text": "text",
    "number": 7,
    "null": None,
    "true": True,
    "deep": b"[" * 60000,
    "deep-object": b'{"a":' * 12000,
    "digits": b'{"status":' + b"9" * 50000 + b"}",
    "nan": b'{"status": NaN, "identifiers": Infinity}',
    "surrogate": b'{"status": "\\ud800", "type": "\\ud800", "identifier": {"type": "dns", "value": "\\ud800"}}',
    "utf-16": '{"status": "valid"}'.encode("utf-16"),
    "nothing": b"",
    "binary": bytes(range(256)),
    "long": b'{"status": "' + b"x" * (1 << 21) + b'"}',
    "problem-of-lists": {"type": [PROBLEM], "detail": {}, "status": "²", "subproblems": "x", "identifier": []},
}
STEPS = ("directory", "account", "orders", "new-order", "authorization", "challenge", "order", "renewal-info")


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("step", STEPS)
async def test_whatever_comes_is_an_acme_error(client: AcmeClient, ca: HostileAcme, step: str, status: int) -> None:
    for odd in ODD.values():
        ca.lies[step] = sends(Reply(status, odd))
        await complaint(client)


MEMBERS: dict[str, tuple[str, ...]] = {
    "directory": ("newNonce", "newOrder", "meta"),
    "account": ("status", "contact", "orders"),
    "new-order": ("status", "identifiers", "authorizations", "finalize", "error", "expires"),
    "authorization": ("identifier", "status", "challenges", "expires", "wildcard"),
    "renewal-info": ("suggestedWindow",),
}
VALUES: tuple[Any, ...] = (
    *(7, -1.5, True, "x" * 100_000, "a\nb", [], {}, ["x"] * 100_000, [{}], [[[]]], {"profiles": 7}),
    *("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", {"start": "0001-01-01T00:00:00+14:00", "end": "x"}),
)


@pytest.mark.parametrize("step", MEMBERS)
async def test_members_of_any_kind_are_an_acme_error_or_ignored(client: AcmeClient, ca: HostileAcme, step: str) -> None:
    for name in MEMBERS[step]:
        for value in VALUES:
            ca.lies[step] = put(name, value)
            await complaint(client)


FOREIGN = (
    *("http://127.0.0.1:{port}/x", "https://elsewhere.example/x", "https://127.0.0.1:1/x", "https://127.0.0.1/x"),
    *("https://127.0.0.1:{port}@elsewhere.example/", "https://elsewhere.example\\@127.0.0.1:{port}/", "//elsewhere/x"),
    *("file:///etc/passwd", "https://127.0.0.1:{port}/a b", "https://127.0.0.1:{port}/a\nb", "https://[::1/x"),
)
URLS: dict[str, tuple[str, ...]] = {
    "directory": ("newNonce", "newAccount", "newOrder", "revokeCert", "keyChange", "renewalInfo"),
    "new-order": ("authorizations", "finalize", "certificate"),
    "orders": ("orders",),
    "authorization": ("challenges",),
}


@pytest.mark.parametrize("url", FOREIGN)
async def test_no_url_leads_elsewhere(client: AcmeClient, ca: HostileAcme, url: str) -> None:
    for step, names in URLS.items():
        for name in names:
            where: Any = url.format(port=ca.port)
            if name in ("authorizations", "orders"):
                where = [where]
            elif name == "challenges":
                where = [{"type": "dns-01", "status": "pending", "token": "x", "url": where}]
            ca.lies = {step: put(name, where)}
            fresh = AcmeClient(client._session, ca.directory, client.key)
            with pytest.raises(
                ForeignUrl, match=r"^the CA's \w+ is .*has to be https and on its own https://127"
            ) as told:
                await everything(fresh)
            assert str(told.value).isprintable()
            assert len(str(told.value)) < 300


@pytest.mark.parametrize("url", [*FOREIGN, 4711, ["https://127.0.0.1:{port}/orders"]])
async def test_a_list_of_orders_elsewhere_is_none(client: AcmeClient, ca: HostileAcme, url: Any) -> None:
    """An account serves without one: it is not worth an issuer."""
    await client.new_account()
    with Sink(Reply(200, {"orders": []}), tls=False) as sink:
        for where in (url.format(port=ca.port) if isinstance(url, str) else url, f"{sink.url}/orders"):
            ca.lies = {"account": put("orders", where)}
            assert (await client.account()).orders == ""
            assert await client.orders() == []
        assert sink.calls == []
    assert ca.asked("orders") == 0


@pytest.mark.parametrize("step", ["account", "new-order"])
async def test_no_location_leads_elsewhere(client: AcmeClient, ca: HostileAcme, step: str) -> None:
    ca.headers[step] = {"Location": "https://acme-v02.api.letsencrypt.org/acme/acct/666"}
    with pytest.raises(ForeignUrl, match=r"^the CA's Location is https://acme-v02\."):
        await everything(client)


@pytest.mark.parametrize("status", [302, 307])
@pytest.mark.parametrize("step", ["directory", "nonce", "new-order", "renewal-info"])
async def test_no_redirect_is_followed(client: AcmeClient, ca: HostileAcme, step: str, status: int) -> None:
    with Sink(Reply(200, {}), tls=False) as sink:
        ca.lies[step] = lambda _: Reply(status, None, {"Location": f"{sink.url}/x", "Replay-Nonce": "not one!"})
        with pytest.raises(Unreachable, match=r"is a redirect .HTTP status 30.., which is not followed"):
            await everything(client)
        assert sink.calls == []


async def test_a_test_ca_may_be_let_loose(ca: HostileAcme, session: aiohttp.ClientSession) -> None:
    with HostileAcme() as other:
        ca.lies["new-order"] = put("finalize", f"{other.url}/finalize/1")
        loose = AcmeClient(session, ca.directory, ec.generate_private_key(ec.SECP256R1()), anywhere=True)
        await loose.new_account()
        assert (await loose.new_order(ASKED)).finalize == f"{other.url}/finalize/1"
        assert not loose.origin.has(f"{other.url}/finalize/1")
        ca.lies["new-order"] = put("finalize", "file:///etc/passwd")
        with pytest.raises(ForeignUrl):
            await loose.new_order(ASKED)


async def test_a_directory_without_tls_is_for_test_cas(session: aiohttp.ClientSession) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    with Sink(Reply(200, {}), tls=False) as sink:
        with pytest.raises(ForeignUrl):
            await AcmeClient(session, f"{sink.url}/directory", key).directory()
        assert sink.calls == []
        with pytest.raises(Unreachable):
            await AcmeClient(session, f"{sink.url}/directory", key, anywhere=True).directory()
        assert len(sink.calls) == 1


@pytest.mark.parametrize(
    "text",
    [
        *("99999999999", "9" * 5000, "nan", "inf", "-inf", "1e308", "0x10", "", " ", "-5", "0", "0.0001", "1_000", "²"),
        *("Fri, 31 Dec 9999 23:59:59 GMT", "Fri, 31 Dec 99999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 +2359"),
        *("Mon, 01 Jan 2001 00:00:00 -0000", "Mon, 99 Foo 2001 99:99:99 GMT", "," * 5000, "Mon, 1 2 3"),
    ],
)
def test_a_wait_is_clamped(text: str) -> None:
    wait = retry_after(text)
    assert wait is None or 1 <= wait <= 86400


def test_a_wait_is_what_the_server_says() -> None:
    assert retry_after("120") == 120
    assert 50 < (retry_after(format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)) or 0) <= 60
    assert retry_after("soon") is None


async def issued(client: AcmeClient, ca: HostileAcme) -> Any:
    """An order with a certificate of 300 kB in each of many chains."""
    await client.new_account()
    url = ca.add_order(NAME, status="valid")
    number = int(url.rpartition("/")[2])
    ca.orders[number]["certificate"] = f"{ca.url}/certificate/{number}"
    ca.chains |= dict.fromkeys((number, *range(1000, 1064)), b"x" * 300_000)
    links = ", ".join(f'<{ca.url}/alternate/{each}>;rel="alternate"' for each in range(1000, 1064))
    ca.headers["certificate"] = {"Link": links}
    return await client.order(url)


async def test_alternates_are_fetched_where_one_is_wanted_and_few(client: AcmeClient, ca: HostileAcme) -> None:
    order = await issued(client, ca)
    assert len(await client.certificate(order)) == 1
    assert ca.asked("alternate") == 0
    assert len(await client.certificate(order, alternates=10)) == 11
    assert ca.asked("alternate") == 10


async def test_alternates_are_bounded_together(client: AcmeClient, ca: HostileAcme) -> None:
    order = await issued(client, ca)
    ca.lies["alternate"] = lambda _: b"x" * (1 << 20)
    assert sum(map(len, await client.certificate(order, alternates=10))) <= 4 << 20
    ca.lies["certificate"] = lambda _: b"x" * ((1 << 20) + 1)
    with pytest.raises(Unreachable, match="the answer of certificate is longer than 1048576 bytes"):
        await client.certificate(order)


@pytest.mark.parametrize(
    "link",
    ["<" * 8000, f"<{'x' * 4000}" * 2, '<https://[::1>;rel="alternate"', '<\x7f>; rel="alternate"', "<>;" * 2600],
)
async def test_odd_links_are_no_obstacle(client: AcmeClient, ca: HostileAcme, link: str) -> None:
    order = await issued(client, ca)
    ca.headers["certificate"] = {"Link": link}
    with suppress(AcmeError):
        assert len(await client.certificate(order, alternates=10)) == 1


async def test_a_list_of_orders_ends(client: AcmeClient, ca: HostileAcme) -> None:
    await client.new_account()
    ca.headers["orders"] = {"Link": f'<{ca.url}/orders>;rel="next"'}
    assert len(await client.orders()) <= 100
    assert ca.asked("orders") == 100
    ca.lies["orders"] = lambda _: {"orders": [f"{ca.url}/order/1"] * 10_000}
    assert len(await client.orders()) < 200_000


async def test_more_authorizations_than_names_are_refused(client: AcmeClient, ca: HostileAcme) -> None:
    await client.new_account()
    ca.lies["new-order"] = put("authorizations", [f"{ca.url}/authorization/{number}" for number in range(2)])
    with pytest.raises(Unreachable, match="has 2 authorizations for 1 identifiers"):
        await client.new_order(ASKED)


@pytest.mark.parametrize("token", ["a/../../b", "a b", "x" * 257, "tökén", "a\nb", "$(id)", "`id`", "a.b"])
async def test_a_token_is_base64url_of_bounded_length(client: AcmeClient, ca: HostileAcme, token: str) -> None:
    order = ca.add_order(NAME)
    ca.lies["authorization"] = lambda body: {**body, "challenges": [{**body["challenges"][0], "token": token}]}
    await client.new_account()
    with pytest.raises(Unreachable, match=r"token is no"):
        await client.authorization((await client.order(order)).authorizations[0])


async def test_too_many_challenges_are_refused(client: AcmeClient, ca: HostileAcme) -> None:
    order = ca.add_order(NAME)
    ca.lies["authorization"] = lambda body: {**body, "challenges": body["challenges"][:1] * 33}
    await client.new_account()
    with pytest.raises(Unreachable, match="challenges is not a list of at most 32"):
        await client.authorization((await client.order(order)).authorizations[0])


async def test_odd_nonces_are_ignored(client: AcmeClient, ca: HostileAcme) -> None:
    ca.headers["nonce"] = {"Replay-Nonce": "a" * 4000}
    with pytest.raises(Unreachable, match="the server sends no nonce"):
        await client.new_account()


async def test_what_a_problem_says_is_bounded_and_printable(client: AcmeClient, ca: HostileAcme) -> None:
    text = "first\n2026-01-01 ERROR csr_operator: FORGED\x1b[31m\u202e " + "x" * 20_000
    below: Any = {"type": f"{PROBLEM}dns", "detail": "x"}
    below["subproblems"] = [dict(below)]
    ca.lies["new-order"] = lambda _: problem("malformed", "d\x00", subproblems=[below] * 500)
    await client.new_account()
    with pytest.raises(Refused) as told:
        await client.new_order(ASKED)
    assert str(told.value).isprintable()
    assert len(told.value.problem.subproblems) == 10
    assert str(told.value).endswith("; and 490 more")
    assert not any(sub.subproblems for sub in told.value.problem.subproblems)

    ca.lies["new-order"] = lambda _: problem("malformed", text)
    with pytest.raises(Refused) as told:
        await client.new_order(ASKED)
    assert str(told.value).isprintable()
    assert str(told.value).startswith("first 2026-01-01 ERROR csr_operator: FORGED [31m")
    assert len(str(told.value)) < 10_100  # and 500 by the time that a user sees it


@pytest.mark.parametrize(
    "body",
    [
        {"type": "about:blank", "detail": SECRET},
        {"type": SECRET, "detail": SECRET, "title": SECRET},
        {"type": f"https://example.com/{SECRET}", "detail": SECRET},
        {"type": PROBLEM + SECRET, "detail": SECRET},
        {"message": SECRET, "kind": "Status"},
        SECRET.encode(),
        f"<html>{SECRET}</html>".encode(),
    ],
)
@pytest.mark.parametrize("status", [200, 401, 403, 404, 409, 500])
async def test_an_answer_that_is_not_acmes_is_not_told(
    client: AcmeClient, ca: HostileAcme, body: Any, status: int
) -> None:
    for step in STEPS:
        ca.lies = {step: lambda _: Reply(status, body)}
        assert SECRET not in await complaint(client)


@pytest.mark.parametrize(
    "banner", [b"SSH-2.0-" + SECRET.encode() + b"\r\n", b"HTTP/1.1 " + SECRET.encode() + b"\r\n\r\n"]
)
async def test_what_is_no_http_is_not_told(banner: bytes, session: aiohttp.ClientSession) -> None:

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(banner)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/directory"
        client = AcmeClient(session, url, ec.generate_private_key(ec.SECP256R1()), anywhere=True)
        with pytest.raises(Unreachable) as told:
            await client.directory()
    assert SECRET not in str(told.value)


CERTIFICATE_IDS = (
    "../../account/1",
    "a.b/../../account/1",
    "a.b?x=y",
    "a",
    "a.b.c",
    "",
    "a.b\n",
    "x" * 300 + ".b",
    "%2e.b",
)


@pytest.mark.parametrize("name", CERTIFICATE_IDS)
async def test_renewal_information_is_asked_of_a_certificate_alone(
    client: AcmeClient, ca: HostileAcme, name: str
) -> None:
    assert await client.renewal_info(name) is None
    assert ca.asked("renewal-info") == ca.asked("account") == 0


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00.1Z", "2026-01-01T00:00:00.9Z"),
        ("2026-01-01T00:00:00Z", "99999-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00", "2026-01-02T00:00:00"),
        ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"),
        (1e308, 1e309),
    ],
)
async def test_a_window_is_two_times_in_order(client: AcmeClient, ca: HostileAcme, start: Any, end: Any) -> None:
    window = json.dumps({"suggestedWindow": {"start": start, "end": end}}).encode()
    ca.lies["renewal-info"] = lambda _: window
    with pytest.raises(Unreachable):
        await client.renewal_info("a.b")
