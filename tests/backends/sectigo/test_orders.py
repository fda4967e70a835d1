"""What becomes of an order: placed, waited for, collected, followed by the next, taken back, revoked."""

from datetime import timedelta

import aiohttp
import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from csr_operator.pki.chain import build_chain
from csr_operator.pki.keys import KeyParameters, generate
from csr_operator.pki.names import Names
from csr_operator.pki.profile import Profile
from csr_operator.pki.verify import verify
from csr_operator.plugin import http
from csr_operator.plugin.backend import Issued, Order, Pending
from csr_operator.plugin.errors import Lapsed, Rejected, Retryable
from tests.emulators.sectigo_server import PRIVATE
from tests.emulators.sectigo_world import World, finish, order
from tests.support.contract import Damage, Reply
from tests.support.following import follows


def placed(world: World) -> list[int]:
    return sorted(world.server.orders)


def message(answer: Issued | Pending) -> str:
    assert isinstance(answer, Pending)
    return answer.message


async def issue(world: World, wanted: Order, **config: object) -> Issued:
    backend = world.backend(world.config(**config))
    return await finish(backend, wanted, await backend.submit(wanted))


async def test_a_certificate_is_ordered_waited_for_and_collected(world: World) -> None:
    world.server.steps = (("Requested", 0), ("Approved", 60), ("Applied", 120), ("Issued", 600))
    backend, wanted = world.backend(), order("www.example.com", "example.com")
    answer = await backend.submit(wanted)
    seen = []
    while isinstance(answer, Pending):
        seen.append(answer.message)
        world.clock.now += answer.poll_after
        answer = await backend.poll(wanted, answer.handle)
    ssl_id, approve = placed(world)[0], "it waits for an administrator of Sectigo Certificate Manager: approve it there"
    assert list(dict.fromkeys(seen)) == [
        f"SSL certificate {ssl_id} is placed",
        f"SSL certificate {ssl_id} is Requested: {approve}",
        f"SSL certificate {ssl_id} is Approved: it is approved, and being handed to the CA",
        f"SSL certificate {ssl_id} is Applied: the CA is working on it",
    ]
    assert answer.reference.partition("/")[0] == str(ssl_id)
    chain = build_chain(wanted.csr.public_key(), answer.certificates)
    verify(chain, wanted.csr, wanted.profile, now=world.clock.now, roots=[world.server.ca.root], rules=answer.rules)
    assert chain.leaf.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value == "Example Inc"


async def test_the_order_says_what_the_issuer_and_the_request_say(world: World) -> None:
    settings = {
        "term": 199,
        "comments": "team blue",
        "externalRequesters": ["ann@example.com", "bob@example.com"],
        "customFields": [{"name": "Cost centre", "value": "4711"}],
        "dcv": {"mode": "EMAIL", "email": "admin@example.com"},
    }
    wanted = order("www.example.com", "*.example.com")
    answer = await issue(world, wanted, **settings)
    body = next(call.body for call in world.server.calls if call.path.endswith("/enroll"))
    assert body["subjAltNames"] == "www.example.com,*.example.com"
    assert body["externalRequester"] == "ann@example.com, bob@example.com"
    assert body["customFields"] == [{"name": "Cost centre", "value": "4711"}]
    assert (body["dcvMode"], body["dcvEmail"], body["term"]) == ("EMAIL", "admin@example.com", 199)
    assert body["comments"].startswith("team blue csr-operator:")
    leaf = build_chain(wanted.csr.public_key(), answer.certificates).leaf
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc == timedelta(days=199)


