"""Control of the domains is proven by TXT records that the operator writes: a real BIND, which CertCentral asks."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from csr_operator.backends.digicert.certcentral import DigicertBackend
from csr_operator.backends.digicert.dcv import Dcv
from csr_operator.plugin.backend import Issued, Order, Pending
from csr_operator.plugin.errors import Misconfigured, Rejected
from csr_operator.plugin.testing import Clock, World
from tests.backends.digicert.support import order
from tests.emulators.digicert_server import DV, DigicertServer
from tests.support.bind import Bind, bind

pytestmark = pytest.mark.slow("starts BIND")

Make = Callable[..., DigicertBackend]
NAMES = ("example.com", "*.example.com", "www.example.com")
RECORDS = ("_dnsauth.example.com", "_dnsauth.www.example.com")


@pytest.fixture(scope="module")
def dns(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bind]:
    with bind(tmp_path_factory.mktemp("bind"), ("example.com",)) as running:
        yield running


@pytest.fixture
def dv(backend: Make, server: DigicertServer, dns: Bind, world: World) -> Callable[..., DigicertBackend]:
    """Makes a backend that orders from a CertCentral which looks records up in BIND."""
    server.txt = lambda name: set(dns.records(name))
    world.secrets["tsig"] = {"secret": dns.secret.encode()}

    def make(**settings: Any) -> DigicertBackend:
        dns01 = {
            "rfc2136": {
                "nameserver": dns.nameserver,
                "tsigKeyName": dns.key_name,
                "tsigSecretSecretRef": {"name": "tsig", "key": "secret"},
            },
            "recursiveNameservers": [dns.nameserver],
            "recursiveNameserversOnly": True,
        }
        config = {"product": DV, "organizationId": None, "dcvMethod": "dns-txt-token", "dns01": dns01, **settings}
        ca = backend(**config)
        assert ca.traits.abandons
        return ca

    return make


def shown(dns: Bind) -> list[str]:
    return [value for name in RECORDS for value in dns.records(name)]


async def placed(ca: DigicertBackend) -> tuple[Order, Pending]:
    wanted = order("d" * 64, *NAMES)
    answer = await ca.submit(wanted)
    assert isinstance(answer, Pending)
    assert not answer.poll_after
    return wanted, answer


async def test_records_are_set_checked_and_removed(
    dv: Callable[..., DigicertBackend], server: DigicertServer, dns: Bind, clock: Clock
) -> None:
    ca = dv()
    wanted, answer = await placed(ca)
    assert shown(dns) == []
    assert isinstance(await ca.poll(wanted, answer.handle), Issued)
    assert server.count("PUT", "/check-dcv$") == 1
    assert shown(dns) == []


async def test_the_records_of_an_order_that_is_given_up_are_removed_after_a_crash(
    dv: Callable[..., DigicertBackend], server: DigicertServer, dns: Bind
) -> None:
    ca = dv()
    server.txt = lambda name: set()  # it does not see them yet
    wanted, answer = await placed(ca)
    assert isinstance(await ca.poll(wanted, answer.handle), Pending)
    random = server.orders[0]["random"]
    assert shown(dns) == [random, random]
    await dv().abandon(wanted.key, wanted.csr, answer.handle)
    assert shown(dns) == []
    assert server.orders[0]["status"] == "pending"  # the issuer does not say that it is to be cancelled


async def test_after_a_crash_the_records_are_set_again(
    dv: Callable[..., DigicertBackend], dns: Bind, clock: Clock
) -> None:
    wanted, answer = await placed(dv())
    clock.advance(hours=5)
    assert isinstance(await dv().poll(wanted, answer.handle), Issued)
    assert shown(dns) == []


async def test_records_that_digicert_sees_later_are_not_asked_about_for_ever(
    dv: Callable[..., DigicertBackend], server: DigicertServer, dns: Bind, clock: Clock
) -> None:
    ca = dv()
    server.txt = lambda name: set()
    wanted, answer = await placed(ca)
    messages = set()
    for _ in range(100):
        later = await ca.poll(wanted, answer.handle)
        assert isinstance(later, Pending)
        messages.add(later.message)
        clock.now += later.poll_after
    number = server.orders[0]["id"]
    assert messages == {f"DigiCert order {number} is pending: its TXT records are being set"}
    assert server.count("PUT", "/check-dcv$") < 60
    server.txt = lambda name: set(dns.records(name))
    server.orders  # noqa: B018 - DigiCert looks by itself
    clock.advance(hours=1)
    assert isinstance(await ca.poll(wanted, answer.handle), Issued)
    assert shown(dns) == []


async def test_the_records_of_a_rejected_order_are_removed(
    dv: Callable[..., DigicertBackend], server: DigicertServer, dns: Bind, clock: Clock
) -> None:
    ca = dv()
    server.txt = lambda name: set()
    wanted, answer = await placed(ca)
    await ca.poll(wanted, answer.handle)
    server.set_status(server.orders[0]["id"], "rejected")
    clock.advance(minutes=1)
    with pytest.raises(Rejected):
        await ca.poll(wanted, answer.handle)
    assert shown(dns) == []


async def test_a_provider_that_fails_is_told(
    dv: Callable[..., DigicertBackend], world: World, dns: Bind, clock: Clock
) -> None:
    ca = dv()
    wanted, answer = await placed(ca)
    del world.secrets["tsig"]
    with pytest.raises(Misconfigured, match=r"Secret tsig, named in .*tsigSecretSecretRef, does not exist"):
        await ca.poll(wanted, answer.handle)
    world.secrets["tsig"] = {"secret": dns.secret.encode()}
    assert isinstance(await ca.poll(wanted, answer.handle), Issued)


async def test_what_cannot_be_removed_delays_no_certificate(
    dv: Callable[..., DigicertBackend], server: DigicertServer, world: World, dns: Bind, clock: Clock
) -> None:
    ca = dv()
    server.txt = lambda name: set()
    wanted, answer = await placed(ca)
    await ca.poll(wanted, answer.handle)
    del world.secrets["tsig"]
    server.txt = lambda name: set(dns.records(name))
    clock.advance(minutes=1)
    assert isinstance(await ca.poll(wanted, answer.handle), Issued)
    assert shown(dns)
    world.secrets["tsig"] = {"secret": dns.secret.encode()}
    await ca.check()
    assert shown(dns) == []


async def test_what_cannot_be_removed_is_tried_again_after_a_check_that_was_cut_short(
    dv: Callable[..., DigicertBackend],
    server: DigicertServer,
    world: World,
    dns: Bind,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ca = dv()
    server.txt = lambda name: set()
    wanted, answer = await placed(ca)
    await ca.poll(wanted, answer.handle)
    secret = world.secrets.pop("tsig")
    server.txt = lambda name: set(dns.records(name))
    clock.advance(minutes=1)
    assert isinstance(await ca.poll(wanted, answer.handle), Issued)
    with monkeypatch.context() as hanging:
        hanging.setattr(Dcv, "_withdraw", lambda *_: asyncio.Event().wait())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await ca.check()
    world.secrets["tsig"] = secret
    await ca.check()
    assert shown(dns) == []


def test_another_method_has_no_records_to_set(dv: Callable[..., DigicertBackend]) -> None:
    with pytest.raises(Misconfigured, match="has to be dns-txt-token where dns01 sets"):
        dv(dcvMethod="http-token")
