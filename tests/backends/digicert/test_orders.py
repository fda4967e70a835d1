"""An order at CertCentral from its placing to its end, as the backend sees it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from cryptography import x509

from csr_operator.backends.digicert.certcentral import DigicertBackend
from csr_operator.pki.chain import build_chain
from csr_operator.pki.profile import Profile
from csr_operator.pki.verify import verify
from csr_operator.plugin.backend import Issued, Pending
from csr_operator.plugin.errors import Lapsed, Misconfigured, Rejected, Retryable
from csr_operator.plugin.testing import Clock, World
from tests.backends.digicert.support import csr, order
from tests.emulators.digicert_server import CONTAINER, DV, KEY, ORGANIZATION, PRIVATE, DigicertServer, after
from tests.support.contract import Damage, Reply

Make = Callable[..., DigicertBackend]
SLOWLY = after((0, "pending"), (3600, "processing"), (7200, "issued"))


def assert_good(answer: object, asked: x509.CertificateSigningRequest, clock: Clock) -> Issued:
    """It passes what the operator verifies."""
    assert isinstance(answer, Issued)
    chain = build_chain(asked.public_key(), answer.certificates)
    verify(chain, asked, Profile(), now=clock() + timedelta(seconds=1), rules=answer.rules)
    assert chain.root is not None
    return answer


def pending(answer: object) -> Pending:
    assert isinstance(answer, Pending)
    return answer


async def test_what_is_issued_at_once_costs_one_call(backend: Make, server: DigicertServer, clock: Clock) -> None:
    wanted = order()
    answer = assert_good(await backend().submit(wanted), wanted.csr, clock)
    assert len(server.calls) == 1
    number = server.orders[0]["id"]
    assert answer.reference.startswith(f"{number}/")


async def test_an_order_says_all_that_its_issuer_says(backend: Make, server: DigicertServer) -> None:
    settings = {
        "containerId": CONTAINER,
        "dcvMethod": "dns-txt-token",
        "customFields": [{"metadataId": 12, "value": "cost centre 7"}],
        "skipApproval": True,
        "paymentMethod": "balance",
        "validity": {"years": 1},
        "signatureHash": "sha384",
    }
    wanted = order("b" * 64, csr=csr("a.example.com", "*.example.com", common_name="example.com"))
    await backend(**settings).submit(wanted)
    body = server.orders[0]["body"]
    assert body["certificate"]["common_name"] == "example.com"
    assert body["certificate"]["dns_names"] == ["example.com", "a.example.com", "*.example.com"]
    assert body["certificate"]["signature_hash"] == "sha384"
    assert body["order_validity"] == {"years": 1}
    assert body["certificate"]["cert_validity"] == {"days": 90}
    assert body["organization"] == {"id": ORGANIZATION}
    assert body["container"] == {"id": CONTAINER}
    assert body["custom_fields"] == [{"metadata_id": 12, "value": "cost centre 7"}]
    assert (body["dcv_method"], body["skip_approval"], body["payment_method"]) == ("dns-txt-token", True, "balance")


async def test_the_order_is_as_long_as_the_request_if_the_issuer_says_nothing(
    backend: Make, server: DigicertServer
) -> None:
    await backend().submit(order(duration=timedelta(days=37, hours=8)))
    assert server.orders[0]["body"]["order_validity"] == {"days": 38}


async def test_addresses_go_into_private_certificates(backend: Make, server: DigicertServer, clock: Clock) -> None:
    wanted = order(csr=csr("db.internal.example", others=(x509.IPAddress(ip_address("10.0.0.1")),)))
    assert_good(await backend(product=PRIVATE).submit(wanted), wanted.csr, clock)


async def test_an_order_that_takes_time_is_looked_at_until_it_is_issued(
    backend: Make, server: DigicertServer, clock: Clock
) -> None:
    server.plan = SLOWLY
    ca, wanted = backend(), order()
    answer: Issued | Pending = pending(await ca.submit(wanted))
    assert isinstance(answer, Pending)
    handle, said = answer.handle, [answer.message]
    rounds = 0
    while isinstance(answer, Pending):
        clock.now += answer.poll_after
        answer = await ca.poll(wanted, handle)
        rounds += 1
        if isinstance(answer, Pending):
            assert answer.handle == handle
            said.append(answer.message)
    assert_good(answer, wanted.csr, clock)
    number = server.orders[0]["id"]
    assert list(dict.fromkeys(said)) == [f"DigiCert order {number} is {one}" for one in ("pending", "processing")]
    assert rounds < 60  # an hour of minutes would be 120


async def test_after_a_restart_an_order_goes_on_from_its_handle(
    backend: Make, server: DigicertServer, clock: Clock
) -> None:
    server.plan = SLOWLY
    wanted = order()
    handle = pending(await backend().submit(wanted)).handle
    clock.advance(days=20)
    assert_good(await backend().poll(wanted, handle), wanted.csr, clock)


@pytest.mark.parametrize("plan", [after((0, "pending"), (60, "issued")), after((0, "issued"))])
@pytest.mark.parametrize("damage", [Damage.LOST, Damage.TRUNCATED])
async def test_an_order_whose_answer_was_lost_is_not_placed_again(
    backend: Make, server: DigicertServer, clock: Clock, damage: Damage, plan: object
) -> None:
    server.plan = plan  # type: ignore[assignment]
    server.fail(damage, "POST", "/order/certificate/", carried_out=True)
    ca, wanted = backend(), order()
    with pytest.raises(Retryable):
        await ca.submit(wanted)
    answer = pending(await ca.submit(replace(wanted, repeated=True)))
    clock.advance(minutes=5)
    assert_good(await ca.poll(wanted, answer.handle), wanted.csr, clock)
    assert len(server.orders) == 1


async def test_an_order_that_never_came_through_is_placed(backend: Make, server: DigicertServer, clock: Clock) -> None:
    server.fail(Damage.LOST, "POST", "/order/certificate/")
    ca, wanted = backend(), order()
    with pytest.raises(Retryable):
        await ca.submit(wanted)
    assert_good(await ca.submit(replace(wanted, repeated=True)), wanted.csr, clock)
    assert len(server.orders) == 1


@pytest.mark.parametrize("reply", [Reply(404, {"errors": [{"code": "not_found"}]}), Reply(200, {"orders": []})])
async def test_it_is_placed_however_digicert_says_that_there_is_none(
    backend: Make, server: DigicertServer, clock: Clock, reply: Reply
) -> None:
    server.fail(reply, "GET", "/order/alternate/")
    wanted = order(repeated=True)
    assert_good(await backend().submit(wanted), wanted.csr, clock)


@pytest.mark.parametrize("reply", [Reply(503), Reply(200, {"page": {}}), Reply(200, b"<html>"), Reply(200, [])])
async def test_nothing_is_placed_while_it_cannot_be_looked_up(
    backend: Make, server: DigicertServer, reply: Reply
) -> None:
    server.fail(reply, "GET", "/order/alternate/")
    with pytest.raises(Retryable):
        await backend().submit(order(repeated=True))
    assert not server.orders


@pytest.mark.parametrize("status", ["rejected", "canceled", "revoked"])
async def test_a_refused_order_is_told_and_not_placed_again(
    backend: Make, server: DigicertServer, clock: Clock, status: str
) -> None:
    server.plan = SLOWLY
    ca, wanted = backend(), order()
    handle = pending(await ca.submit(wanted)).handle
    number = server.orders[0]["id"]
    server.set_status(number, status)
    clock.advance(minutes=5)
    with pytest.raises(Rejected, match=rf"DigiCert order {number}: the order was {status}: see why in CertCentral"):
        await ca.poll(wanted, handle)


async def test_an_expired_order_is_placed_anew(backend: Make, server: DigicertServer, clock: Clock) -> None:
    server.plan = SLOWLY
    ca, wanted = backend(), order()
    handle = pending(await ca.submit(wanted)).handle
    server.set_status(server.orders[0]["id"], "expired")
    clock.advance(minutes=5)
    with pytest.raises(Lapsed):
        await ca.poll(wanted, handle)
    assert pending(await ca.submit(replace(wanted, repeated=True))).handle != handle
    assert len(server.orders) == 2


async def test_an_order_that_waits_for_an_administrator_says_so(
    backend: Make, server: DigicertServer, clock: Clock
) -> None:
    server.approvals = True
    ca, wanted = backend(), order()
    handle = pending(await ca.submit(wanted)).handle
    clock.advance(minutes=2)
    assert "an administrator has to approve it in CertCentral" in pending(await ca.poll(wanted, handle)).message
    server.approve()
    clock.advance(minutes=2)
    assert_good(await ca.poll(wanted, handle), wanted.csr, clock)


async def test_what_proves_control_is_told_and_stays_the_same(
    backend: Make, server: DigicertServer, clock: Clock
) -> None:
    server.plan = SLOWLY
    ca = backend(product=DV, organizationId=None, dcvMethod="dns-txt-token")
    wanted = order("c" * 64, "example.com", "*.example.com", "www.example.com")
    answer = pending(await ca.submit(wanted))
    random = server.orders[0]["random"]
    for name in ("example.com", "www.example.com"):
        assert f'set the TXT record _dnsauth.{name} to "{random}"' in answer.message
    assert answer.message.count("TXT") == 2
    clock.advance(minutes=3)
    again = backend(product=DV, organizationId=None, dcvMethod="dns-txt-token")  # a restart
    assert pending(await again.poll(wanted, answer.handle)).message == answer.message


async def test_a_value_that_is_no_longer_good_is_replaced(backend: Make, server: DigicertServer, clock: Clock) -> None:
    server.plan = after((0, "pending"))
    ca, wanted = backend(product=DV, organizationId=None, dcvMethod="dns-txt-token"), order()
    first = pending(await ca.submit(wanted))
    clock.advance(days=29)
    assert pending(await ca.poll(wanted, first.handle)).message == first.message
    clock.advance(days=2)
    second = pending(await ca.poll(wanted, first.handle))
    assert server.orders[0]["random"] in second.message
    assert second.message != first.message
    clock.advance(days=1)
    third = pending(await ca.poll(wanted, second.handle))
    assert (third.handle, third.message) == (second.handle, second.message)


@pytest.mark.parametrize(
    ("method", "says"),
    [
        ("dns-cname-token", "set the CNAME record _dnsauth.www.example.com to {}.dcv.digicert.com"),
        ("http-token", "serve {} at http://www.example.com/.well-known/pki-validation/fileauth.txt"),
    ],
)
async def test_each_method_has_its_own_words(backend: Make, server: DigicertServer, method: str, says: str) -> None:
    server.plan = SLOWLY
    answer = pending(await backend(product=DV, organizationId=None, dcvMethod=method).submit(order()))
    assert says.format(server.orders[0]["random"]) in answer.message


async def test_a_lost_answer_loses_no_random_value(backend: Make, server: DigicertServer) -> None:
    server.plan = SLOWLY
    server.fail(Damage.LOST, "POST", "/order/certificate/", carried_out=True)
    ca, wanted = backend(product=DV, organizationId=None, dcvMethod="dns-txt-token"), order()
    with pytest.raises(Retryable):
        await ca.submit(wanted)
    assert server.orders[0]["random"] in pending(await ca.submit(replace(wanted, repeated=True))).message


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (order(profile=Profile(is_ca=True)), "is not a CA certificate: remove isCA"),
        (order(profile=Profile(must_staple=True)), "no field for mustStaple"),
        (order(profile=Profile(usages=("code signing",))), 'remove "code signing" from usages'),
        (order(csr=csr(others=(x509.RFC822Name("a@example.com"),))), "no e-mail addresses"),
        (order(csr=csr(others=(x509.UniformResourceIdentifier("urn:x"),))), "no URIs"),
        (order(csr=csr()), "set commonName or dnsNames"),
        (order(csr=csr(f"{'a' * 63}.example.com")), "a common name of at most 64 characters: add a shorter name"),
    ],
)
async def test_what_no_product_can_give_is_not_ordered(
    backend: Make, server: DigicertServer, wanted: object, says: str
) -> None:
    with pytest.raises(Rejected, match=says):
        await backend().submit(wanted)  # type: ignore[arg-type]
    assert not server.calls


CLIENTS = Profile(usages=("server auth", "client auth"))


@pytest.mark.parametrize(
    ("day", "asked", "says"),
    [
        ("2026-11-28", {"duration": timedelta(days=201)}, "spec.duration: .* at most 200 days: ask for less"),
        ("2027-03-15", {"duration": timedelta(days=101)}, "spec.duration: .* at most 100 days: ask for less"),
        ("2029-03-15", {"duration": timedelta(days=48)}, "spec.duration: .* at most 47 days: ask for less"),
        ("2027-03-01", {"profile": CLIENTS}, 'spec.usages: .* since 2027-03-01: remove "client auth"'),
    ],
    ids=["200-days", "100-days", "47-days", "clients"],
)
async def test_what_no_public_ca_signs_is_not_ordered(
    backend: Make, server: DigicertServer, clock: Clock, day: str, asked: Any, says: str
) -> None:
    clock.now = datetime.fromisoformat(day).replace(tzinfo=UTC)
    with pytest.raises(Rejected, match=says):
        await backend().submit(order(**asked))
    with pytest.raises(Rejected, match=says):
        await backend(product=DV, organizationId=None).submit(order(**asked))
    assert not server.calls
    await backend(product=PRIVATE).submit(order(**asked))  # its own CA may sign it
    assert len(server.orders) == 1


async def test_an_order_that_was_placed_before_the_day_is_gone_on_with(
    backend: Make, server: DigicertServer, clock: Clock
) -> None:
    clock.now = datetime(2027, 2, 28, 23, 59, tzinfo=UTC)
    wanted = order(profile=CLIENTS)
    server.plan = SLOWLY
    server.fail(Damage.LOST, "POST", "/order/certificate/", carried_out=True)
    with pytest.raises(Retryable):
        await backend().submit(wanted)
    clock.advance(minutes=2)
    pending(await backend().submit(replace(wanted, repeated=True)))
    assert len(server.orders) == 1


async def test_a_long_name_goes_beside_a_shorter_one(backend: Make, server: DigicertServer, clock: Clock) -> None:
    wanted = order(csr=csr(f"{'a' * 63}.example.com", "www.example.com"))
    assert_good(await backend().submit(wanted), wanted.csr, clock)
    assert server.orders[0]["body"]["certificate"]["common_name"] == "www.example.com"


async def test_a_refusal_is_told_with_what_to_do(backend: Make, server: DigicertServer) -> None:
    wanted = order(csr=csr("db.example.com", others=(x509.IPAddress(ip_address("10.0.0.1")),)))
    with pytest.raises(Rejected) as refused:
        await backend().submit(wanted)
    assert str(refused.value) == (
        "DigiCert says: An IP address is not allowed in this product (invalid_dns_name): ask for names that the "
        "product and the account allow"
    )


async def test_an_order_that_is_not_paid_for_is_tried_again(backend: Make, server: DigicertServer) -> None:
    body = {"errors": [{"code": "not_enough_funds", "message": "The account balance is too low."}]}
    server.fail(Reply(400, body), "POST")
    with pytest.raises(Retryable, match="add funds in CertCentral, or set spec") as failed:
        await backend().submit(order())
    assert failed.value.after.total_seconds() > 0


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (
            {"errors": [{"code": "a|b", "message": "No."}, {"code": "c", "message": "Never"}]},
            r"No \(a\|b\); Never \(c\)",
        ),
        ({"errors": {"code": "x", "message": "Old form."}}, r"Old form \(x\)"),
        (b"<html>", "HTTP status 400"),
        ({"errors": []}, "HTTP status 400"),
    ],
)
async def test_every_published_form_of_an_error_is_read(
    backend: Make, server: DigicertServer, body: object, says: str
) -> None:
    server.fail(Reply(400, body), "POST")
    with pytest.raises(Rejected, match=says):
        await backend().submit(order())


@pytest.mark.parametrize(
    ("reply", "after"),
    [
        (Reply(429, {"errors": [{"code": "request_limit_exceeded", "message": "Service unavailable"}]}), 60.0),
        (Reply(429, {}, {"Retry-After": "7"}), 7.0),
        (Reply(503, b"", {"Retry-After": "120"}), 120.0),
        (Reply(502, b"<html>bad gateway</html>"), 0.0),
        (Reply(302, b"", {"Location": "https://elsewhere.example"}), 0.0),
    ],
)
async def test_what_passes_is_tried_again(backend: Make, server: DigicertServer, reply: Reply, after: float) -> None:
    server.fail(reply, "POST")
    with pytest.raises(Retryable) as failed:
        await backend().submit(order())
    assert failed.value.after.total_seconds() == after


async def test_a_key_that_was_exchanged_is_used_at_once(
    backend: Make, server: DigicertServer, world: World, clock: Clock
) -> None:
    ca, wanted = backend(), order()
    server.keys = {"ANOTHER-KEY"}
    with pytest.raises(Misconfigured, match="put a valid one into Secret digicert") as refused:
        await ca.submit(wanted)
    assert KEY not in str(refused.value)
    world.secrets["digicert"] = {"api-key": b"ANOTHER-KEY\n"}
    assert_good(await ca.submit(wanted), wanted.csr, clock)


async def test_a_key_that_the_server_repeats_is_not_shown(backend: Make, server: DigicertServer) -> None:
    server.fail(Reply(400, {"errors": [{"code": "x", "message": f"the key {KEY} is odd"}]}), "POST")
    with pytest.raises(Rejected) as refused:
        await backend().submit(order())
    assert KEY not in str(refused.value)
