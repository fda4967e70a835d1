"""`rfc2136` against BIND."""

import asyncio
import base64
import socket
import time
from pathlib import Path
from typing import Any

import dns.message
import dns.opcode
import dns.rrset
import dns.tsig
import pytest

from csr_operator.dns.base import Provider
from csr_operator.plugin.errors import Misconfigured, Retryable
from tests.dns.conftest import World
from tests.support.bind import Bind, bind

pytestmark = pytest.mark.slow("starts BIND")


def solver(server: Bind, **changes: Any) -> dict[str, Any]:
    """The issuer's `dns01` object."""
    reference = {"name": "tsig", "key": "secret"}
    config = {"nameserver": server.nameserver, "tsigKeyName": server.key_name, "tsigSecretSecretRef": reference}
    return {"rfc2136": {key: value for key, value in {**config, **changes}.items() if value is not None}}


@pytest.fixture
def provider(world: World, server: Bind) -> Provider:
    world.secrets["tsig"] = {"secret": f"{server.secret}\n".encode()}
    return world.provider(solver(server))


async def test_adds_beside_what_is_there_and_removes_just_its_own(provider: Provider, server: Bind, name: str) -> None:
    server.add(name, "TXT", "somebody-else's")
    await asyncio.gather(*(provider.present(name, value) for value in ("one", "two")))
    await provider.present(name, "one")
    assert server.records(name) == ["one", "somebody-else's", "two"]
    await provider.withdraw(name, "one")
    await provider.withdraw(name, "one")
    assert server.records(name) == ["somebody-else's", "two"]


async def test_writes_into_the_zone_that_is_nearest(provider: Provider, server: Bind) -> None:
    await provider.present("_acme-challenge.www.sub.example.com", "here")
    assert server.records("_acme-challenge.www.sub.example.com") == ["here"]


async def test_a_value_of_more_than_255_bytes_goes_in_several_strings(
    provider: Provider, server: Bind, name: str
) -> None:
    await provider.present(name, "a" * 255 + "b" * 45)
    assert server.records(name) == [f'{"a" * 255}" "{"b" * 45}']


async def test_a_server_that_asks_for_no_key_is_given_none(world: World, server: Bind, name: str) -> None:
    """This one does ask: it says so."""
    keyless = world.provider(solver(server, tsigKeyName=None, tsigSecretSecretRef=None))
    with pytest.raises(Misconfigured, match=r"answers REFUSED for example.com: let whoever has no key change TXT"):
        await keyless.present(name, "value")


@pytest.mark.parametrize(
    ("changes", "secret", "says"),
    [
        ({"tsigKeyName": "other"}, None, "tsigKeyName: the DNS server .* knows no key other [(]BADKEY[)]: correct"),
        ({"tsigAlgorithm": "HMACSHA512"}, None, "tsigKeyName: .* [(]BADKEY[)]: correct the name or tsigAlgorithm"),
        ({}, b"dGhlIHdyb25nIG9uZQ==", "tsigSecretSecretRef: .* another secret for the key csr-operator [(]BADSIG[)]"),
        ({}, b"hunter2!", "tsigSecretSecretRef: what the Secret holds is not base64"),
        ({}, b"", "Secret tsig, named in .*tsigSecretSecretRef: secret is empty: put what tsig-keygen"),
        (
            {"tsigSecretSecretRef": {"name": "gone", "key": "secret"}},
            None,
            "Secret gone, named in .*tsigSecretSecretRef, does not exist: create it",
        ),
        ({"tsigKeyName": "reader"}, None, "REFUSED for example.com: let the key reader change TXT records there"),
    ],
)
async def test_a_key_that_is_not_right(
    world: World, server: Bind, name: str, changes: dict[str, Any], secret: bytes | None, says: str
) -> None:
    world.secrets["tsig"] = {"secret": server.secret.encode() if secret is None else secret}
    with pytest.raises(Misconfigured, match=says) as caught:
        await world.provider(solver(server, **changes)).present(name, "value")
    assert "rfc2136" in str(caught.value)
    assert server.secret not in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert server.records(name) == []


