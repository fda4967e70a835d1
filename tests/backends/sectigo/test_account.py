"""Credentials, and what the account has: a mistake in either is told of with what to do, and what there is."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from csr_operator.plugin.errors import BackendError, Misconfigured, Retryable
from csr_operator.plugin.testing import Clock
from tests.emulators.sectigo_server import CUSTOMER, LOGIN, PASSWORD, TOKEN_PATH, SectigoServer
from tests.emulators.sectigo_world import LOGIN_DATA, OAUTH_DATA, World, finish, member, order
from tests.support.contract import Damage, Reply
from tests.support.signing import VendorCa, pem

PROFILES = "it has 1013 (Public OV SSL), 1014 (Private TLS)"


async def refused(world: World, config: Mapping[str, object] | None = None) -> str:
    with pytest.raises(Misconfigured) as told:
        await world.backend(config).check()
    return str(told.value)


async def test_a_good_account_is_described(world: World) -> None:
    health = await world.backend(world.config(term=199)).check()
    assert health.message == "orders Public OV SSL (1013) for 199 days, for Example Inc"


@pytest.mark.parametrize("organization", [42, "42", "Example Inc", 43, "Web"])
async def test_an_organization_or_department_goes_by_id_or_name(world: World, organization: object) -> None:
    backend = world.backend(world.config(organization=organization))
    await backend.submit(order())
    assert str(world.server.orders[101]["orgId"]) in ("42", "43")
    assert (await backend.check()).message.endswith(("Example Inc", "Web"))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (
            {"organization": "Exmaple"},
            "organization: the account has no organization or department Exmaple; it has 42 (Example Inc), 43 (Web)",
        ),
        (
            {"profile": 7},
            f"profile: the account has no certificate profile 7 for organization 42 (Example Inc); {PROFILES}",
        ),
        (
            {"term": 398},
            "term: certificate profile 1013 (Public OV SSL) has no term of 398 days; it has 90, 199",
        ),
        (
            {"customFields": [{"name": "Cost center", "value": "1"}]},
            "customFields: the account has no Cost center; it has Cost centre",
        ),
    ],
)
async def test_what_the_account_does_not_have_is_told_with_what_it_has(
    world: World, wrong: Mapping[str, object], words: str
) -> None:
    assert await refused(world, world.config(**wrong)) == f"spec.sectigo.{words}"


async def test_a_mandatory_custom_field_is_asked_for(world: World) -> None:
    world.server.mandatory = ("Owner",)
    assert await refused(world) == "spec.sectigo.customFields: Owner is mandatory: give it a value"
    await world.backend(world.config(customFields=[{"name": "Owner", "value": "ann"}])).check()


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        (
            None,
            "Secret account, named in spec.sectigo.login.secretName, does not exist: create it with the login name",
        ),
        (
            {"login": b"ada"},
            "Secret account, named in spec.sectigo.login.secretName: password is missing: put its",
        ),
        ({**LOGIN_DATA, "password": b"\xff"}, "password is no line of text"),
        ({**LOGIN_DATA, "password": b"two\nlines"}, "password is no line of text"),
        (
            {**LOGIN_DATA, "password": b"hunter2"},
            "Sectigo says: Incorrect login credentials (code -970): check the credentials in Secret account",
        ),
        ({**LOGIN_DATA, "login": b"bob"}, "Sectigo says: Unknown user (code -16)"),
    ],
)
async def test_wrong_credentials_are_told_and_never_shown(
    world: World, secret: dict[str, bytes] | None, words: str
) -> None:
    world.secrets.clear()
    if secret is not None:
        world.secrets["account"] = secret
    text = await refused(world)
    assert words in text
    assert "hunter2" not in text


async def test_credentials_that_an_error_repeats_are_taken_out_of_it(world: World) -> None:
    error = {"code": -16, "description": f"Unknown user with {PASSWORD}\nand so on"}
    world.server.fail(Reply(401, error), times=9)
    text = await refused(world)
    assert PASSWORD not in text
    assert "Unknown user with *** and so on" in text


async def test_credentials_that_were_exchanged_are_used_at_once(world: World) -> None:
    world.secrets["account"] = {**LOGIN_DATA, "password": b"old"}
    backend = world.backend()
    with pytest.raises(Misconfigured):
        await backend.check()
    world.secrets["account"] = LOGIN_DATA
    await backend.check()
    world.secrets["account"] = {**LOGIN_DATA, "password": b"wrong"}
    with pytest.raises(Misconfigured):
        await backend.check()


async def test_an_issuer_that_is_checked_often_asks_seldom(world: World) -> None:
    backend = world.backend()
    for _ in range(300):
        await backend.check()
        world.clock.advance(seconds=30)
    assert len(world.server.calls) == 3 * 3


async def test_a_refusal_that_is_the_issuers_fault_shows_at_the_next_check(world: World) -> None:
    backend = world.backend()
    await backend.check()
    error = {"code": -37, "description": "Access denied."}
    world.server.fail(Reply(403, error), times=2)
    with pytest.raises(Misconfigured, match="Access denied"):
        await backend.submit(order())
    with pytest.raises(Misconfigured, match="give the account the role"):
        await backend.check()


async def test_what_the_account_may_not_list_is_left_to_the_order(world: World) -> None:
    denied = Reply(403, {"code": -3, "description": "You are not authorized to perform list."})
    for path in ("/organization/", "/customFields"):
        world.server.fail(denied, "GET", path, times=9)
    with pytest.raises(Misconfigured, match="not authorized to perform list"):
        await world.backend().check()
    await world.backend(world.config(organization="42")).check()


@pytest.mark.parametrize("answer", [{}, [1], [{"name": "x"}], "no"])
async def test_an_answer_of_another_shape_is_tried_again(world: World, answer: object) -> None:
    world.server.fail(Reply(200, answer), "GET", "/organization/")
    backend = world.backend()
    with pytest.raises((Retryable, Misconfigured)):
        await backend.check()
    await backend.check()


async def test_a_token_is_fetched_once_and_renewed_before_it_ends(world: World) -> None:
    backend = world.backend(world.oauth())
    await asyncio.gather(*(backend.submit(order(key=f"{n:064}")) for n in range(20)))
    assert world.server.count("POST", TOKEN_PATH) == 1
    world.clock.advance(seconds=0.95 * world.server.token_life)
    await backend.submit(order())
    assert world.server.count("POST", TOKEN_PATH) == 2


async def test_a_token_that_ended_early_is_exchanged_and_the_call_made_again(world: World) -> None:
    backend, wanted = world.backend(world.oauth()), order()
    answer = await backend.submit(wanted)
    world.server.expire_tokens()
    await finish(backend, wanted, answer)
    assert world.server.count("POST", TOKEN_PATH) == 2
    assert list(world.server.orders) == [101]


async def test_a_token_that_never_serves_is_not_fetched_for_ever(world: World) -> None:
    world.server.token_life = -1
    with pytest.raises(Misconfigured, match="invalid_token"):
        await world.backend(world.oauth()).check()
    assert world.server.count("POST", TOKEN_PATH) == 2


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (Reply(503), Retryable, "the token server is not available (HTTP status 503)"),
        (Reply(429, {}, {"Retry-After": "7"}), Retryable, "HTTP status 429"),
        (Reply(200, {"token_type": "Bearer"}), Retryable, "holds no access_token"),
        (Reply(200, b"<html>"), Retryable, "not JSON"),
        (
            Reply(401, {"error": "invalid_client", "error_description": "Invalid battery-staple"}),
            Misconfigured,
            "refuses the credentials in Secret account: Invalid ***: check clientID and clientSecret",
        ),
    ],
)
async def test_a_token_that_cannot_be_had_is_told_of(
    world: World, answer: Reply, error: type[BackendError], words: str
) -> None:
    world.server.fail(answer, path=TOKEN_PATH)
    with pytest.raises(error) as told:
        await world.backend(world.oauth()).check()
    assert words in str(told.value)


async def test_another_client_gets_a_token_of_its_own(world: World) -> None:
    backend = world.backend(world.oauth())
    await backend.check()
    world.secrets["account"] = {**OAUTH_DATA, "clientSecret": b"other"}
    with pytest.raises(Misconfigured, match="refuses the credentials"):
        await backend.submit(order())


@pytest.fixture
def members() -> VendorCa:
    return VendorCa.make("Members")


@pytest.fixture
def mutual(tmp_path: Path, members: VendorCa, clock: Clock) -> Iterator[SectigoServer]:
    server = SectigoServer(tmp_path / "mutual", clock)
    server.client_ca = pem(members.root) + pem(members.intermediate)
    with server:
        yield server


def by_certificate(world: World, server: SectigoServer) -> dict[str, object]:
    return {
        "url": f"{server.url}/private/api",
        "caBundle": server.ca_bundle,
        "customerURI": CUSTOMER,
        "clientCertificate": {"secretName": "account", "login": LOGIN},
        "organization": 42,
        "profile": 1013,
    }


async def test_a_client_certificate_serves_and_another_one_is_shown_at_once(
    world: World, mutual: SectigoServer, members: VendorCa
) -> None:
    world.secrets["account"] = member(members, LOGIN)
    backend, wanted = world.backend(by_certificate(world, mutual)), order()
    await finish(backend, wanted, await backend.submit(wanted))
    assert all("password" not in call.headers for call in mutual.calls)
    assert [call.peer for call in mutual.calls] == [LOGIN] * len(mutual.calls)
    world.secrets["account"] = member(members, "bob")
    with pytest.raises(Misconfigured, match="Unknown user"):
        await world.backend(by_certificate(world, mutual)).check()


async def test_a_client_certificate_without_its_key_is_told_of(
    world: World, mutual: SectigoServer, members: VendorCa
) -> None:
    world.secrets["account"] = {**member(members, LOGIN), "tls.key": member(members, LOGIN)["tls.key"]}
    text = await refused(world, by_certificate(world, mutual))
    assert text.startswith("Secret account: needs a certificate in tls.crt and its private key")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"login": None}, "spec.sectigo: set one of login, clientCertificate and oauth"),
        ({"oauth": {"secretName": "x"}}, "spec.sectigo: set one of login, clientCertificate and oauth"),
        ({"customerURI": None}, "spec.sectigo.customerURI: it is missing"),
        ({"organization": None}, "spec.sectigo.organization: it is missing"),
        ({"login": {"name": "x"}}, "spec.sectigo.login.secretName: it is missing"),
        ({"url": "cert-manager.com"}, "spec.sectigo.url: cert-manager.com is not a URL"),
        ({"caBundle": "nothing"}, "spec.sectigo.caBundle: holds no CA certificates"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(world: World, wrong: Mapping[str, object], words: str) -> None:
    with pytest.raises(Misconfigured) as told:
        world.backend({**world.config(), **wrong})
    assert words in str(told.value)


async def test_another_server_than_the_issuer_trusts_gets_no_credentials(world: World) -> None:
    config = {**world.config(), "caBundle": pem(VendorCa.make("Other").root)}
    with pytest.raises(Retryable, match="its TLS certificate is not trusted"):
        await world.backend(config).check()
    assert world.server.calls == []


@pytest.mark.parametrize("damage", [Damage.LOST, Damage.TRUNCATED])
async def test_a_check_that_got_no_whole_answer_is_tried_again(world: World, damage: Damage) -> None:
    backend = world.backend()
    world.server.fail(damage, times=9)  # aiohttp asks once more by itself
    with pytest.raises(Retryable):
        await backend.check()
    world.server.go_on()
    await backend.check()
