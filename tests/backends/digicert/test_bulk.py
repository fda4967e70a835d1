"""However many orders are pending, DigiCert is asked about all of them at once."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from csr_operator.backends.digicert.certcentral import DigicertBackend
from csr_operator.backends.digicert.changes import interval
from csr_operator.plugin.backend import Pending
from csr_operator.plugin.errors import Misconfigured, Retryable
from csr_operator.plugin.testing import Clock
from tests.backends.digicert.support import Queue, order
from tests.emulators.digicert_server import DigicertServer, after
from tests.support.contract import Damage, Reply

Make = Callable[..., DigicertBackend]
NEVER = after((0, "pending"))
CHANGES = "/status-changes$"


@pytest.mark.slow("takes more than ten seconds")
async def test_500_orders_pending_for_a_week_cost_400_calls_and_change_nothing(
    backend: Make, server: DigicertServer, clock: Clock
) -> None:
    server.plan = NEVER
    ca, queue = backend(), Queue(clock)
    await queue.submit(ca, 500)
    server.calls.clear()
    await queue.run(ca, clock.now + timedelta(days=7))
    assert len(server.calls) <= 400
    assert all(len(answers) == 1 for answers in queue.answers.values())


@pytest.mark.parametrize("status", ["approved", "a_status_of_tomorrow"])
async def test_a_status_that_is_not_clear_is_looked_into_once(
    backend: Make, server: DigicertServer, clock: Clock, status: str
) -> None:
    server.plan = after((0, "pending"), (30, status), (12 * 3600, "issued"))
    ca, queue = backend(), Queue(clock)
    await queue.submit(ca, 20)
    await queue.run(ca, clock.now + timedelta(hours=11))
    assert server.count("GET", r"/certificate/\d+$") <= 2 * 20
    await queue.run(ca, clock.now + timedelta(hours=2))
    assert len(queue.done) == 20


async def test_a_restart_costs_a_handful_of_calls(backend: Make, server: DigicertServer, clock: Clock) -> None:
    server.plan = NEVER
    queue = Queue(clock)
    await queue.submit(backend(), 300)
    clock.advance(days=30)
    server.calls.clear()
    queue.all_due()
    await queue.run(backend(), clock.now)
    assert len(server.calls) <= 3


async def test_each_order_is_noticed_when_it_is_issued(backend: Make, server: DigicertServer, clock: Clock) -> None:
    server.plan = after((0, "pending"), (3600, "issued"))
    ca, queue = backend(), Queue(clock)
    await queue.submit(ca, 20)
    server.plan = NEVER
    await queue.submit(ca, 0)
    await queue.run(ca, clock.now + timedelta(hours=1, minutes=5))
    assert len(queue.done) == 20


async def test_an_order_that_changed_while_nobody_looked_is_noticed(
    backend: Make, server: DigicertServer, clock: Clock
) -> None:
    server.plan = after((0, "pending"), (3600, "issued"))
    queue = Queue(clock)
    await queue.submit(backend(), 5)
    clock.advance(days=20)  # longer than status-changes reaches back
    queue.all_due()
    await queue.run(backend(), clock.now)
    assert len(queue.done) == 5


async def test_more_orders_than_a_page_holds_are_all_known(backend: Make, server: DigicertServer, clock: Clock) -> None:
    server.plan = NEVER
    server.page = 50
    queue = Queue(clock)
    await queue.submit(backend(), 120)
    clock.advance(days=1)
    server.calls.clear()
    queue.all_due()
    await queue.run(backend(), clock.now)
    assert [call.path.rpartition("/")[2] for call in server.calls] == ["certificate"] * 3


async def test_a_failure_is_borne_for_an_hour_without_a_word(
    backend: Make, server: DigicertServer, clock: Clock
) -> None:
    server.plan = NEVER
    ca, wanted = backend(), order()
    first = await ca.submit(wanted)
    assert isinstance(first, Pending)
    clock.advance(minutes=1)
    await ca.poll(wanted, first.handle)
    server.fail(Reply(429, {}), "GET", times=1000)
    server.calls.clear()
    for _ in range(55):
        clock.advance(minutes=1)
        again = await ca.poll(wanted, first.handle)
        assert isinstance(again, Pending)
        assert again.message == first.message
    assert len(server.calls) <= 55
    clock.advance(minutes=30)
    with pytest.raises(Retryable, match="asked too often"):
        await ca.poll(wanted, first.handle)
    server.go_on()
    clock.advance(minutes=30)
    assert isinstance(await ca.poll(wanted, first.handle), Pending)


@pytest.mark.parametrize("damage", [Damage.LOST, Damage.TRUNCATED])
async def test_a_damaged_answer_makes_no_order_fail(
    backend: Make, server: DigicertServer, clock: Clock, damage: Damage
) -> None:
    server.plan = NEVER
    ca, wanted = backend(), order()
    first = await ca.submit(wanted)
    assert isinstance(first, Pending)
    await ca.poll(wanted, first.handle)
    server.fail(damage, "GET", CHANGES)
    clock.advance(minutes=2)
    again = await ca.poll(wanted, first.handle)
    assert isinstance(again, Pending)
    assert again.message == first.message


async def test_a_key_that_expired_is_told_at_once(backend: Make, server: DigicertServer, clock: Clock) -> None:
    server.plan = NEVER
    ca, wanted = backend(), order()
    first = await ca.submit(wanted)
    assert isinstance(first, Pending)
    server.keys.clear()
    clock.advance(minutes=1)
    with pytest.raises(Misconfigured, match="refuses the API key"):
        await ca.poll(wanted, first.handle)


def test_the_older_an_order_the_rarer_it_is_looked_at() -> None:
    ages = (0, 2, 10, 20, 40, 80, 640, 10**6)
    seconds = [interval(timedelta(minutes=age)).total_seconds() for age in ages]
    assert seconds == [10, 60, 60, 120, 240, 480, 1920, 1920]


async def test_a_clock_that_is_put_back_puts_no_look_off(backend: Make, server: DigicertServer, clock: Clock) -> None:
    server.plan = NEVER
    ca, queue = backend(), Queue(clock)
    await queue.submit(ca, 5)
    clock.advance(days=1)
    queue.all_due()
    await queue.run(ca, clock.now)
    clock.advance(days=-1)
    server.calls.clear()
    queue.all_due()
    await queue.run(ca, clock.now)
    assert server.count("GET", r"/order/certificate$") == 1  # all are listed, once
