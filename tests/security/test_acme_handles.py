"""An order's URL that somebody put in the place of another, and a CA that answers for others: nothing is done with it.

The like is GHSA-8rvj-mm4h-c258.
"""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest

from csr_acme.objects import Identifier
from csr_operator.backends.acme.identifiers import identifiers_of
from csr_operator.pki.profile import Profile
from csr_operator.plugin.backend import Order, Pending
from csr_operator.plugin.errors import BackendError, Lapsed, Misconfigured, Rejected
from tests.support.acme_world import NAME, World, csr, go, order, submitted, world_of
from tests.support.contract import Reply
from tests.support.entries import entries_of
from tests.support.hostile_acme import HostileAcme, Sink, problem


@pytest.fixture
def ca() -> Iterator[HostileAcme]:
    with HostileAcme() as server:
        yield server


@pytest.fixture
async def world(ca: HostileAcme) -> AsyncIterator[World]:
    async with world_of(ca) as found:
        yield found


async def test_an_honest_order_goes_through(world: World) -> None:
    backend, asked = world.again(), order()
    await go(backend, asked, await submitted(backend, asked))
    assert world.routes.ever == {NAME}
    assert not world.routes.present


async def test_an_honest_order_is_taken_back_after_a_restart(world: World) -> None:
    backend, asked = world.again(), order()
    handle = await submitted(backend, asked)
    world.ca.proves = False
    assert isinstance(await backend.poll(asked, handle), Pending)
    assert world.routes.present
    await world.again().abandon(asked.key, asked.csr, handle)
    assert not world.routes.present
    assert {one["status"] for one in world.ca.authorizations.values()} == {"deactivated"}


async def test_an_order_whose_url_could_not_be_kept_is_taken_back(world: World) -> None:
    backend = world.again()
    for number in range(5):
        asked = order(f"request-{number}")
        await submitted(backend, asked)
        await backend.abandon(asked.key, asked.csr, "")
    assert [one["status"] for one in world.ca.authorizations.values()] == ["deactivated"] * 5
    assert not any(entries_of(backend._proving).values())


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("tls", [False, True])
async def test_nothing_is_sent_to_a_handle_elsewhere(world: World, tls: bool, restarted: bool) -> None:
    backend, asked = world.again(), order()
    await submitted(backend, asked)
    if restarted:
        backend = world.again()
    with Sink(Reply(200, {}), tls=tls) as sink:
        for handle in (
            f"{sink.url}/order/1",
            f"{sink.url}@{world.ca.url.removeprefix('https://')}/order/1",
            "x",
            "http://[::1/",
        ):
            with pytest.raises(Lapsed):
                await backend.poll(asked, handle)
            await backend.abandon(asked.key, asked.csr, handle)
        assert sink.calls == []
    assert not world.routes.ever
    assert {one["status"] for one in world.ca.authorizations.values()} == {"pending"}


@pytest.mark.parametrize("restarted", [False, True])
async def test_nothing_is_done_with_an_order_of_others(world: World, restarted: bool) -> None:
    """The victim's order, at the same account: it is neither proven, finalized nor taken back by another's request."""
    backend, victims = world.again(), order("victim", "mail.victim.example")
    handle = await submitted(backend, victims)
    number = int(handle.rpartition("/")[2])
    world.ca.proves = False
    assert isinstance(await backend.poll(victims, handle), Pending)
    before = dict(world.routes.present)
    assert before
    attacker = world.again() if restarted else backend

    for names in ((NAME,), (NAME, "mail.victim.example"), ("*.victim.example",)):
        mine = order("mine", *names)
        for status in ("pending", "ready", "valid"):
            world.ca.orders[number]["status"] = status
            try:
                answer = await attacker.poll(mine, handle)
            except Lapsed:
                pass
            else:  # the victim's request is known to work on it
                assert isinstance(answer, Pending)
                assert not answer.handle
            await attacker.abandon(mine.key, mine.csr, handle)
    world.ca.lies["order"] = lambda _: problem("malformed", "there is no such order", 404)
    await attacker.abandon(mine.key, mine.csr, handle)

    assert world.routes.present == before
    assert world.ca.asked("finalize") == world.ca.asked("certificate") == 0
    assert {one["status"] for one in world.ca.authorizations.values()} == {"pending"}
    world.ca.lies.clear()
    world.ca.proves = True
    world.ca.orders[number]["status"] = "pending"
    world.ahead = timedelta(minutes=6)  # the CA was told of the challenge already
    await go(backend, victims, handle)
    assert not world.routes.present


