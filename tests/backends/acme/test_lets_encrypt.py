"""How the software of Let's Encrypt behaves where Pebble does not: a CA that does just that, and nothing else.

A challenge stays `pending` while it is looked at, and a second POST is refused or has the CA look once more. Whoever
asks for the same names again gets the same order. Refusals come and go.
"""

import asyncio
import base64
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from csr_operator.backends.acme import AcmeBackend
from csr_operator.pki.csr import CsrTemplate, build_csr, with_common_name
from csr_operator.pki.keys import private_key_pem
from csr_operator.pki.names import Names
from csr_operator.pki.profile import Profile
from csr_operator.plugin.backend import Issued, Order, Pending
from csr_operator.plugin.errors import BackendError, Lapsed, Misconfigured, Rejected, Retryable
from tests.support.acme_world import NAME, World, csr, go, order, submitted, world_of
from tests.support.contract import Call, Reply
from tests.support.hostile_acme import PROBLEM, HostileAcme, Lie, problem


async def refused(backend: AcmeBackend, asked: Order, handle: str) -> BackendError:
    """What the first poll that fails says."""
    for _ in range(5):
        try:
            await backend.poll(asked, handle)
        except BackendError as error:
            return error
    raise AssertionError("nothing is refused")


def once(reply: Reply, times: int = 1) -> Lie:
    """The reply for the first calls, and what is honest afterwards."""
    left = [reply] * times
    return lambda body: left.pop() if left else body


# Challenges.


@pytest.mark.parametrize(
    "told", [None, problem("conflict", "already being validated", 409), problem("malformed", "-", 400)]
)
async def test_a_ca_is_told_of_a_challenge_once(world: World, told: Reply | None) -> None:
    world.ca.proves = False
    if told is not None:
        world.ca.lies["challenge"] = lambda _: told
    backend, asked = world.again(), order()
    handle = await submitted(backend, asked)
    for _ in range(5):
        assert isinstance(await backend.poll(asked, handle), Pending)
    assert world.ca.asked("challenge") == 1

    for number in world.ca.authorizations:
        world.ca.authorizations[number]["status"] = "valid"
    await go(backend, asked, handle)
    assert world.ca.asked("challenge") == 1
    assert not world.routes.present


async def test_a_challenge_that_stays_pending_is_told_of_again_after_minutes_and_retry_after(world: World) -> None:
    world.ca.proves = False
    backend, asked = world.again(), order()
    handle = await submitted(backend, asked)
    await backend.poll(asked, handle)
    world.ca.headers["authorization"] = {"Retry-After": "900"}
    await backend.poll(asked, handle)
    world.ahead = timedelta(minutes=6)
    await backend.poll(asked, handle)
    assert world.ca.asked("challenge") == 1
    world.ahead = timedelta(minutes=25)
    await backend.poll(asked, handle)
    assert world.ca.asked("challenge") == 2


@pytest.mark.parametrize(
    "reply", [problem("serverInternal", "-", 500), problem("rateLimited", "-", 429), Reply(502, b"<html>")]
)
async def test_a_challenge_is_told_of_again_if_the_ca_did_not_hear(world: World, reply: Reply) -> None:
    world.ca.lies["challenge"] = once(reply)
    world.ca.proves = False
    backend, asked = world.again(), order()
    handle = await submitted(backend, asked)
    with pytest.raises(Retryable):
        await backend.poll(asked, handle)
    world.ca.proves = True
    await go(backend, asked, handle)
    assert world.ca.asked("challenge") == 2


# What is refused on the way.

LOOKED_AT_AGAIN = [
    ("finalize", problem("caa", "rechecking caa: DNS problem", 403)),
    ("finalize", problem("dns", "-", 400)),
    ("finalize", problem("connection", "-", 400)),
    ("finalize", problem("tls", "-", 400)),
    ("finalize", problem("unauthorized", "authorizations for these identifiers expired", 403)),
    ("finalize", problem("orderNotReady", "-", 403)),
    ("finalize", problem("malformed", "-", 400)),
    ("finalize", problem("rejectedIdentifier", "-", 400)),
    ("certificate", problem("malformed", "Certificate not found", 404)),
    ("certificate", problem("unauthorized", "-", 403)),
    ("certificate", Reply(404, b"<html>")),
    ("authorization", problem("malformed", "Expired authorization", 404)),
]


