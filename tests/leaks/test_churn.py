"""Hours of requests, issuers and namespaces that come and go: what the operator holds is the same after each of them.

`make test` has two hours with one of each kind. LEAK_HOURS=24, of `make soak`, has so many, with two of each.
"""

import os
import re
from collections.abc import Iterator, Mapping

import pytest

from devcluster import ControlPlane
from tests.leaks.churn import Churn, churning
from tests.leaks.counted import BLOCKS, RESIDENT
from tests.support.kubectl import wait_until

HOURS = int(os.environ.get("LEAK_HOURS", "0"))

pytestmark = pytest.mark.slow("lives through hours of churn")

_BACKENDS = "csr_operator.backends"
_LEFT_PENDING = (
    f"in {_BACKENDS}.acme.backend.AcmeBackend._claims",
    f"in {_BACKENDS}.digicert.certcentral.DigicertBackend._proofs",
    f"in {_BACKENDS}.digicert.changes.Changes._known",
    f"in {_BACKENDS}.sectigo.backend.SectigoBackend._ours",
    f"in {_BACKENDS}.sectigo.waiting.Waiting._looked",
    f"in {_BACKENDS}.sectigo.waiting.Waiting._seen",
    f"in {_BACKENDS}.sectigo.orders.Orders._without",
    f"in {_BACKENDS}.sectigo.orders.Orders._tried",
    f"instances of {_BACKENDS}.digicert.handle.Proof",
)
"""What is kept, up to a bound, of orders that were refused, whose requests went while they were pending (without
`cancelPending` no backend is told of that), or of which an answer was lost."""

_MOST_MORE = {
    f"in {_BACKENDS}.acme.backend.AcmeBackend._names": 1000,  # of the last orders of an account
    "in csr_operator.plugin.recent.Recent.data": 1000,  # these, and `_LEFT_PENDING`
    "in csr_acme.client.AcmeClient._nonces": 64,
    "in csr_operator.challenges.responder.Challenges._seen": 8,  # as it was at the last look
    "in csr_operator.control.journal.Journal._written": 20,  # of those that had trouble within the last hour
    "in csr_operator.control.queue.WorkQueue._heap": 64,
    "in csr_operator.control.scope.Scope._busy": 64,  # of each shard
    "in csr_operator.kube.namespaces.Namespaces._known": 8,  # until it is asked for another one
    "instances of csr_acme.objects.Identifier": 1000,
    "samples of metrics": 60,  # each kind of error is counted from its first time on
    "threads": 8,  # in pools
    "objects": 3000,
}
"""By how much there may be more of what has a bound of its own."""

_MOST_INSTANCES = 20
"""The same of any class: what is known of an object as it was made, and as it is now, may be one value or two."""

_MOST_MEMORY = 1.15
"""What memory may be of what it was after the first hours."""

_SHOWN = ("tasks", "threads", "files", "objects", BLOCKS)


@pytest.fixture(scope="module")
def churn(cluster: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Churn]:
    with churning(cluster, tmp_path_factory.mktemp("churn"), size=2 if HOURS else 1) as running:
        yield running


def test_nothing_piles_up(churn: Churn) -> None:
    """The first hours fill what is filled once: pools of threads, and connections that are kept."""
    first, hours = (3, HOURS) if HOURS else (1, 2)
    reference: dict[str, int] = {}
    for hour in range(1, hours + 1):
        churn.live(hour)
        assert not re.search(r"\bg\d+-", churn.operator.metrics()), "of what is gone there are no metrics"
        if hour <= first:
            counts = churn.operator.count()
            reference = {name: max(counts.get(name, 0), reference.get(name, 0)) for name in {*counts, *reference}}
        else:
            counts = _flat(churn, reference, (hour - first) * churn.size)
            for amount in (RESIDENT, BLOCKS):
                assert counts[amount] <= _MOST_MEMORY * reference[amount], amount
        shown = " | ".join(f"{counts[name]}" for name in _SHOWN)
        print(f"| {hour} | {shown} | {counts[RESIDENT] / 1024:.0f} |", flush=True)
        churn.end()


def _flat(churn: Churn, reference: Mapping[str, int], gone: int) -> Mapping[str, int]:
    """The counts, once there is no more of anything than there was. gone: requests of each kind since then."""
    grown: dict[str, tuple[int, int]] = {}

    def is_flat() -> Mapping[str, int] | None:
        nonlocal grown
        counts = churn.operator.count()
        most = {name: reference.get(name, 0) + _most_more(name, gone) for name in counts}
        grown = {name: (reference.get(name, 0), count) for name, count in counts.items() if count > most[name]}
        for amount in (RESIDENT, BLOCKS):
            grown.pop(amount, None)
        return None if grown else counts

    try:
        return wait_until("there is no more than there was", is_flat)
    except AssertionError as error:
        raise AssertionError(f"{error}: {grown}") from None


def _most_more(name: str, gone: int) -> int:
    if name in _LEFT_PENDING:
        return gone * len(_LEFT_PENDING)
    return _MOST_MORE.get(name, _MOST_INSTANCES if name.startswith("instances of ") else 0)
