"""The clock of one replica is set by a day: its shards stay, as nobody goes by that clock, and its requests as well."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster import ControlPlane
from tests.support.audit import writes
from tests.support.kubectl import Kubectl, wait_until
from tests.support.manifests import request
from tests.support.operator import NAMESPACE
from tests.support.replicas import Replicas, replicas
from tests.support.scene import create, make_ca, wait_all_ready

DAY = 86400.0
EACH = 20


@pytest.fixture
def team(cluster: ControlPlane, operator_credentials: Path, kubectl: Kubectl, tmp_path: Path) -> Iterator[Replicas]:
    with replicas(operator_credentials, tmp_path, kubectl) as running:
        yield running


def live_through(leases: Kubectl, members: list[str]) -> None:
    """Wait until each member has renewed its Lease so often that one who went by a wrong clock would have lost it."""

    def version(member: str) -> str:
        return str(leases.get("lease", member)["metadata"]["resourceVersion"])

    for _ in range(4):
        before = {member: version(member) for member in members}
        wait_until("each has renewed", lambda before=before: all(version(m) != v for m, v in before.items()))  # type: ignore[misc]


def test_no_shard_moves(cluster: ControlPlane, kubectl: Kubectl, team: Replicas) -> None:
    first = team.start(settable=True)
    team.start()
    members = list(team.wait_shared(2))
    make_ca(kubectl)
    create(kubectl, *(request(f"right-{n}", "ca") for n in range(EACH)))
    wait_all_ready(kubectl, EACH + 1)
    shards = team.shards()
    right = {s["metadata"]["name"]: s["metadata"]["resourceVersion"] for s in kubectl.list("secrets")}

    for offset, prefix in ((DAY, "ahead"), (0.0, "set-right")):
        first.set_clock(offset)
        create(kubectl, *(request(f"{prefix}-{n}", "ca") for n in range(EACH)))
        live_through(Kubectl(cluster, NAMESPACE), members)
        wait_until("all have a certificate", lambda: len(kubectl.list("secrets")) >= len(kubectl.list("csreq")))
        assert team.shards() == shards

    wait_all_ready(kubectl, 3 * EACH + 1)
    assert {s["metadata"]["name"]: s["metadata"]["resourceVersion"] for s in kubectl.list("secrets")}.items() >= (
        right.items()
    )
    wrote = [call.name for call in writes(cluster, kubectl.namespace) if call.resource == "secrets"]
    assert max(wrote.count(name) for name in right) == 1