@pytest.mark.parametrize(("step", "reply"), LOOKED_AT_AGAIN)
async def test_what_an_order_is_refused_once_is_looked_at_again(world: World, step: str, reply: Reply) -> None:
    backend, asked = world.again(), order()
    handle = await submitted(backend, asked)
    world.ca.lies[step] = once(reply)
    told = await refused(backend, asked, handle)
    assert isinstance(told, Retryable)
    assert not isinstance(told, Lapsed)
    assert told.after.total_seconds() <= 5
    assert isinstance(await go(backend, asked, handle), Issued)
    assert world.ca.asked("new-order") == 1


async def test_what_an_order_is_refused_again_and_again_is_looked_at_ever_more_rarely(world: World) -> None:
    backend, asked = world.again(), order()
    handle = await submitted(backend, asked)
    world.ca.lies["certificate"] = lambda _: problem("malformed", "-", 404)
    waits = []
    for _ in range(10):
        told = await refused(backend, asked, handle)
        assert isinstance(told, Retryable)
        waits.append(told.after.total_seconds())
    assert waits == [5, 60, 300, 1800, 3600, 6 * 3600, *[86400] * 4]


@pytest.mark.parametrize("kind", ["badCSR", "badPublicKey"])
async def test_a_csr_that_is_refused_is_refused_for_good(world: World, kind: str) -> None:
    backend, asked = world.again(), order()
    handle = await submitted(backend, asked)
    world.ca.lies["finalize"] = lambda _: problem(kind, "-", 400)
    assert isinstance(await refused(backend, asked, handle), Rejected)


async def test_an_order_whose_authorizations_are_gone_with_it_is_placed_anew(world: World) -> None:
    backend, asked = world.again(), order()
    handle = await submitted(backend, asked)
    world.ca.lies["order"] = lambda body: {**body, "status": "invalid"}
    world.ca.lies["authorization"] = lambda _: problem("malformed", "Expired authorization", 404)
    with pytest.raises(Lapsed):
        await world.again().poll(asked, handle)
    with pytest.raises(Lapsed):
        await backend.poll(asked, handle)


NEW_ORDER = [
    *[(problem(kind, "-", 400), Rejected) for kind in ("rejectedIdentifier", "unsupportedIdentifier", "malformed")],
    (problem("invalidProfile", "-", 400), Rejected),
    (problem("compound", "-", 400, subproblems=[{"type": f"{PROBLEM}rejectedIdentifier"}]), Rejected),
    *[(problem(kind, "-", 403), Lapsed) for kind in ("caa", "dns", "connection", "tls", "conflict", "somethingNew")],
    (problem("compound", "-", 400, subproblems=[{"type": f"{PROBLEM}caa"}]), Lapsed),
    (problem("malformed", "no such page", 404), Lapsed),
    (problem("unauthorized", "the account is deactivated", 403), Misconfigured),
    (problem("userActionRequired", "new terms", 403), Misconfigured),
    (problem("serverInternal", "-", 500), Retryable),
    (problem("rateLimited", "-", 429), Retryable),
]


@pytest.mark.parametrize(("reply", "means"), NEW_ORDER)
async def test_only_what_an_order_would_be_refused_again_is_refused_for_good(
    world: World, reply: Reply, means: type[BackendError]
) -> None:
    world.ca.lies["new-order"] = lambda _: reply
    with pytest.raises(means) as told:
        await world.again().submit(order())
    assert type(told.value) is means


REFERENCE = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"


def names_what_it_replaces(call: Call) -> bool:
    """Of an order that is placed."""
    return b'"replaces"' in base64.urlsafe_b64decode(call.body["payload"] + "==")


