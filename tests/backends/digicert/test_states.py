"""Whatever an order goes through, and whatever happens to the answers about it, it ends as DigiCert says."""

import os
import random
from collections.abc import Callable
from contextlib import nullcontext

import pytest

from csr_operator.backends.digicert.certcentral import DigicertBackend
from csr_operator.backends.digicert.changes import WAITING
from csr_operator.plugin.backend import Issued, Pending
from csr_operator.plugin.errors import BackendError, Lapsed, Rejected, Retryable
from csr_operator.plugin.testing import Clock
from tests.backends.digicert.support import order
from tests.emulators.digicert_schema import STATUSES
from tests.emulators.digicert_server import DigicertServer, after
from tests.support.contract import Damage, Reply

Make = Callable[..., DigicertBackend]
ENDS = {"issued": Issued, "rejected": Rejected, "canceled": Rejected, "revoked": Rejected, "expired": Lapsed}
ON_THE_WAY = sorted(set(STATUSES) - ENDS.keys() | {"a_status_of_tomorrow"})
FAULTS = (
    Reply(429, {}),
    Reply(500, b"oops"),
    Reply(404, {"errors": [{"code": "not_found"}]}),
    Reply(200, []),
    Damage.LOST,
    Damage.TRUNCATED,
)
DAY = 24 * 3600.0


def test_every_published_status_is_one_or_the_other() -> None:
    assert set(STATUSES) - {"approved"} <= WAITING | ENDS.keys()


@pytest.mark.parametrize("number", range(15))
async def test_an_order_ends_as_digicert_says(backend: Make, server: DigicertServer, clock: Clock, number: int) -> None:
    """Through any statuses in any order, with a restart of the operator here and there."""
    seed = os.environ.get("CSR_OPERATOR_TEST_SEED") or str(random.SystemRandom().getrandbits(32))
    print(f"CSR_OPERATOR_TEST_SEED={seed}")  # shown where the test fails
    chance = random.Random(f"{seed}/{number}")
    steps, when = [], 0.0
    for _ in range(chance.randint(0, 6)):
        steps.append((when, chance.choice(ON_THE_WAY)))
        when += chance.choice([5.0, 120.0, 3600.0, DAY])
    end = chance.choice(sorted(ENDS))
    server.plan = after((0, "pending"), *steps, (when + 5, end))
    print([status for _, status in steps], end)

    ca, wanted = backend(), order()
    answer: Issued | Pending = await ca.submit(wanted)
    error = ENDS[end]
    with pytest.raises(error) if issubclass(error, BackendError) else nullcontext():
        while isinstance(answer, Pending):
            clock.now += answer.poll_after
            if chance.random() < 0.1:
                ca = backend()
            answer = await ca.poll(wanted, answer.handle)
        assert end == "issued"
    assert len(server.orders) == 1


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.name if isinstance(f, Damage) else str(f.status))
@pytest.mark.parametrize("path", ["/status-changes$", "/order/certificate$", r"/certificate/\d+$", "/download/"])
async def test_no_answer_that_is_bad_makes_a_good_order_fail(
    backend: Make, server: DigicertServer, clock: Clock, path: str, fault: Reply | Damage
) -> None:
    server.plan = after((0, "pending"), (60, "issued"))
    ca, wanted = backend(), order()
    answer: Issued | Pending = await ca.submit(wanted)
    if path == "/order/certificate$":
        ca = backend()  # which lists all that are pending
    else:
        await ca.poll(wanted, _handle(answer))
    server.fail(fault, "GET", path)
    for _ in range(10):
        clock.advance(minutes=2)
        try:
            answer = await ca.poll(wanted, _handle(answer))
        except Lapsed:
            raise
        except Retryable:
            continue
        if isinstance(answer, Issued):
            break
    assert isinstance(answer, Issued)


def _handle(answer: Issued | Pending) -> str:
    assert isinstance(answer, Pending)
    return answer.handle
