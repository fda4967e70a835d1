"""Reissues under an order that still runs, and orders that nobody waits for any more."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from csr_operator.backends.digicert.certcentral import DigicertBackend
from csr_operator.pki.chain import spki_of
from csr_operator.pki.keys import public_key_der
from csr_operator.plugin.backend import Issued, Order, Pending
from csr_operator.plugin.errors import Rejected, Retryable
from csr_operator.plugin.testing import Clock
from tests.backends.digicert.support import order
from tests.emulators.digicert_server import AT_ONCE, OV, PRIVATE, DigicertServer, after
from tests.support.contract import Damage
from tests.support.following import follows

Make = Callable[..., DigicertBackend]
PLAN = {"renewal": "Reissue", "validity": {"years": 3}}
SLOWLY = after((0, "pending"), (600, "issued"))
NEVER = after((0, "pending"))


async def followed(ca: DigicertBackend) -> Order:
    """An order for what follows a certificate of the same CA."""
    first = await ca.submit(order("1" * 64))
    assert isinstance(first, Issued)
    return order("2" * 64, **follows(first))


def assert_for(answer: object, wanted: Order) -> None:
    assert isinstance(answer, Issued)
    assert spki_of(answer.certificates[0]) == public_key_der(wanted.csr.public_key())


async def test_a_renewal_is_a_reissue_while_the_order_runs(backend: Make, server: DigicertServer, clock: Clock) -> None:
    ca = backend(**PLAN)
    wanted = await followed(ca)
    clock.advance(days=60)
    answer = await ca.submit(wanted)
    assert_for(answer, wanted)
    assert len(server.orders) == 1
    assert isinstance(answer, Issued)
    assert answer.reference == f"{server.orders[0]['id']}/{server.orders[0]['certificates'][1]['id']}"
    left = answer.certificates[0].not_valid_after_utc - clock()
    assert timedelta(days=90) <= left <= timedelta(days=91)


async def test_a_reissue_may_take_time(backend: Make, server: DigicertServer, clock: Clock) -> None:
    wanted = await followed(backend(**PLAN))
    server.plan = SLOWLY
    ca = backend(**PLAN)
    answer = await ca.submit(wanted)
    assert isinstance(answer, Pending)
    assert answer.message.endswith("is reissue_pending")
    clock.advance(minutes=11)
    assert_for(await backend(**PLAN).poll(wanted, answer.handle), wanted)


@pytest.mark.parametrize("plan", [SLOWLY, AT_ONCE])
async def test_a_reissue_whose_answer_was_lost_is_not_repeated(
    backend: Make, server: DigicertServer, clock: Clock, plan: object
) -> None:
    ca = backend(**PLAN)
    wanted = await followed(ca)
    server.plan = plan  # type: ignore[assignment]
    server.fail(Damage.LOST, "POST", "/reissue$", carried_out=True)
    with pytest.raises(Retryable):
        await ca.submit(wanted)
    answer = await ca.submit(replace(wanted, repeated=True))
    assert isinstance(answer, Pending)
    clock.advance(minutes=15)
    assert_for(await ca.poll(wanted, answer.handle), wanted)
    assert server.count("POST", "/reissue$") == 1
    assert len(server.orders[0]["certificates"]) == 2


async def test_a_reissue_with_the_same_key_is_not_taken_for_the_one_before(
    backend: Make, server: DigicertServer, clock: Clock
) -> None:
    ca = backend(**PLAN)
    second = await ca.submit(wanted := await followed(ca))
    assert isinstance(second, Issued)
    third = replace(wanted, key="3" * 64, **follows(second))
    server.fail(Damage.LOST, "POST", "/reissue$")  # before it was there
    with pytest.raises(Retryable):
        await ca.submit(third)
    answer = await ca.submit(replace(third, repeated=True))
    assert isinstance(answer, Issued)
    assert answer.certificates[0] != second.certificates[0]
    assert len(server.orders[0]["certificates"]) == 3


async def test_a_reissue_that_is_refused_is_told(backend: Make, server: DigicertServer, clock: Clock) -> None:
    wanted = await followed(backend(**PLAN))
    server.plan = NEVER
    ca = backend(**PLAN)
    answer = await ca.submit(wanted)
    assert isinstance(answer, Pending)
    number = server.orders[0]["id"]
    server.refuse_reissue(number)
    clock.advance(minutes=1)
    with pytest.raises(Rejected, match=f"DigiCert order {number}: the reissue was rejected"):
        await ca.poll(wanted, answer.handle)


@pytest.mark.parametrize(
    ("before", "later"),
    [
        ({}, PLAN),  # the order ends with its certificate
        (PLAN, {"validity": {"years": 3}}),  # the issuer does not want it
        (PLAN, {**PLAN, "product": PRIVATE}),  # another product
    ],
)
async def test_otherwise_it_is_an_order_of_its_own(
    backend: Make, server: DigicertServer, clock: Clock, before: dict[str, object], later: dict[str, object]
) -> None:
    wanted = await followed(backend(**before))
    clock.advance(days=60)
    assert_for(await backend(**later).submit(wanted), wanted)
    assert len(server.orders) == 2


async def test_an_order_that_is_gone_is_not_reissued(backend: Make, server: DigicertServer) -> None:
    wanted = order(replaces="1234/5678")
    assert_for(await backend(**PLAN).submit(wanted), wanted)
    assert [one["product"] for one in server.orders] == [OV]


async def test_a_pending_order_is_cancelled_if_the_issuer_says_so(backend: Make, server: DigicertServer) -> None:
    server.plan = NEVER
    ca = backend(cancelPending=True)
    answer = await ca.submit(order())
    assert isinstance(answer, Pending)
    assert ca.traits.abandons
    await ca.abandon("a" * 64, order().csr, answer.handle)
    assert server.orders[0]["status"] == "canceled"
    await ca.abandon("a" * 64, order().csr, answer.handle)  # done already counts as done


async def test_an_order_whose_answer_was_lost_is_cancelled_as_well(backend: Make, server: DigicertServer) -> None:
    server.plan = NEVER
    server.fail(Damage.LOST, "POST", "/order/certificate/", carried_out=True)
    ca = backend(cancelPending=True)
    with pytest.raises(Retryable):
        await ca.submit(order())
    assert ca.traits.abandons
    await ca.abandon("a" * 64, order().csr, "")
    assert server.orders[0]["status"] == "canceled"


async def test_an_order_that_waits_for_approval_is_taken_back(backend: Make, server: DigicertServer) -> None:
    server.approvals = True
    ca = backend(cancelPending=True)
    answer = await ca.submit(order())
    assert isinstance(answer, Pending)
    assert ca.traits.abandons
    await ca.abandon("a" * 64, order().csr, answer.handle)
    assert server.orders[0]["status"] == "rejected"


async def test_a_pending_reissue_is_cancelled_and_the_order_stays(backend: Make, server: DigicertServer) -> None:
    wanted = await followed(backend(**PLAN))
    server.plan = NEVER
    ca = backend(**PLAN, cancelPending=True)
    answer = await ca.submit(wanted)
    assert isinstance(answer, Pending)
    assert ca.traits.abandons
    await ca.abandon(wanted.key, wanted.csr, answer.handle)
    assert server.orders[0]["status"] == "issued"


async def test_an_issued_order_is_left_alone(backend: Make, server: DigicertServer, clock: Clock) -> None:
    server.plan = SLOWLY
    ca = backend(cancelPending=True)
    answer = await ca.submit(order())
    assert isinstance(answer, Pending)
    assert ca.traits.abandons
    clock.advance(minutes=15)
    await ca.abandon("a" * 64, order().csr, answer.handle)
    assert server.orders[0]["status"] == "issued"


async def test_without_it_nothing_is_left_to_take_back(backend: Make) -> None:
    assert not backend().traits.abandons
