"""kill -9 of the operator at any step of an order: there is one order for each revision, and the certificate comes.

The moment is given by what the CA, or the API server, has just been asked: after it did as asked, and before the
operator hears of it.
"""

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devcluster import ControlPlane
from tests.support.acme import acme_issuer, rfc2136
from tests.support.acme_scene import Scene, names, running_scene
from tests.support.kubectl import wait_until
from tests.support.manifests import request
from tests.support.scene import await_changes, create, wait_all_ready

CA_STEPS = ("account", "new order", "order", "authorization", "challenge", "finalize", "certificate")
WRITES = (1, 2, 3, 4, 5)
"""How many changes of Secrets are seen before the kill: key and CSR, the order's URL, the certificate, and the end."""

RUNS = 50


@pytest.fixture(scope="module")
def own(cluster: ControlPlane, operator_credentials: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A scene for this module alone: its operator dies again and again."""
    with running_scene(cluster, operator_credentials, tmp_path_factory.mktemp("crashes")) as running:
        yield running


def test_kill_9_at_any_step_costs_no_second_order(own: Scene, core: Any) -> None:
    seed = os.environ.get("CSR_OPERATOR_TEST_SEED") or str(random.SystemRandom().getrandbits(32))
    print(f"CSR_OPERATOR_TEST_SEED={seed}")  # shown where the test fails
    chance = random.Random(seed)
    operator, proxy, namespace = own.site.operator, own.proxy, own.kubectl.namespace
    own.kubectl.apply(acme_issuer("ca", own.pebble, rfc2136(own.bind), directory=proxy.directory))
    own.kubectl.wait_ready("ca", kind="issuer")
    steps = [*CA_STEPS, *WRITES]
    runs = steps + chance.choices(steps, k=RUNS - len(steps))
    chance.shuffle(runs)
    hosts = [f"run-{number:02}" for number in range(RUNS)]

    for host, step in zip(hosts, runs, strict=True):
        version = core.list_namespaced_secret(namespace, limit=1).metadata.resource_version
        if isinstance(step, str):
            proxy.when(step, operator.kill, before=chance.random() < 0.5)
        if step == "account":
            # One is asked for at each start, and at a change of the issuer.
            own.kubectl(
                "patch", "issuer", "ca", "--type=merge", "-p", f'{{"spec":{{"acme":{{"email":"{host}@a.example"}}}}}}'
            )
        create(own.kubectl, request(host, "ca"))
        if isinstance(step, int):
            await_changes(core, namespace, step, version)
            operator.kill()
        wait_until(f"the operator was killed at {step}", operator.has_ended)
        # It starts sooner than any pod. What it asked for is then to be at the CA, where it is looked for.
        wait_until("nothing is on its way to the CA", lambda: not proxy.in_flight)
        operator.start()

    wait_all_ready(own.kubectl, RUNS)
    assert {host: own.placed(f"{host}.example.com") for host in hosts} == dict.fromkeys(hosts, 1)
    assert [names(own.leaf(host)) for host in hosts] == [{f"{host}.example.com"} for host in hosts]
    assert [host for host in hosts if own.bind.records(f"_acme-challenge.{host}.example.com")] == []
    wait_until("no order's Secret is left", lambda: not own.orders_of("run"))