def but_for_what_it_replaces(world: World, reply: Reply) -> Lie:
    """The reply to an order that names it, and what is honest to any other."""
    return lambda body: reply if names_what_it_replaces(world.ca.calls[-1]) else body


@pytest.mark.parametrize(
    "reply",
    [
        problem("alreadyReplaced", "-", 409),
        problem("malformed", "-", 400),
        problem("serverInternal", "-", 500),
        Reply(500, b"<html>"),
        Reply(409, {"detail": "replaced"}),
        Reply(404, b""),
    ],
)
async def test_an_order_is_placed_without_what_it_replaces_where_that_may_be_why(world: World, reply: Reply) -> None:
    """Whether or not the CA says so in the words of ACME."""
    world.ca.lies["new-order"] = but_for_what_it_replaces(world, reply)
    await submitted(world.again(), replace(order(), replaces=REFERENCE))
    assert world.ca.asked("new-order") == 2


@pytest.mark.parametrize(
    "reply",
    [
        problem("rateLimited", "-", 429),
        problem("somethingNew", "-", 429),
        problem("serverInternal", "-", 503),
        Reply(429, b"<html>"),
        *[Reply(status, b"<html>") for status in (502, 503, 504)],
    ],
)
async def test_a_ca_that_has_too_much_to_do_is_not_asked_twice(world: World, reply: Reply) -> None:
    world.ca.lies["new-order"] = lambda _: reply
    with pytest.raises(Retryable):
        await world.again().submit(replace(order(), replaces=REFERENCE))
    assert world.ca.asked("new-order") == 1


async def test_a_leaf_alone_is_not_stored(world: World) -> None:
    backend, asked = world.again(), order()
    handle = await submitted(backend, asked)
    world.ca.lies["certificate"] = lambda chain: chain[: chain.index(b"-----END CERTIFICATE-----\n") + 26]
    with pytest.raises(Retryable, match="without the intermediate certificates"):
        await go(backend, asked, handle)
    world.ca.lies.clear()
    assert isinstance(await go(backend, asked, handle), Issued)
    assert world.ca.asked("new-order") == 1


# Limits.


async def limited(world: World, detail: str, key: str = "mine", **headers: str) -> Retryable:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    world.ca.lies["new-order"] = lambda _: Reply(429, {"type": f"{PROBLEM}rateLimited", "detail": detail}, named)
    with pytest.raises(Retryable) as told:
        await world.again().submit(order(key))
    return told.value


async def test_a_limit_without_retry_after_is_waited_for_as_its_words_say_or_a_minute(world: World) -> None:
    until = datetime.now(UTC) + timedelta(seconds=400)
    told = await limited(world, f"too many (5) in the last 1h0m0s, retry after {until:%Y-%m-%d %H:%M:%S} UTC: see x")
    assert 380 < told.after.total_seconds() <= 501
    told = await limited(world, "too many, retry after 2020-01-01 00:00:00 UTC")
    assert 1 <= told.after.total_seconds() <= 6
    told = await limited(world, "too many, retry after 9999-99-99 00:00:00 UTC")
    assert 60 <= told.after.total_seconds() <= 75
    told = await limited(world, "too many")
    assert 60 <= told.after.total_seconds() <= 75


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("8", 8, 13),
        ("99999999999999", 86400, 87300),
        ("inf", 60, 75),
        ("nan", 60, 75),
        ("-5", 60, 75),
        ("1e15", 60, 75),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86400, 87300),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 1, 6),
    ],
)
async def test_a_wait_is_within_bounds(world: World, header: str, least: float, most: float) -> None:
    assert least <= (await limited(world, "-", Retry_After=header)).after.total_seconds() <= most


async def test_those_that_wait_for_one_limit_come_back_one_after_the_other(world: World) -> None:
    waits = [
        (await limited(world, "-", f"key-{number}", Retry_After="600")).after.total_seconds() for number in range(8)
    ]
    assert len(set(waits)) == 8
    assert waits == [
        (await limited(world, "-", f"key-{number}", Retry_After="600")).after.total_seconds() for number in range(8)
    ]