async def test_a_listed_order_elsewhere_is_not_asked(world: World) -> None:
    with Sink(Reply(200, {}), tls=False) as sink:
        world.ca.lies["orders"] = lambda _: {"orders": [f"{sink.url}/order/1"]}
        asked = Order("mine", csr(NAME), Profile(), timedelta(days=30), repeated=True)
        with pytest.raises(Misconfigured, match=r"the CA's orders is http://.*set spec\.acme\.insecureAllowAnyURL$"):
            await world.again().submit(asked)
        assert sink.calls == []


async def test_an_order_for_other_names_than_asked_is_refused(world: World) -> None:
    backend, asked = world.again(), order()
    world.ca.lies["new-order"] = lambda body: {**body, "identifiers": [{"type": "dns", "value": "www.bank.example"}]}
    with pytest.raises(Rejected, match="answers with an order for other names than it was asked for"):
        await backend.submit(asked)
    assert world.ca.asked("authorization") == 0


@pytest.mark.parametrize(
    "changed",
    [
        {"identifier": {"type": "dns", "value": "www.bank.example"}},
        {"identifier": {"type": "dns", "value": "`id`.$(id);www.example.com"}},
        {"identifier": {"type": "dns", "value": f"--{NAME}"}},
        {"identifier": {"type": "ip", "value": "10.0.0.1"}},
        {"identifier": {"type": "dns", "value": "example.com"}},
        {"wildcard": True},
    ],
)
async def test_no_name_is_proven_that_was_not_asked_for(world: World, changed: dict[str, Any]) -> None:
    backend, asked = world.again(), order()
    handle = await submitted(backend, asked)
    world.ca.lies["authorization"] = lambda body: {**body, **changed}
    with pytest.raises(Rejected, match="the CA asks for proof of control over"):
        await backend.poll(asked, handle)
    await world.again().abandon(asked.key, asked.csr, handle)
    assert not world.routes.ever
    assert world.ca.asked("challenge") == 0
    assert {one["status"] for one in world.ca.authorizations.values()} == {"pending"}


async def test_one_name_too_many_keeps_all_from_being_set_up(world: World) -> None:
    backend, asked = world.again(), order("mine", "a.example.com", "b.example.com")
    handle = await submitted(backend, asked)
    last = max(world.ca.authorizations)
    world.ca.authorizations[last]["identifier"]["value"] = "www.bank.example"
    with pytest.raises(Rejected):
        await backend.poll(asked, handle)
    assert not world.routes.ever


async def test_what_was_set_up_goes_when_the_ca_adds_a_name(world: World) -> None:
    backend, asked = world.again(), order()
    handle = await submitted(backend, asked)
    world.ca.proves = False
    assert isinstance(await backend.poll(asked, handle), Pending)
    assert world.routes.present
    world.ca.lies["authorization"] = lambda body: {**body, "identifier": {"type": "dns", "value": "www.bank.example"}}
    with pytest.raises(Rejected):
        await backend.poll(asked, handle)
    assert not world.routes.present


async def test_a_reference_that_names_no_certificate_goes_nowhere(world: World) -> None:
    backend = world.again()
    assert await backend.suggest_renewal("../../account/1") is None
    assert world.ca.asked("renewal-info") == 0
    asked = Order("mine", csr(NAME), Profile(), timedelta(days=30), replaces="../x")
    await submitted(backend, asked)
    assert await backend.suggest_renewal("abc.def") is not None