async def test_another_secret_is_used_at_once(world: World, server: Bind, name: str) -> None:
    world.secrets["tsig"] = {"secret": b"dGhlIHdyb25nIG9uZQ=="}
    provider = world.provider(solver(server))
    with pytest.raises(Misconfigured, match="BADSIG"):
        await provider.present(name, "value")
    world.secrets["tsig"] = {"secret": server.secret.encode()}
    await provider.present(name, "value")
    assert server.records(name) == ["value"]


async def test_a_name_that_the_server_has_no_zone_for(provider: Provider) -> None:
    with pytest.raises(Misconfigured, match=r"REFUSED for _acme-challenge.www.example.org: let the key"):
        await provider.present("_acme-challenge.www.example.org", "value")


async def test_a_secondary_server_takes_no_updates(world: World, server: Bind, name: str, tmp_path: Path) -> None:
    world.secrets["tsig"] = {"secret": server.secret.encode()}
    says = r"REFUSED .* or in nameserver the zone's primary server"
    with bind(tmp_path, ("example.com",), primary=server) as copy, pytest.raises(Misconfigured, match=says):
        await world.provider(solver(copy)).present(name, "value")


async def test_a_server_that_is_not_there(world: World, server: Bind, name: str) -> None:
    world.secrets["tsig"] = {"secret": server.secret.encode()}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(Retryable, match=f"the DNS server localhost:{port} cannot be reached"):
        await world.provider(solver(server, nameserver=f"localhost:{port}")).present(name, "value")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"nameserver": None}, "rfc2136.nameserver: is missing; write the primary server"),
        ({"nameserver": "https://ns.example.com"}, "rfc2136.nameserver: .* is not a DNS server: write host"),
        ({"nameserver": "ns.example.com:99999"}, "rfc2136.nameserver: .* is not a DNS server: write host"),
        ({"tsigKeyName": None}, "rfc2136: set tsigKeyName and tsigSecretSecretRef, or neither of them"),
        ({"tsigAlgorithm": "HMACMD5"}, "rfc2136.tsigAlgorithm: 'HMACMD5' is not one of HMACSHA1, .*HMACSHA512"),
    ],
)
def test_a_solver_that_cannot_work(world: World, server: Bind, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(Misconfigured, match=says):
        world.provider(solver(server, **changes))


async def test_clocks_that_differ(
    world: World, server: Bind, name: str, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time
    monkeypatch.setattr("time.time", lambda: now() - 3600)
    with pytest.raises(Retryable, match=r"the clocks of the DNS server .* differ by more than 5 minutes \(BADTIME\)"):
        await provider.present(name, "value")


async def test_an_answer_that_is_not_signed_is_not_believed(world: World) -> None:
    """No server does that to a signed update, but somebody between may."""
    key = dns.tsig.Key("k", b"secret", dns.tsig.HMAC_SHA256)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = int.from_bytes(await reader.readexactly(2))
        query = dns.message.from_wire(await reader.readexactly(size), keyring=key)
        reply = dns.message.make_response(query)
        if query.opcode() == dns.opcode.QUERY:
            reply.answer.append(dns.rrset.from_text("example.com.", 60, "IN", "SOA", "ns. h. 1 1 1 1 1"))
        reply.tsig = None
        wire = reply.to_wire()
        writer.write(len(wire).to_bytes(2) + wire)
        await writer.drain()
        writer.close()

    world.secrets["tsig"] = {"secret": base64.b64encode(b"secret")}
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as liar:
        nameserver = f"127.0.0.1:{liar.sockets[0].getsockname()[1]}"
        reference = {"name": "tsig", "key": "secret"}
        config = {"nameserver": nameserver, "tsigKeyName": "k", "tsigSecretSecretRef": reference}
        with pytest.raises(Retryable, match="cannot be used: response requires a TSIG but does not have one"):
            await world.provider({"rfc2136": config}).present("_acme-challenge.example.com", "value")