async def test_the_words_of_a_pause_stay_the_same(world: World) -> None:
    backend, said = world.again(), []
    for token in ("eyJh.1.a", "eyJh.2.b"):
        url = f"https://portal.example.com/sfe/v1/unpause?jwt={token}"
        detail = f"Your account is temporarily prevented from requesting certificates for {NAME}. Please visit: {url}"
        reply = problem("rateLimited", detail, 429)
        world.ca.lies["new-order"] = lambda _, reply=reply: reply  # type: ignore[misc]
        with pytest.raises(Retryable) as told:
            await backend.submit(order())
        assert told.value.after.total_seconds() == 900
        said.append(str(told.value))
    assert said[0] == said[1]
    assert "jwt=eyJh.1.a" in said[0]


# Nonces.


class Forgetful(HostileAcme):
    """Gives each nonce once, and after `forget` knows none of those before. refused: how many it did not know."""

    def __init__(self) -> None:
        super().__init__()
        self.given, self.known_from, self.refused = 0, 0, 0

    def forget(self) -> None:
        self.known_from = self.given

    def answer(self, call: Call) -> Reply:
        reply = super().answer(call)
        if call.method == "POST":
            text = call.body["protected"]
            nonce = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))["nonce"]
            if int(nonce.rpartition("-")[2]) <= self.known_from:
                self.refused += 1
                reply = problem("badNonce", "JWS has an invalid anti-replay nonce", 400)
        self.given += 1
        return Reply(reply.status, reply.body, {**reply.headers, "Replay-Nonce": f"nonce-{self.given}"})


async def test_a_ca_that_has_forgotten_its_nonces_refuses_one() -> None:
    with Forgetful() as ca:
        async with world_of(ca) as world:
            backend = world.again()
            await asyncio.gather(*(submitted(backend, order(f"key-{number}")) for number in range(20)))
            ca.forget()
            before = ca.refused
            for number in range(3):
                await submitted(backend, order(f"later-{number}"))
            assert ca.refused == before + 1


# Orders that are shared by name.


async def test_two_requests_that_are_given_one_order_go_one_after_the_other(world: World) -> None:
    backend, first, second = world.again(), order("first"), order("second")
    handle = await submitted(backend, first)
    world.ca.headers["new-order"] = {"Location": handle}
    world.ca.proves = False
    assert isinstance(await backend.poll(first, handle), Pending)
    shown = dict(world.routes.present)

    waits = await backend.submit(second)
    assert isinstance(waits, Pending)
    assert (waits.handle, waits.message) == ("", "another request for the same names is being signed; this one is next")
    assert await backend.submit(second) == waits
    assert world.ca.asked("new-order") == 2
    # It goes, and disturbs nobody.
    await backend.abandon(second.key, second.csr, "")
    await backend.abandon(second.key, second.csr, handle)
    assert world.routes.present == shown
    assert {one["status"] for one in world.ca.authorizations.values()} == {"pending"}

    assert not (await submitted(backend, second))
    for number in world.ca.authorizations:
        world.ca.authorizations[number]["status"] = "valid"
    await go(backend, first, handle)
    del world.ca.headers["new-order"]
    world.ca.proves = True
    await go(backend, second, await submitted(backend, second))


async def test_two_requests_that_have_one_order_after_a_restart_do_not_fight(world: World) -> None:
    first, second = order("first"), order("second")
    handle = await submitted(world.again(), first)
    backend = world.again()
    world.ca.proves = False
    assert isinstance(await backend.poll(second, handle), Pending)
    answer = await backend.poll(first, handle)
    assert isinstance(answer, Pending)
    assert answer.handle == ""
    await backend.abandon(first.key, first.csr, handle)
    assert {one["status"] for one in world.ca.authorizations.values()} == {"pending"}
    # Who has not looked at it for an hour has it no more.
    world.ahead = timedelta(hours=2)
    assert (await backend.poll(first, handle)) != answer


