"""The `sectigo` backend against its contract server, and against an account.

SECTIGO_ORGANIZATION, SECTIGO_PROFILE, SECTIGO_DOMAIN (validated; orders below it approve themselves), and either
SECTIGO_CUSTOMER_URI, SECTIGO_LOGIN and SECTIGO_PASSWORD, or SECTIGO_CLIENT_ID and SECTIGO_CLIENT_SECRET; SECTIGO_TERM
for another than the shortest term; SECTIGO_URL if it is not the usual one; SECTIGO_PATIENCE_MINUTES, 30 if unset. The
suite orders two certificates, renews one of them, and revokes all three.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from cryptography import x509

from csr_operator.backends.sectigo import SectigoBackend
from csr_operator.pki.chain import build_chain
from csr_operator.pki.keys import KeyAlgorithm, KeyParameters, generate
from csr_operator.pki.names import Names
from csr_operator.pki.verify import verify
from csr_operator.plugin import http
from csr_operator.plugin.backend import Issued, Order
from csr_operator.plugin.context import Context, NoResponder
from csr_operator.plugin.errors import Misconfigured
from csr_operator.plugin.testing import Clock
from tests.emulators.sectigo_server import SectigoServer
from tests.emulators.sectigo_world import World, order
from tests.live_accounts.support import Account, until_issued, variables
from tests.support.following import follows

Scm = Account[SectigoBackend]


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with http.http_session() as session:
        yield session


@pytest.fixture(params=["emulated", "account"])
async def scm(request: pytest.FixtureRequest, session: aiohttp.ClientSession) -> AsyncIterator[Scm]:
    if request.param == "account":
        yield _account(session)
        return
    clock = Clock(datetime.now(UTC))
    with SectigoServer(clock=clock) as server:
        server.steps = (("Requested", 0), ("Applied", 5), ("Issued", 60))
        world = World(server, clock, session)

        async def wait(pause: timedelta) -> None:
            clock.now += pause

        def make(**settings: Any) -> SectigoBackend:
            return world.backend(world.config(**settings))

        yield Account(make, "example.com", wait, timedelta(minutes=5))


def _account(session: aiohttp.ClientSession) -> Scm:
    by_client = bool(os.environ.get("SECTIGO_CLIENT_ID"))
    access = ("CLIENT_ID", "CLIENT_SECRET") if by_client else ("CUSTOMER_URI", "LOGIN", "PASSWORD")
    given = variables("SECTIGO_", "ORGANIZATION", "PROFILE", "DOMAIN", *access)
    config: dict[str, Any] = {"organization": given["ORGANIZATION"], "profile": given["PROFILE"]}
    if by_client:
        config["oauth"] = {"secretName": "account"}
        secret = {"clientID": given["CLIENT_ID"].encode(), "clientSecret": given["CLIENT_SECRET"].encode()}
    else:
        config |= {"login": {"secretName": "account"}, "customerURI": given["CUSTOMER_URI"]}
        secret = {"login": given["LOGIN"].encode(), "password": given["PASSWORD"].encode()}
    if "URL" in given:
        config["url"] = given["URL"]
    if "TERM" in given:
        config["term"] = int(given["TERM"])
    return Account(
        _maker(session, secret, config),
        given["DOMAIN"],
        lambda pause: asyncio.sleep(pause.total_seconds()),
        timedelta(minutes=float(given.get("PATIENCE_MINUTES", 30))),
    )


def _maker(
    session: aiohttp.ClientSession, secret: dict[str, bytes], config: dict[str, Any]
) -> Callable[..., SectigoBackend]:
    async def read_secret(name: str) -> dict[str, bytes]:
        return secret

    async def write_secret(*_: object) -> None:
        raise AssertionError("this backend writes no Secret")

    context = Context(read_secret, write_secret, lambda: datetime.now(UTC), lambda: session, NoResponder())
    return lambda **settings: SectigoBackend.create({**config, **settings}, context)


def new_order(host: str, **more: Any) -> Order:
    key = host.encode().hex().ljust(64, "0")[-64:] + more.pop("suffix", "")
    pair = generate(KeyParameters(KeyAlgorithm.RSA, 2048))
    return order(key=key[-64:], names=Names(common_name=host, dns_names=(host,)), pair=pair, **more)


def assert_good(wanted: Order, answer: Issued) -> x509.Certificate:
    chain = build_chain(wanted.csr.public_key(), answer.certificates)
    begins = chain.leaf.not_valid_before_utc
    verify(chain, wanted.csr, wanted.profile, now=begins + timedelta(minutes=1), rules=answer.rules)
    return chain.leaf


async def test_it_says_what_the_account_has(scm: Scm) -> None:
    assert (await scm.make().check()).message.startswith("orders ")
    with pytest.raises(Misconfigured, match="the account has no certificate profile no such profile"):
        await scm.make(profile="no such profile").check()


async def test_it_issues_finds_again_and_revokes(scm: Scm) -> None:
    ca, wanted = scm.make(), new_order(scm.host())
    issued = await until_issued(scm, ca, wanted, await ca.submit(wanted))
    certificate = assert_good(wanted, issued)
    # As after a crash: a backend that knows nothing.
    other = scm.make()
    again = await until_issued(scm, other, wanted, await other.submit(replace(wanted, repeated=True)))
    assert again.reference == issued.reference
    for _ in range(2):
        await ca.revoke(certificate, x509.ReasonFlags.superseded)


async def test_it_renews(scm: Scm) -> None:
    ca, host = scm.make(renewal="Renew"), scm.host()
    first = new_order(host)
    issued = await until_issued(scm, ca, first, await ca.submit(first))
    second = new_order(host, **follows(issued), suffix="1")
    renewed = await until_issued(scm, ca, second, await ca.submit(second))
    assert renewed.reference != issued.reference
    for wanted, answer in ((first, issued), (second, renewed)):
        await ca.revoke(assert_good(wanted, answer), x509.ReasonFlags.cessation_of_operation)
