"""Aliases and propagation, on BIND: two primary zones, and a secondary server that lags behind."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from csr_operator.dns.resolve import Resolver, make_resolver
from csr_operator.plugin.errors import Misconfigured, Rejected, Retryable
from tests.dns.conftest import FIELD
from tests.support.bind import Bind, bind
from tests.support.kubectl import wait_until
from tests.support.ports import free_ports

pytestmark = pytest.mark.slow("starts BIND")

PRIMARY, SECONDARY, LAME = "127.0.0.2", "127.0.0.3", "127.0.0.4"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Bind, Bind]]:
    """A zone with two servers, on the same port of two addresses, the second of which has no change before `fetch`."""
    with (
        bind(tmp_path_factory.mktemp("primary"), address=PRIMARY, servers=(PRIMARY, SECONDARY)) as primary,
        bind(tmp_path_factory.mktemp("secondary"), address=SECONDARY, port=primary.port, primary=primary) as secondary,
    ):
        yield primary, secondary


@pytest.fixture
def authoritative(pair: tuple[Bind, Bind]) -> Resolver:
    return Resolver([pair[0].nameserver], port=pair[0].port)


async def fetched(server: Bind, name: str, value: str) -> None:
    """Have the secondary server catch up."""
    server.fetch("example.com")
    await asyncio.to_thread(wait_until, f"{name} is copied", lambda: value in server.records(name))


async def test_every_authoritative_server_has_to_show_it(
    pair: tuple[Bind, Bind], authoritative: Resolver, name: str
) -> None:
    record = (name, "value")
    both = "ns1.example.com and ns2.example.com do not have it yet"
    assert await authoritative.propagated([record]) == {record: both}
    pair[0].add(*record[:1], "TXT", "value")
    lags = {record: "ns2.example.com does not have it yet"}
    assert await authoritative.propagated([record]) == lags
    assert await authoritative.propagated([record]) == lags
    await fetched(pair[1], *record)
    assert await authoritative.propagated([record]) == {}


async def test_each_record_is_told_apart(pair: tuple[Bind, Bind], authoritative: Resolver, name: str) -> None:
    names = [name, *(f"_acme-challenge.{i}.example.com" for i in range(20))]
    for each in names:
        pair[0].add(each, "TXT", "here")
    await fetched(pair[1], names[-1], "here")
    records = [(each, value) for each in names for value in ("here", "not-here")]
    missing = await authoritative.propagated(records)
    assert set(missing) == {(each, "not-here") for each in names}


async def test_a_server_that_is_down_is_named(tmp_path: Path, name: str) -> None:
    with bind(tmp_path, address=PRIMARY, servers=(PRIMARY, LAME)) as server:
        server.add(name, "TXT", "value")
        missing = await Resolver([server.nameserver], port=server.port).propagated([(name, "value")])
        assert missing == {(name, "value"): "ns2.example.com does not answer"}


async def test_a_server_that_does_not_serve_the_zone_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "lame").mkdir()
    with (
        bind(tmp_path, address=PRIMARY, servers=(PRIMARY, LAME)) as server,
        bind(tmp_path / "lame", ("elsewhere.example",), address=LAME, port=server.port),
    ):
        server.add(name, "TXT", "value")
        missing = await Resolver([server.nameserver], port=server.port).propagated([(name, "value")])
    assert missing == {(name, "value"): "ns2.example.com answers REFUSED"}


async def test_only_the_servers_of_the_issuer_are_asked(pair: tuple[Bind, Bind], name: str) -> None:
    """As in a network that cannot reach the others: here nobody is at port 53 of the authoritative servers."""
    pair[0].add(name, "TXT", "value")
    record, config = (name, "value"), {"recursiveNameservers": [pair[0].nameserver]}
    assert set(await make_resolver(config, FIELD).propagated([record])) == {record}
    assert await make_resolver({**config, "recursiveNameserversOnly": True}, FIELD).propagated([record]) == {}
    two = {"recursiveNameservers": [each.nameserver for each in pair], "recursiveNameserversOnly": True}
    lags = f"{SECONDARY} does not have it yet"
    assert await make_resolver(two, FIELD).propagated([record]) == {record: lags}


async def test_names_whose_zone_nobody_knows(pair: tuple[Bind, Bind], authoritative: Resolver, name: str) -> None:
    """They do not keep others from being looked at."""
    pair[0].add(name, "TXT", "value")
    await fetched(pair[1], name, "value")
    unknown = ("_acme-challenge.example.org", "value")
    missing = await authoritative.propagated([unknown, (name, "value")])
    assert missing == {unknown: "_acme-challenge.example.org cannot be looked up: the DNS server answers REFUSED"}


async def test_a_resolver_that_is_not_there(name: str) -> None:
    gone = Resolver([f"127.0.0.1:{free_ports(1)[0]}"])
    assert await gone.propagated([(name, "value")]) == {(name, "value"): f"the DNS server does not answer for {name}"}


async def test_aliases_are_followed_to_where_the_record_belongs(server: Bind, name: str) -> None:
    resolving = Resolver([server.nameserver])
    assert await resolving.target(name) == name
    server.add(name, "CNAME", "first.acme.example.net.")
    assert await resolving.target(name) == "first.acme.example.net"
    server.add("first.acme.example.net", "CNAME", "second.acme.example.net.")
    assert await resolving.target(name) == "second.acme.example.net"
    assert await resolving.zone(await resolving.target(name)) == "acme.example.net"


async def test_the_alias_of_a_wildcard_is_no_delegation(server: Bind) -> None:
    """As where `*.apps.example.com` leads to a load balancer, whose zone is not the user's."""
    server.remove("*.acme.example.net", "A")
    server.add("*.apps.acme.example.net", "CNAME", "balancer.example.com.")
    name = "_acme-challenge.www.apps.acme.example.net"
    assert await Resolver([server.nameserver]).target(name) == name
    server.add(name, "CNAME", "delegated.example.com.")
    assert await Resolver([server.nameserver]).target(name) == "delegated.example.com"


async def test_aliases_that_lead_in_a_circle(server: Bind) -> None:
    server.add("_acme-challenge.round.example.com", "CNAME", "about.example.com.")
    server.add("about.example.com", "CNAME", "_acme-challenge.round.example.com.")
    with pytest.raises(
        Retryable, match=r"round.example.com cannot be looked up: the DNS server answers SERVFAIL: .*in a circle"
    ):
        await Resolver([server.nameserver]).target("_acme-challenge.round.example.com")


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"recursiveNameserversOnly": True}, "recursiveNameservers: is missing; list the servers to ask"),
        ({"recursiveNameservers": ["10.0.0.1:dns"]}, "recursiveNameservers: '10.0.0.1:dns' is not a DNS server: write"),
    ],
)
def test_nameservers_that_cannot_be(config: dict[str, object], says: str) -> None:
    with pytest.raises(Misconfigured, match=says):
        make_resolver(config, FIELD)


async def test_a_name_that_is_too_long_for_a_challenge(server: Bind) -> None:
    name = "_acme-challenge." + ".".join(["a" * 60] * 4)
    with pytest.raises(Rejected, match="cannot be looked up in the DNS: A DNS name is > 255 octets long"):
        await Resolver([server.nameserver]).target(name)