async def test_an_order_that_was_fulfilled_for_another_key_is_placed_anew_without_a_complaint(world: World) -> None:
    handle = await submitted(world.again(), order("first"))
    mine = order("mine")
    await go(world.again(), order("first"), handle)
    backend = world.again()
    answer = await backend.poll(mine, handle)
    assert isinstance(answer, Pending)
    assert answer.handle == ""
    # If the CA says so of each, it is an order that came to nothing.
    with pytest.raises(Lapsed, match="fulfilled for another key"):
        await backend.poll(mine, handle)


async def test_an_order_whose_url_could_not_be_kept_is_taken_first(world: World) -> None:
    backend, asked = world.again(), order()
    handle = await submitted(backend, asked)
    again = Order(asked.key, asked.csr, asked.profile, asked.duration, repeated=True)
    for _ in range(5):
        assert await submitted(backend, again) == handle
    assert world.ca.asked("new-order") == 1
    await backend.abandon(asked.key, asked.csr, "")
    assert await submitted(backend, again) != handle


async def test_a_ca_that_asks_to_renew_says_why(world: World) -> None:
    backend = world.again()
    page = "https://ca.example/incident-7"
    for sent, told in ((page, page), ("javascript:alert(1)", ""), (f"{page} and", ""), (7, ""), (None, "")):
        world.ca.lies["renewal-info"] = lambda body, sent=sent: {**body, "explanationURL": sent}  # type: ignore[misc]
        renewal = await backend.suggest_renewal("abc.def")
        assert renewal is not None
        assert renewal.explanation == told


async def test_a_ca_that_does_not_know_a_certificate_has_no_say_in_its_renewal(world: World) -> None:
    """As of one that another CA issued: it is asked again in hours, and not in minutes."""
    for unknown in (problem("malformed", "no such certificate", 404), Reply(404, b"<html>")):
        world.ca.lies["renewal-info"] = lambda _, unknown=unknown: unknown  # type: ignore[misc]
        assert await world.again().suggest_renewal("abc.def") is None


# Accounts.


async def test_an_account_that_the_ca_has_forgotten_is_made_anew(world: World) -> None:
    backend = world.again()
    await backend.check()
    world.ca.lies["new-order"] = once(problem("accountDoesNotExist", "Account not found", 400))
    with pytest.raises(Retryable, match="no longer knows the account of this issuer, and a new one is created"):
        await backend.submit(order())
    assert await submitted(backend, order())
    assert world.ca.asked("account") == 2


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (problem("unauthorized", "Account is deactivated", 403), "whether the account was deactivated"),
        (problem("invalidContact", "forbidden domain", 400), "correct spec.acme.email, or remove it"),
        (Reply(200, {"status": "deactivated"}), "is deactivated: name another Secret"),
    ],
)
async def test_an_account_that_is_refused_is_not_asked_for_at_each_check(world: World, reply: Reply, says: str) -> None:
    world.ca.lies["account"] = lambda _: reply
    backend = world.again(email="admin@example.com")

    async def look() -> int:
        before = world.ca.asked("account")
        for look in (backend.check, lambda: backend.submit(order())):
            with pytest.raises(Misconfigured, match=says):
                await look()
        return world.ca.asked("account") - before

    assert [await look() for _ in range(3)] == [1, 0, 0]
    for ahead, asked in ((61, 1), (122, 0), (182, 1), (3600, 1), (4000, 0)):
        world.ahead = timedelta(seconds=ahead)
        assert (ahead, await look()) == (ahead, asked)
    # Another key may be taken.
    world.secrets["account"] = {"tls.key": _pem()}
    assert await look() == 1
    world.ca.lies.clear()
    world.secrets["account"] = {"tls.key": _pem()}
    await backend.check()


