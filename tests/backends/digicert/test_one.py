"""DigiCert ONE: it answers at once, and what was lost is found by its key."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509

from csr_operator.backends.digicert.one import DigicertOneBackend
from csr_operator.pki.chain import build_chain
from csr_operator.pki.verify import verify
from csr_operator.plugin.backend import Issued, Order
from csr_operator.plugin.errors import Misconfigured, Rejected, Retryable
from csr_operator.plugin.testing import Clock, World
from tests.backends.digicert.support import csr, order
from tests.emulators.digicert_one_server import DigicertOneServer
from tests.support.contract import Damage, Reply

Make = Callable[..., DigicertOneBackend]
EVERY_NAME = csr(
    "www.example.com",
    "*.example.com",
    common_name="example.com",
    others=(
        x509.IPAddress(ip_address("10.0.0.1")),
        x509.RFC822Name("web@example.com"),
        x509.UniformResourceIdentifier("spiffe://example.com/web"),
    ),
)


def assert_good(answer: object, wanted: Order, clock: Clock) -> x509.Certificate:
    assert isinstance(answer, Issued)
    chain = build_chain(wanted.csr.public_key(), answer.certificates)
    now = clock() + timedelta(seconds=1)
    verify(chain, wanted.csr, wanted.profile, now=now, roots=answer.roots, rules=answer.rules)
    assert int(answer.reference, 16) == chain.leaf.serial_number
    return chain.leaf


@pytest.mark.parametrize("asked", [csr("www.example.com"), EVERY_NAME], ids=["one name", "every kind of name"])
async def test_it_issues(one: Make, one_server: DigicertOneServer, clock: Clock, asked: object) -> None:
    wanted = order(csr=asked)
    leaf = assert_good(await one().submit(wanted), wanted, clock)
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc == timedelta(days=90)
    assert len(one_server.certificates) == 1


@pytest.mark.parametrize(
    "duration", [timedelta(hours=36), timedelta(seconds=3333), timedelta(days=90)], ids=["hours", "seconds", "days"]
)
async def test_the_duration_is_kept_to_the_minute(one: Make, clock: Clock, duration: timedelta) -> None:
    wanted = order(duration=duration)
    leaf = assert_good(await one().submit(wanted), wanted, clock)
    assert timedelta(0) <= leaf.not_valid_after_utc - leaf.not_valid_before_utc - duration < timedelta(minutes=1)


async def test_a_profile_that_keeps_its_own_duration_is_left_to_it(
    one: Make, one_server: DigicertOneServer, clock: Clock
) -> None:
    one_server.profiles[one_server.PROFILE]["override_cert_validity_via_api"] = False
    wanted = order()
    leaf = assert_good(await one().submit(wanted), wanted, clock)
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc == timedelta(days=365)


@pytest.mark.parametrize(
    ("settings", "asked", "seat"),
    [
        ({}, csr("www.example.com"), "www.example.com"),
        ({}, EVERY_NAME, "example.com"),
        ({"seatId": "web"}, EVERY_NAME, "web"),
    ],
)
async def test_the_seat_is_the_issuer_s_or_the_first_name(
    one: Make, one_server: DigicertOneServer, settings: dict[str, str], asked: object, seat: str
) -> None:
    await one(**settings).submit(order(csr=asked))
    assert [issued["seat"] for issued in one_server.certificates] == [seat]


@pytest.mark.parametrize("damage", [Damage.LOST, Damage.TRUNCATED])
async def test_what_was_issued_is_found_again(
    one: Make, one_server: DigicertOneServer, clock: Clock, damage: Damage
) -> None:
    ca, wanted = one(seatId="web"), order()
    for n in range(120):  # more than a page of others
        await ca.submit(order(f"{n:064x}"))
    one_server.fail(damage, "POST", carried_out=True)
    with pytest.raises(Retryable):
        await ca.submit(wanted)
    assert_good(await ca.submit(replace(wanted, repeated=True)), wanted, clock)
    assert len(one_server.certificates) == 121


async def test_a_certificate_with_the_same_key_is_not_taken_for_its_successor(
    one: Make, one_server: DigicertOneServer, clock: Clock
) -> None:
    ca, wanted = one(), order()
    first = await ca.submit(wanted)
    assert isinstance(first, Issued)
    clock.advance(days=60)
    later = replace(wanted, key="e" * 64, replaces=first.reference)
    one_server.fail(Damage.LOST, "POST")  # before it was there
    with pytest.raises(Retryable):
        await ca.submit(later)
    second = await ca.submit(replace(later, repeated=True))
    assert_good(second, wanted, clock)
    assert isinstance(second, Issued)
    assert second.reference != first.reference
    third = await ca.submit(replace(later, repeated=True))
    assert isinstance(third, Issued)
    assert third.reference == second.reference


async def test_what_was_revoked_meanwhile_is_not_taken(one: Make, one_server: DigicertOneServer, clock: Clock) -> None:
    ca, wanted = one(), order()
    leaf = assert_good(await ca.submit(wanted), wanted, clock)
    await ca.revoke(leaf, x509.ReasonFlags.key_compromise)
    assert one_server.certificates[0]["reason"] == "key_compromise"
    await ca.revoke(leaf, x509.ReasonFlags.key_compromise)  # done already counts as done
    again = assert_good(await ca.submit(replace(wanted, repeated=True)), wanted, clock)
    assert again.serial_number != leaf.serial_number


async def test_what_it_never_issued_cannot_be_revoked(one: Make, one_server: DigicertOneServer, clock: Clock) -> None:
    ca, wanted = one(), order()
    leaf = assert_good(await ca.submit(wanted), wanted, clock)
    one_server.fail(Reply(404, {"error": {"code": "resource_not_found", "message": "No."}}), times=2)
    with pytest.raises(Rejected, match="has no certificate that is the same as this one"):
        await ca.revoke(leaf, x509.ReasonFlags.superseded)


async def test_a_good_issuer_says_what_it_issues_by(one: Make) -> None:
    assert (await one().check()).message == "issues by the profile Web servers"


async def test_a_profile_that_is_not_there_is_told_with_those_that_are(
    one: Make, one_server: DigicertOneServer
) -> None:
    with pytest.raises(Misconfigured) as refused:
        await one(profileId="00000000-0000-0000-0000-000000000000").check()
    assert str(refused.value).endswith(f"for REST requests: {one_server.PROFILE} (Web servers)")


@pytest.mark.parametrize(
    "change", [{"status": "Deleted"}, {"enrollment_method": "scep"}, {"authentication_method": "manual_approval"}]
)
async def test_a_profile_that_cannot_be_used_is_told(
    one: Make, one_server: DigicertOneServer, change: dict[str, str]
) -> None:
    one_server.profiles[one_server.PROFILE].update(change)
    with pytest.raises(Misconfigured, match="it has to be Active, with rest_api and third_party_app"):
        await one().check()


async def test_a_key_that_expired_is_told(one: Make, one_server: DigicertOneServer, world: World) -> None:
    ca = one()
    await ca.check()
    one_server.keys.clear()
    with pytest.raises(Misconfigured, match="refuses the API key"):
        await ca.submit(order())
    world.secrets["digicert"] = {}
    with pytest.raises(Misconfigured, match="api-key is missing"):
        await ca.check()


@pytest.mark.parametrize("reply", [Reply(429, {}, {"Retry-After": "9"}), Reply(503, b"", {"Retry-After": "9"})])
async def test_it_waits_as_it_is_told_to(one: Make, one_server: DigicertOneServer, reply: Reply) -> None:
    one_server.fail(reply, "POST")
    with pytest.raises(Retryable) as failed:
        await one().submit(order())
    assert failed.value.after.total_seconds() == 9.0


async def test_a_refusal_is_told_with_what_to_do(one: Make, one_server: DigicertOneServer) -> None:
    one_server.fail(Reply(400, {"error": {"code": "no_seats", "message": "No seats are left."}}), "POST")
    with pytest.raises(Rejected) as refused:
        await one().submit(order())
    assert str(refused.value) == (
        "DigiCert says: No seats are left (no_seats): see in DigiCert ONE that the account has seats left, or set "
        "spec.digicertOne.seatId"
    )


async def test_a_name_without_a_field_is_refused(one: Make, one_server: DigicertOneServer) -> None:
    other = x509.OtherName(x509.ObjectIdentifier("1.2.3"), b"\x0c\x01x")
    with pytest.raises(Rejected, match="sends DigiCert ONE no other names"):
        await one().submit(order(csr=csr("www.example.com", others=(other,))))
    assert not one_server.certificates