@pytest.mark.parametrize(("days", "term"), [(30, 90), (90, 90), (91, 199)])
async def test_without_a_term_the_shortest_that_lasts_long_enough_is_taken(world: World, days: int, term: int) -> None:
    await issue(world, order(days=days))
    assert [one["term"] for one in world.server.orders.values()] == [term]


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (order(days=400), "spec.duration: certificate profile Public OV SSL has no term that long; it has 90, 199"),
        (order(profile=Profile(is_ca=True)), "Sectigo signs no CAs"),
        (order(names=Names(uris=("spiffe://a/b",))), "remove uris, emailAddresses and otherNames"),
        (order(names=Names(literal_subject="O=Example")), "set dnsNames"),
    ],
)
async def test_what_can_never_be_signed_is_refused_without_an_order(world: World, wanted: Order, words: str) -> None:
    with pytest.raises(Rejected) as refused:
        await world.backend().submit(wanted)
    assert words in str(refused.value)
    assert placed(world) == []


@pytest.mark.parametrize("damage", [Damage.LOST, Damage.TRUNCATED])
async def test_an_order_whose_answer_was_lost_is_found_and_not_placed_again(world: World, damage: Damage) -> None:
    await issue(world, order(key="f" * 64))  # another one for the same name
    world.server.fail(damage, "POST", "/enroll", carried_out=True)
    with pytest.raises(Retryable) as lost:
        await world.backend().submit(order())
    assert lost.value.after.total_seconds() >= 60
    wanted = order(repeated=True)
    backend = world.backend()
    answer = await finish(backend, wanted, await backend.submit(wanted))
    assert len(placed(world)) == 2
    assert answer.reference.startswith(f"{placed(world)[-1]}/")


async def test_an_order_that_timed_out_after_it_was_placed_is_found(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = world.backend()
    await backend.check()
    monkeypatch.setattr(http, "_TIMEOUT", aiohttp.ClientTimeout(total=0.2))
    world.server.fail(Damage.HANGS, "POST", "/enroll", carried_out=True)
    with pytest.raises(Retryable):
        await backend.submit(order())
    monkeypatch.undo()
    world.server.go_on()
    wanted = order(repeated=True)
    await finish(backend, wanted, await backend.submit(wanted))
    assert len(placed(world)) == 1


async def test_what_was_never_placed_is_placed_once_it_would_have_to_show(world: World) -> None:
    world.server.fail(Damage.LOST, "POST", "/enroll")
    backend = world.backend()
    with pytest.raises(Retryable) as lost:
        await backend.submit(order())
    world.clock.advance(seconds=lost.value.after.total_seconds())
    await backend.submit(order(repeated=True))
    assert len(placed(world)) == 1


@pytest.mark.parametrize("shows", [True, False])
async def test_an_order_of_before_a_crash_has_a_minute_to_show(world: World, shows: bool) -> None:
    world.server.lists = lambda ssl_id: False
    await world.backend().submit(order())
    backend = world.backend()
    with pytest.raises(Retryable) as sought:
        await backend.submit(order(repeated=True))
    assert "it is looked for at Sectigo again" in str(sought.value)
    world.clock.advance(seconds=sought.value.after.total_seconds())
    world.server.lists = lambda ssl_id: shows
    await backend.submit(order(repeated=True))
    assert len(placed(world)) == (1 if shows else 2)  # the documented limit


async def test_an_order_that_was_refused_is_not_looked_for(world: World) -> None:
    world.server.validation.validated = ("org",)
    backend = world.backend()
    with pytest.raises(Retryable):
        await backend.submit(order())
    with pytest.raises(Retryable):
        await backend.submit(order(repeated=True))
    assert world.server.count("GET", r"/ssl/v1$") == 0


async def test_a_pending_order_expired_before_it_was_collected_lapses_and_another_is_placed(world: World) -> None:
    world.server.steps = (("Requested", 0),)
    backend, wanted = world.backend(), order()
    handle = (await backend.submit(wanted)).handle  # type: ignore[union-attr]
    world.server.become(placed(world)[0], "Expired")
    with pytest.raises(Lapsed):
        await backend.poll(wanted, handle)
    await backend.submit(order(repeated=True))
    assert len(placed(world)) == 2


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("Declined", "an administrator declined it"),
        ("Rejected", "the CA rejected it"),
        ("Invalid", "it is invalid"),
        ("Revoked", "it was revoked before it could be collected"),
        ("Replaced", "it was replaced by somebody else"),
    ],
)
async def test_a_dead_order_is_told_of_and_not_repeated(world: World, state: str, words: str) -> None:
    world.server.steps = (("Requested", 0),)
    backend, wanted = world.backend(), order()
    handle = (await backend.submit(wanted)).handle  # type: ignore[union-attr]
    world.server.become(placed(world)[0], state)
    for poll in (backend.poll(wanted, handle), world.backend().poll(wanted, handle)):
        with pytest.raises(Rejected) as told:
            await poll
        assert f"is {state}: {words}" in str(told.value)
    assert len(placed(world)) == 1