async def test_an_issuer_whose_account_is_refused_on_the_way_is_asked_about_at_once(world: World) -> None:
    backend = world.again()
    await backend.check()
    world.ca.lies["new-order"] = lambda _: problem("unauthorized", "deactivated", 403)
    world.ca.lies["account"] = lambda _: problem("unauthorized", "deactivated", 403)
    with pytest.raises(Misconfigured):
        await backend.submit(order())
    with pytest.raises(Misconfigured):
        await backend.check()


@pytest.mark.parametrize("hmac", [b'"quoted"', b"a b", b"a:b", b"a"])
async def test_an_hmac_key_that_is_none_is_told_with_its_place(world: World, hmac: bytes) -> None:
    world.secrets["eab"] = {"secret": hmac}
    backend = world.again(externalAccountBinding={"keyID": "1", "keySecretRef": {"name": "eab"}})
    with pytest.raises(
        Misconfigured, match=r"^Secret eab, named in spec.acme.externalAccountBinding.keySecretRef: secret"
    ):
        await backend.check()


@pytest.mark.parametrize("hmac", [b"a+b/", b"a-b_", b"YWI=", b"YWI\n"])
async def test_an_hmac_key_may_be_in_either_alphabet(world: World, hmac: bytes) -> None:
    world.secrets["eab"] = {"secret": hmac}
    await world.again(externalAccountBinding={"keyID": "1", "keySecretRef": {"name": "eab"}}).check()


@pytest.mark.parametrize("kind", ["unauthorized", "malformed"])
async def test_a_wrong_hmac_key_is_told_as_such(world: World, kind: str) -> None:
    world.secrets["eab"] = {"secret": b"YWI"}
    world.ca.lies["account"] = lambda _: problem(kind, "JWS verification error", 403)
    backend = world.again(externalAccountBinding={"keyID": "1", "keySecretRef": {"name": "eab"}})
    with pytest.raises(Misconfigured, match=r"Secret eab, named in its keySecretRef, the HMAC key that belongs to it$"):
        await backend.check()


# Words.


@pytest.mark.parametrize("relative", ["", "//", "path"])
async def test_a_relative_location_is_one_of_the_cas(world: World, relative: str) -> None:
    def cut(url: str) -> str:
        _, _, host, path = url.split("/", 3)
        return {"": f"/{path}", "//": f"//{host}/{path}", "path": path}[relative]

    world.ca.headers["account"] = {"Location": cut(f"{world.ca.url}/account/1")}
    backend, asked = world.again(), order()
    assert (await backend.check()).message == f"has the account {world.ca.url}/account/1"
    number = next(world.ca._numbers) + 1
    world.ca.headers["new-order"] = {"Location": cut(f"{world.ca.url}/order/{number}")}
    assert await submitted(backend, asked) == f"{world.ca.url}/order/{number}"
    await go(backend, asked, f"{world.ca.url}/order/{number}")


async def test_a_name_that_leads_nowhere_is_named_once(world: World) -> None:
    """What the self-check of http-01 saw begins with it at times, and not always."""
    world.ca.proves = False
    backend, asked = world.again(solvers=[{"http01": {}}]), order("mine", "a.example.invalid", "b.example.invalid")
    answer = await backend.poll(asked, await submitted(backend, asked))
    assert isinstance(answer, Pending)
    told = re.fullmatch(r"(.*); (.*)", answer.message)
    assert told, answer.message
    for words, name in zip(told.groups(), ("a.example.invalid", "b.example.invalid"), strict=True):
        assert words.startswith(f"{name} has no address: ")
        assert words.count(name) == 1


async def test_a_ca_that_cannot_be_reached_is_told_in_words_that_stay_the_same(world: World) -> None:
    async def said(server: str, **config: Any) -> str:
        with pytest.raises(BackendError) as told:
            await world.again(server=server, **config).check()
        return str(told.value)

    assert await said("https://acme.invalid/directory") in (
        "acme.invalid has no address (DNS)",
        "acme.invalid cannot be looked up: no DNS server answers",
    )
    assert await said("https://127.0.0.1:1/directory") == "127.0.0.1:1 refuses the connection"
    untrusted = await said(world.ca.directory, caBundle="")
    assert untrusted.startswith(f"the TLS certificate of 127.0.0.1:{world.ca.port} is not trusted (")
    assert untrusted.endswith("): set spec.acme.caBundle to the certificate of the CA that issued it")
    world.ca.lies[""] = lambda _: Reply(404, b"not found")
    assert "has to be the URL of the CA's ACME directory, with its path, such as" in await said(world.ca.url)