async def test_the_hmac_key_is_shown_to_nobody(world: World) -> None:
    world.secrets["eab"] = {"secret": b"SECRETHMACKEYabcdefghijk"}
    world.ca.lies["account"] = lambda _: problem("unauthorized", "no such key: SECRETHMACKEYabcdefghijk")
    backend = world.again(externalAccountBinding={"keyID": "1", "keySecretRef": {"name": "eab"}})
    with pytest.raises(Misconfigured) as told:
        await backend.check()
    assert "SECRETHMAC" not in str(told.value)
    assert "no such key: ***" in str(told.value)


async def test_what_the_ca_says_is_one_short_line(world: World) -> None:
    backend, asked = world.again(), order()
    world.ca.lies["new-order"] = lambda _: problem("malformed", "first\n2026-01-01 ERROR: FORGED\x1b[31m" + "x" * 900)
    with pytest.raises(Rejected) as told:
        await backend.submit(asked)
    assert str(told.value).isprintable()
    assert len(str(told.value)) < 520

    world.ca.lies.clear()
    asked = order("other")
    handle = await submitted(backend, asked)
    failed = {"type": "urn:ietf:params:acme:error:dns", "detail": "a\nb" * 30_00}
    world.ca.lies["authorization"] = lambda body: {
        **body,
        "status": "invalid",
        "challenges": [{**body["challenges"][0], "status": "invalid", "error": failed}],
    }
    with pytest.raises(Lapsed) as lapsed:
        await backend.poll(asked, handle)
    assert str(lapsed.value).isprintable()
    assert len(str(lapsed.value)) < 520


@pytest.mark.slow("takes more than ten seconds")
async def test_a_persistent_record_is_of_this_ca_and_this_account_alone(world: World) -> None:
    """No DNS server is needed to refuse: what a solver would write is looked at first."""
    dns = {"challengeType": "dns-persist-01", "recursiveNameservers": ["127.0.0.1:1"], "recursiveNameserversOnly": True}
    solvers = [{"dns01": dns}]

    def named(*domains: str) -> None:
        world.ca.lies["authorization"] = lambda body: {
            **body,
            "challenges": [{**one, "issuer-domain-names": list(domains)} for one in body["challenges"]],
        }

    named("letsencrypt.org", 'x"; accounturi=y')
    backend, asked = world.again(solvers=solvers), order()
    handle = await submitted(backend, asked)
    with pytest.raises(Rejected, match=r"none is in the caaIdentities .* add it to spec\.acme\.issuerDomainNames"):
        await backend.poll(asked, handle)
    # With a name that the issuer knows it is got on with, to where the DNS server is missing.
    named("letsencrypt.org", "CA.example.com")
    backend = world.again(solvers=solvers, issuerDomainNames=["ca.example.com"])
    with pytest.raises(BackendError) as told:
        await backend.poll(asked, handle)
    assert not isinstance(told.value, Rejected)
    world.ca.lies["directory"] = lambda body: {**body, "meta": {"caaIdentities": ["ca.example.com"]}}
    with pytest.raises(BackendError) as told:
        await world.again(solvers=solvers).poll(asked, handle)
    assert not isinstance(told.value, Rejected)
    world.ca.headers["account"] = {"Location": "https://acme-v02.api.letsencrypt.org/acme/acct/666"}
    with pytest.raises(Rejected, match="is not at the CA's own host: use dns-01"):
        await world.again(solvers=solvers, insecureAllowAnyURL=True).poll(asked, handle)
    world.ca.headers["account"] = {"Location": f"{world.ca.url}/account/1;policy=wildcard"}
    with pytest.raises(Rejected, match="use dns-01"):
        await world.again(solvers=solvers).poll(asked, handle)


def test_names_have_one_spelling() -> None:
    assert identifiers_of(csr("WWW.Example.com", "*.Example.com")) == [
        Identifier("dns", "www.example.com"),
        Identifier("dns", "*.example.com"),
    ]