async def test_an_order_goes_through_its_states_in_any_order(world: World) -> None:
    world.server.steps = (("Init", 0),)
    backend, wanted = world.backend(), order()
    answer = await backend.submit(wanted)
    for state in ("SA Approved", "Applied", "Requested", "Approved", "Init", "Applied"):
        world.server.become(placed(world)[0], state)
        assert isinstance(answer, Pending)
        answer = await backend.poll(wanted, answer.handle)
        assert f"is {state}: " in message(answer)
    world.server.become(placed(world)[0], "Issued")
    assert isinstance(await backend.poll(wanted, answer.handle), Issued)  # type: ignore[union-attr]


async def test_a_state_that_no_document_knows_is_waited_out(world: World) -> None:
    backend, wanted = world.backend(), order()
    answer = await backend.submit(wanted)
    world.server.fail(Reply(200, {"sslId": 101, "status": "On Hold"}), "GET", r"/ssl/v1/\d+$")
    assert isinstance(answer, Pending)
    answer = await backend.poll(wanted, answer.handle)
    assert "in a state that is not documented, On Hold" in message(answer)
    assert isinstance(answer, Pending)
    assert isinstance(await backend.poll(wanted, answer.handle), Issued)


@pytest.mark.parametrize(
    "error",
    [
        {"code": -183, "description": "Certificate is not collectable."},
        {"code": -1400, "description": "The request is being processed by Sectigo."},
        {"code": -109, "description": "Certificate is not available now, please try again later."},
    ],
)
async def test_what_is_issued_and_not_yet_to_be_had_is_waited_for(world: World, error: object) -> None:
    backend, wanted = world.backend(), order()
    answer = await backend.submit(wanted)
    world.server.fail(Reply(400, error), "GET", "/collect/")
    assert isinstance(answer, Pending)
    answer = await backend.poll(wanted, answer.handle)
    assert "is issued, and being made ready for collection" in message(answer)
    assert isinstance(answer, Pending)
    assert isinstance(await backend.poll(wanted, answer.handle), Issued)


async def test_a_certificate_cut_off_is_collected_again(world: World) -> None:
    backend, wanted = world.backend(), order()
    answer = await backend.submit(wanted)
    assert isinstance(answer, Pending)
    world.server.fail(Reply(200, b"-----BEGIN CERTIFICATE-----\nMII"), "GET", "/collect/")
    with pytest.raises(Retryable) as damaged:
        await backend.poll(wanted, answer.handle)
    assert "was collected damaged" in str(damaged.value)
    assert isinstance(await backend.poll(wanted, answer.handle), Issued)


async def test_an_order_of_another_account_is_never_placed_again(world: World) -> None:
    backend, wanted = world.backend(), order()
    answer = await backend.submit(wanted)
    assert isinstance(answer, Pending)
    world.server.fail(Reply(404, {"code": -124, "description": "Wrong SSL certificate id 101."}), "GET", r"/\d+$")
    with pytest.raises(Retryable) as gone:
        await backend.poll(wanted, answer.handle)
    assert not isinstance(gone.value, Lapsed)
    assert "check the credentials" in str(gone.value)


