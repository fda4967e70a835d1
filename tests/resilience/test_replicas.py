"""The API server is away for a minute, and so nobody can know who has which requests.

REPLICA_ORDERS=200, of `make soak`, has more orders.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from csr_operator.replicas.fencing import HOLDS
from devcluster import ControlPlane
from tests.support.acme import acme_issuer, rfc2136
from tests.support.acme_scene import Scene, running_scene
from tests.support.kubectl import wait_until
from tests.support.manifests import request
from tests.support.replicas import replicas
from tests.support.scene import create, wait_all_ready

ORDERS = int(os.environ.get("REPLICA_ORDERS", "60"))
OUTAGE = 60.0


@pytest.fixture
def scene(cluster: ControlPlane, operator_credentials: Path, tmp_path: Path) -> Iterator[Scene]:
    """With a second operator, which has half of what there is to do."""
    with running_scene(cluster, operator_credentials, tmp_path) as found:
        arguments = ("--dns-programs", str(found.programs))
        with replicas(operator_credentials, tmp_path, found.kubectl, *arguments) as others:
            others.start()
            others.wait_shared(2)
            yield found


def seen(scene: Scene) -> dict[str, int]:
    """What was asked for requests. Issuers are checked by each replica for itself, and are nobody's to take over."""
    steps = ("new order", "order", "authorization", "challenge", "finalize", "certificate")
    return {step: scene.proxy.seen[step] for step in steps}


def test_nobody_asks_a_ca_while_another_may_have_what_it_asks_for(cluster: ControlPlane, scene: Scene) -> None:
    kubectl, proxy = scene.kubectl, scene.proxy
    kubectl.apply(acme_issuer("ca", scene.pebble, rfc2136(scene.bind), directory=proxy.directory))
    kubectl.wait_ready("ca", kind="issuer", seconds=60)
    create(kubectl, *(request(f"run-{n}", "ca") for n in range(ORDERS)))
    wait_until("orders are placed", lambda: len(proxy.placed) >= ORDERS // 5, 60)

    cluster.stop_apiserver()
    try:
        began = time.monotonic()
        while time.monotonic() < began + HOLDS:  # the outage itself, not a wait for something
            time.sleep(0.5)
        wait_until("what was under way has ended", lambda: proxy.in_flight == 0)
        before = seen(scene)
        while time.monotonic() < began + OUTAGE:
            time.sleep(0.5)
        assert seen(scene) == before
    finally:
        cluster.start_apiserver()

    wait_all_ready(kubectl, ORDERS, seconds=300)
    names = [f"run-{n}" for n in range(ORDERS)]
    assert {name: scene.placed(f"{name}.example.com") for name in names} == dict.fromkeys(names, 1)
    wait_until("no order's Secret is left", lambda: not scene.orders_of("run"))