async def test_types_of_challenges_are_told_in_one_order(world: World) -> None:
    backend, said = world.again(solvers=[{"tlsALPN01": {}}]), set()
    for reverse in (False, True):
        world.ca.lies["authorization"] = lambda body, reverse=reverse: {  # type: ignore[misc]
            **body,
            "challenges": sorted(body["challenges"], key=lambda one: one["type"], reverse=reverse),
        }
        asked = order()
        with pytest.raises(Rejected) as told:
            await backend.poll(asked, await submitted(backend, asked))
        said.add(str(told.value))
    offered = "dns-01, dns-persist-01, http-01"
    assert said == {f"{NAME}: the CA offers {offered}, and the issuer's solvers support tls-alpn-01: add one that fits"}


@pytest.mark.slow("takes seconds")
@pytest.mark.parametrize("field", ["issuerDomainNames", "issuer-domain-names"])
async def test_a_persistent_record_follows_either_draft(world: World, field: str) -> None:
    dns = {"challengeType": "dns-persist-01", "recursiveNameservers": ["127.0.0.1:1"], "recursiveNameserversOnly": True}
    config: dict[str, Any] = {"solvers": [{"dns01": dns}], "issuerDomainNames": ["ca.example.com"]}

    async def said(**more: Any) -> BackendError:
        world.ca.lies["authorization"] = lambda body: {
            **body,
            "challenges": [{**one, **more} for one in body["challenges"]],
        }
        backend, asked = world.again(**config), order()
        handle = await submitted(backend, asked)
        with pytest.raises(BackendError) as told:
            await backend.poll(asked, handle)
        return told.value

    assert not isinstance(await said(**{field: ["ca.example.com"]}), Rejected)  # the DNS server is missing
    assert "has no issuer domain name: use dns-01" in str(await said(**{field: []}))
    assert "has no issuer domain name: use dns-01" in str(await said())


def _pem() -> bytes:
    return private_key_pem(ec.generate_private_key(ec.SECP256R1()))


# What is known to be refused.


def named(common_name: str, *names: str) -> Order:
    template = with_common_name(CsrTemplate(Names(common_name=common_name, dns_names=names), Profile()))
    made = build_csr(template, ec.generate_private_key(ec.SECP256R1()))
    return Order("mine", made, Profile(), timedelta(days=30))


async def test_a_common_name_is_asked_for_as_a_dns_name(world: World) -> None:
    backend, asked = world.again(), named("WWW.example.com")
    await go(backend, asked, await submitted(backend, asked))
    assert asked.csr.public_bytes(Encoding.DER).count(b"www.example.com") == 1


@pytest.mark.parametrize("name", ["10.0.0.1", "2001:db8::1", "Some One"])
async def test_a_common_name_that_is_no_dns_name_is_refused_before_the_order(world: World, name: str) -> None:
    with pytest.raises(Rejected, match=r"^spec\.commonName: an ACME CA takes "):
        await world.again().submit(named(name, NAME))
    assert world.ca.asked("new-order") == 0


@pytest.mark.parametrize("server", ["letsencrypt", "letsencrypt-staging"])
async def test_lets_encrypt_is_not_asked_for_what_it_refuses(world: World, server: str) -> None:
    client = Order("mine", csr(NAME), Profile(usages=("server auth", "client auth")), timedelta(days=30))
    with pytest.raises(Rejected, match=r"^spec\.usages: Let's Encrypt has certified no TLS clients since 2026-07-08"):
        await world.again(server=server).submit(client)