async def test_what_has_to_be_done_for_domain_control_is_said(world: World) -> None:
    world.server.validation.validated = ("org",)
    world.server.steps = (("Requested", 0), ("Applied", 10), ("Issued", 3600))
    backend = world.backend(world.config(dcv={"mode": "CNAME"}))
    wanted = order("a.example.com", "b.example.org", "c.example.com")
    answer = await backend.submit(wanted)
    assert isinstance(answer, Pending)
    world.clock.advance(seconds=20)
    answer = await backend.poll(wanted, answer.handle)
    assert message(answer).endswith(
        "once it has seen who controls the domains; "
        "a.example.com: add the CNAME record _A1.a.example.com. with the value B2.C101.sectigo.com.; "
        "c.example.com: add the CNAME record _A1.c.example.com. with the value B2.C101.sectigo.com."
    )


async def test_an_outage_changes_nothing_of_what_has_to_be_done(world: World) -> None:
    world.server.validation.validated = ()
    world.server.steps = (("Applied", 0),)
    backend, wanted = world.backend(world.config(dcv={"mode": "TXT"})), order()
    answer = await backend.submit(wanted)
    assert isinstance(answer, Pending)
    before = await backend.poll(wanted, answer.handle)
    world.server.stop()
    world.clock.advance(minutes=30)
    assert message(await backend.poll(wanted, answer.handle)) == message(before)


async def test_instructions_may_come_as_a_list(world: World) -> None:
    world.server.steps = (("Applied", 0),)
    backend, wanted = world.backend(world.config(dcv={"mode": "TXT"})), order()
    answer = await backend.submit(wanted)
    assert isinstance(answer, Pending)
    one = {"domainName": "a.test", "dcvMode": "TXT", "host": "_x.a.test.", "point": "y"}
    world.server.fail(Reply(200, [{"instructions": [one]}]), "GET", "/dcv$")
    assert "a.test: add the TXT record _x.a.test. with the value y" in message(
        await backend.poll(wanted, answer.handle)
    )


@pytest.mark.parametrize(
    ("dcv", "words"),
    [
        ({"mode": "EMAIL", "email": "admin@example.com"}, "follow the link in the mail to admin@example.com"),
        (
            {"mode": "HTTP"},
            "serve the text B2 sectigo.com 101 at http://www.example.com/.well-known/pki-validation/A1.txt",
        ),
        ({"mode": "TXT"}, "add the TXT record _A1.www.example.com. with the value B2.C101.sectigo.com."),
    ],
)
async def test_each_way_of_domain_control_has_its_instruction(world: World, dcv: object, words: str) -> None:
    world.server.validation.validated = ()
    world.server.steps = (("Applied", 0),)
    backend, wanted = world.backend(world.config(dcv=dcv)), order()
    answer = await backend.submit(wanted)
    assert isinstance(answer, Pending)
    assert words in message(await backend.poll(wanted, answer.handle))


async def test_a_renewal_follows_the_certificate_before_it(world: World) -> None:
    first = await issue(world, order(), renewal="Renew")
    wanted = order(key="b" * 64, **follows(first), pair=generate(KeyParameters()))
    second = await issue(world, wanted, renewal="Renew")
    assert world.server.count("POST", "/renewById/101$") == 1
    assert build_chain(wanted.csr.public_key(), second.certificates).leaf
    assert "csr-operator:bbbb" in world.server.orders[102]["comments"]


@pytest.mark.parametrize(
    ("change", "names"), [({"term": 199}, ()), ({"profile": PRIVATE}, ()), ({}, ("other.example.com",))]
)
async def test_what_a_renewal_cannot_change_is_ordered_anew(
    world: World, change: dict[str, object], names: tuple[str, ...]
) -> None:
    first = await issue(world, order(), renewal="Renew")
    await issue(world, order(*names, key="b" * 64, **follows(first)), renewal="Renew", **change)
    assert world.server.count("POST", "/renewById/") == 0
    assert world.server.count("POST", "/enroll") == 2


