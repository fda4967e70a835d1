"""DigiCert's two backends against their contract servers, and against accounts.

CertCentral: DIGICERT_API_KEY, DIGICERT_PRODUCT, DIGICERT_DOMAIN (validated, or of an account that needs no validation),
and where the product wants them DIGICERT_ORGANIZATION_ID, DIGICERT_CONTAINER_ID, DIGICERT_PAYMENT_METHOD; DIGICERT_URL
for another region; DIGICERT_PATIENCE_MINUTES, 15 if unset. The suite orders two certificates, revokes one, and cancels
the other's order if that is still pending.

DigiCert ONE: DIGICERT_ONE_API_KEY, DIGICERT_ONE_PROFILE_ID, DIGICERT_ONE_DOMAIN, and DIGICERT_ONE_URL. It issues one
certificate and revokes it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from cryptography import x509

from csr_operator.backends.digicert.certcentral import DigicertBackend
from csr_operator.backends.digicert.one import DigicertOneBackend
from csr_operator.pki.chain import build_chain
from csr_operator.pki.profile import Profile
from csr_operator.pki.verify import verify
from csr_operator.plugin import http
from csr_operator.plugin.backend import Issued, Order, Pending
from csr_operator.plugin.errors import Misconfigured
from csr_operator.plugin.testing import Clock, World
from tests.backends.digicert.support import order
from tests.emulators.digicert_one_server import DigicertOneServer
from tests.emulators.digicert_server import BASE, KEY, ORGANIZATION, OV, DigicertServer, after
from tests.live_accounts.support import Account, until_issued, variables

CertCentral = Account[DigicertBackend]
One = Account[DigicertOneBackend]


class RealClock(Clock):
    """For an account."""

    def __call__(self) -> datetime:
        return datetime.now(UTC)


async def _sleep(pause: timedelta) -> None:
    await asyncio.sleep(pause.total_seconds())


def _maker(kind: Any, world: World, config: dict[str, Any]) -> Callable[..., Any]:
    return lambda **settings: kind.create({"secretName": "digicert", **config, **settings}, world.context)


def _account(kind: Any, session: aiohttp.ClientSession, given: Any, config: dict[str, Any]) -> Account[Any]:
    world = World(session, RealClock(), {"digicert": {"api-key": given["API_KEY"].encode()}})
    if url := given.get("URL"):
        config["url"] = url
    minutes = float(given.get("PATIENCE_MINUTES", 15))
    return Account(_maker(kind, world, config), given["DOMAIN"], _sleep, timedelta(minutes=minutes))


def _emulated(
    kind: Any, session: aiohttp.ClientSession, clock: Clock, server: Any, config: dict[str, Any]
) -> Account[Any]:
    async def wait(pause: timedelta) -> None:
        clock.now += pause

    world = World(session, clock, {"digicert": {"api-key": KEY.encode()}})
    config = {"caBundle": server.ca_bundle, **config}
    return Account(_maker(kind, world, config), "example.com", wait, timedelta(minutes=15))


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with http.http_session() as session:
        yield session


@pytest.fixture(params=["emulated", "account"])
async def cert_central(request: pytest.FixtureRequest, session: aiohttp.ClientSession) -> AsyncIterator[CertCentral]:
    if request.param == "account":
        given = variables("DIGICERT_", "API_KEY", "PRODUCT", "DOMAIN")
        config: dict[str, Any] = {"product": given["PRODUCT"], "skipApproval": True}
        for name, field in (("ORGANIZATION_ID", "organizationId"), ("CONTAINER_ID", "containerId")):
            if name in given:
                config[field] = int(given[name])
        if "PAYMENT_METHOD" in given:
            config["paymentMethod"] = given["PAYMENT_METHOD"]
        yield _account(DigicertBackend, session, given, config)
        return
    clock = Clock()
    with DigicertServer(clock=clock, plan=after((0, "pending"), (90, "issued"))) as server:
        config = {"url": f"{server.url}{BASE}", "product": OV, "organizationId": ORGANIZATION, "skipApproval": True}
        yield _emulated(DigicertBackend, session, clock, server, config)


@pytest.fixture(params=["emulated", "account"])
async def digicert_one(request: pytest.FixtureRequest, session: aiohttp.ClientSession) -> AsyncIterator[One]:
    if request.param == "account":
        given = variables("DIGICERT_ONE_", "API_KEY", "PROFILE_ID", "DOMAIN")
        yield _account(DigicertOneBackend, session, given, {"profileId": given["PROFILE_ID"]})
        return
    clock = Clock()
    with DigicertOneServer(clock=clock) as server:
        config = {"url": server.url, "profileId": server.PROFILE}
        yield _emulated(DigicertOneBackend, session, clock, server, config)


def new_order(account: Account[Any]) -> Order:
    host = account.host()
    return order(host.encode().hex().ljust(64, "0")[-64:], host)


def assert_good(wanted: Order, answer: Issued) -> x509.Certificate:
    chain = build_chain(wanted.csr.public_key(), answer.certificates)
    begins = chain.leaf.not_valid_before_utc
    verify(chain, wanted.csr, Profile(), now=begins + timedelta(minutes=1), rules=answer.rules)
    return chain.leaf


async def test_cert_central_says_what_the_account_has(cert_central: CertCentral) -> None:
    assert (await cert_central.make().check()).message.startswith("orders ")
    with pytest.raises(Misconfigured, match="the account's products: "):
        await cert_central.make(product="no_such_product").check()


async def test_cert_central_issues_finds_again_and_revokes(cert_central: CertCentral) -> None:
    ca, wanted = cert_central.make(), new_order(cert_central)
    answer = await ca.submit(wanted)
    issued = await until_issued(cert_central, ca, wanted, answer)
    certificate = assert_good(wanted, issued)
    again = await until_issued(cert_central, ca, wanted, await ca.submit(replace(wanted, repeated=True)))
    assert again.reference == issued.reference
    await ca.revoke(certificate, x509.ReasonFlags.superseded)
    await ca.revoke(certificate, x509.ReasonFlags.superseded)


async def test_cert_central_cancels_what_nobody_waits_for(cert_central: CertCentral) -> None:
    ca, wanted = cert_central.make(cancelPending=True), new_order(cert_central)
    answer = await ca.submit(wanted)
    if not isinstance(answer, Pending):
        pytest.skip("the account issues at once: nothing is ever pending")
    assert ca.traits.abandons
    await ca.abandon(wanted.key, wanted.csr, answer.handle)
    await ca.abandon(wanted.key, wanted.csr, answer.handle)


async def test_digicert_one_says_what_the_account_has(digicert_one: One) -> None:
    assert (await digicert_one.make().check()).message.startswith("issues by the profile ")
    with pytest.raises(Misconfigured, match="those that it has for REST requests: "):
        await digicert_one.make(profileId="00000000-0000-0000-0000-000000000000").check()


async def test_digicert_one_issues_finds_again_and_revokes(digicert_one: One) -> None:
    ca, wanted = digicert_one.make(), new_order(digicert_one)
    answer = await until_issued(digicert_one, ca, wanted, await ca.submit(wanted))
    certificate = assert_good(wanted, answer)
    again = await until_issued(digicert_one, ca, wanted, await ca.submit(replace(wanted, repeated=True)))
    assert again.reference == answer.reference
    await ca.revoke(certificate, x509.ReasonFlags.superseded)
    await ca.revoke(certificate, x509.ReasonFlags.superseded)