async def test_a_renewal_that_cannot_be_marked_is_a_renewal_all_the_same(world: World) -> None:
    first = await issue(world, order(), renewal="Renew")
    world.server.fail(Reply(403, {"code": -3, "description": "You are not authorized to perform update."}), "PUT")
    second = await issue(world, order(key="b" * 64, **follows(first)), renewal="Renew")
    assert second.reference.startswith("102/")
    assert placed(world) == [101, 102]


async def test_a_renewal_that_is_refused_is_ordered_anew(world: World) -> None:
    first = await issue(world, order(), renewal="Renew")
    error = {"code": -180, "description": "This SSL Certificate Profile doesn't allow renew"}
    world.server.fail(Reply(400, error), "POST", "/renewById/")
    await issue(world, order(key="b" * 64, **follows(first)), renewal="Renew")
    assert world.server.count("POST", "/enroll") == 2


@pytest.mark.parametrize("state", ["Requested", "Issued"])
async def test_a_renewal_whose_answer_was_lost_is_found(world: World, state: str) -> None:
    first = await issue(world, order(), renewal="Renew")
    world.server.fail(Damage.LOST, "POST", "/renewById/", carried_out=True)
    world.server.steps = ((state, 0),)
    pair = generate(KeyParameters())
    with pytest.raises(Retryable):
        await issue(world, order(key="b" * 64, **follows(first), pair=pair), renewal="Renew")
    wanted = order(key="b" * 64, **follows(first), pair=pair, repeated=True)
    backend = world.backend(world.config(renewal="Renew"))
    answer = await backend.submit(wanted)
    world.server.become(102, "Issued")
    assert (await finish(backend, wanted, answer)).reference.startswith("102/")
    assert placed(world) == [101, 102]


async def test_a_renewal_of_somebody_else_is_not_taken_for_ours(world: World) -> None:
    first = await issue(world, order(), renewal="Renew")
    theirs = order(key="c" * 64, **follows(first), pair=generate(KeyParameters()))
    world.server.fail(Damage.LOST, "POST", "/renewById/", carried_out=True)
    world.server.steps = (("Requested", 0),)
    with pytest.raises(Retryable):
        await issue(world, theirs, renewal="Renew")
    wanted = order(key="b" * 64, **follows(first), pair=generate(KeyParameters()), repeated=True)
    backend = world.backend(world.config(renewal="Renew"))
    answer = await backend.submit(wanted)  # it may be, for all that shows
    world.server.become(102, "Issued")
    assert isinstance(answer, Pending)
    with pytest.raises(Lapsed):
        await backend.poll(wanted, answer.handle)
    world.server.steps = (("Issued", 0),)
    assert (await finish(backend, wanted, await backend.submit(wanted))).reference.startswith("103/")


async def test_a_replacement_takes_the_place_of_a_certificate_that_has_long_to_go(world: World) -> None:
    first = await issue(world, order(), renewal="Replace")
    world.clock.advance(days=1)
    wanted = order("www.example.com", "new.example.com", key="b" * 64, **follows(first))
    second = await issue(world, wanted, renewal="Replace")
    leaf = build_chain(wanted.csr.public_key(), second.certificates).leaf
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "new.example.com" in names.get_values_for_type(x509.DNSName)
    assert second.reference.startswith("102/")
    assert world.server.count("POST", "/enroll") == 1


async def test_a_replacement_with_the_same_key_is_not_the_certificate_before_it(world: World) -> None:
    first = await issue(world, order(), renewal="Replace")
    world.server.steps = (("Applied", 0),)
    wanted = order(key="b" * 64, **follows(first))
    backend = world.backend(world.config(renewal="Replace"))
    answer = await backend.submit(wanted)
    assert isinstance(answer, Pending)
    answer = await backend.poll(wanted, answer.handle)
    assert message(answer) == "SSL certificate 101 is being replaced; 102 is Applied"
    world.server.become(102, "Issued")
    assert (await finish(backend, wanted, answer)).reference.startswith("102/")


async def test_a_certificate_at_its_end_is_followed_by_a_new_one_and_not_replaced(world: World) -> None:
    first = await issue(world, order(), renewal="Replace")
    world.clock.advance(days=60)
    await issue(world, order(key="b" * 64, **follows(first)), renewal="Replace")
    assert world.server.count("POST", "/replace/") == 0
    assert world.server.count("POST", "/enroll") == 2


async def test_a_replacement_that_is_under_way_is_waited_for_also_after_a_crash(world: World) -> None:
    first = await issue(world, order(), renewal="Replace")
    world.server.steps = (("Applied", 0),)
    pair = generate(KeyParameters())
    wanted = order(key="b" * 64, **follows(first), pair=pair)
    backend = world.backend(world.config(renewal="Replace"))
    answer = await backend.submit(wanted)
    assert isinstance(answer, Pending)
    answer = await backend.poll(wanted, answer.handle)
    assert message(answer) == "SSL certificate 101 is being replaced; 102 is Applied"
    world.server.become(102, "Issued")
    again = order(key="b" * 64, **follows(first), pair=pair, repeated=True)
    assert isinstance(answer, Pending)
    assert (await finish(backend, again, answer)).reference.startswith("102/")
    assert world.server.count("POST", "/replace/") == 1


async def test_an_order_that_is_given_up_is_declined_if_the_issuer_says_so(world: World) -> None:
    assert not world.backend().traits.abandons
    world.server.steps = (("Requested", 0),)
    backend = world.backend(world.config(cancelPending=True))
    answer = await backend.submit(order())
    assert isinstance(answer, Pending)
    assert backend.traits.abandons
    for _ in range(2):
        await backend.abandon(order().key, order().csr, answer.handle)
    assert world.server.orders[101]["steps"][-1][0] == "Declined"
    await backend.abandon(order().key, order().csr, "")


async def test_an_order_at_the_ca_cannot_be_taken_back(world: World) -> None:
    world.server.steps = (("Applied", 0),)
    backend = world.backend(world.config(cancelPending=True))
    answer = await backend.submit(order())
    assert isinstance(answer, Pending)
    assert backend.traits.abandons
    await backend.abandon(order().key, order().csr, answer.handle)
    assert world.server.count("POST", "/decline/") == 0


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (x509.ReasonFlags.unspecified, 0),
        (x509.ReasonFlags.key_compromise, 1),
        (x509.ReasonFlags.superseded, 4),
        (x509.ReasonFlags.privilege_withdrawn, 0),
    ],
)
async def test_a_certificate_is_revoked_and_revoked_already_is_as_good(
    world: World, reason: x509.ReasonFlags, code: int
) -> None:
    wanted = order()
    leaf = build_chain(wanted.csr.public_key(), (await issue(world, wanted)).certificates).leaf
    for _ in range(2):
        await world.backend().revoke(leaf, reason)
    assert world.server.orders[101]["steps"] == [["Revoked", 0]]
    assert world.server.orders[101]["reason"] == code
    error = {"code": -102, "description": "Only issued certificates could be revoked."}
    world.server.fail(Reply(400, error), "POST", "/revoke/")
    await world.backend().revoke(leaf, reason)  # the order says that it is


async def test_a_certificate_that_cannot_be_revoked_is_told_of(world: World) -> None:
    wanted = order()
    leaf = build_chain(wanted.csr.public_key(), (await issue(world, wanted)).certificates).leaf
    error = {"code": -25, "description": "You are not authorized to execute revoke"}
    world.server.fail(Reply(400, error), "POST", "/revoke/")
    with pytest.raises(Exception, match="You are not authorized to execute revoke") as told:
        await world.backend().revoke(leaf, x509.ReasonFlags.superseded)
    assert "give the account the role for it" in str(told.value)
