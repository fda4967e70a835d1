"""kill -9 of the operator at any moment: a restart takes up what was under way, and nothing is half done."""

import os
import random
from pathlib import Path
from typing import Any

from tests.support.certificates import assert_whole
from tests.support.kubectl import Kubectl, condition
from tests.support.manifests import request
from tests.support.operator import OperatorProcess
from tests.support.scene import await_objects, create, make_ca, wait_all_ready

COUNT = 200
KILLS = 8
KEYS: list[dict[str, Any]] = [
    {"algorithm": "ECDSA"},
    {"algorithm": "Ed25519"},
    {"algorithm": "RSA", "size": 2048},
    {"algorithm": "ECDSA", "size": 384, "encoding": "PKCS8"},
    {"algorithm": "ECDSA", "rotationPolicy": "Never"},
]


def test_kill_9_at_any_moment_loses_nothing(
    kubectl: Kubectl, core: Any, operator_credentials: Path, tmp_path: Path
) -> None:
    seed = os.environ.get("CSR_OPERATOR_TEST_SEED") or str(random.SystemRandom().getrandbits(32))
    print(f"CSR_OPERATOR_TEST_SEED={seed}")  # shown where the test fails
    chance = random.Random(seed)
    batch = COUNT // KILLS
    unfinished = 0

    with OperatorProcess(operator_credentials, tmp_path / "operator.log", "--namespace", kubectl.namespace) as operator:
        make_ca(kubectl)
        operator.kill()
        for n in range(KILLS):
            names = [f"leaf-{n}-{m:02}" for m in range(batch)]
            create(kubectl, *(request(name, "ca", privateKey=chance.choice(KEYS)) for name in names))
            version = core.list_namespaced_secret(kubectl.namespace, limit=1).metadata.resource_version
            operator.launch()
            # The moment: as soon as so many of the Secrets have been written.
            await_objects(core.list_namespaced_secret, kubectl.namespace, chance.randint(1, batch), version)
            operator.kill()
            unfinished += sum(not condition(r, "Ready") for r in kubectl.list("certificaterequests"))
        operator.launch()
        requests = wait_all_ready(kubectl, COUNT + 1)

    assert unfinished > 0, "no kill came between the first and the last write of a batch"
    secrets = {secret["metadata"]["name"]: secret for secret in kubectl.list("secrets")}
    assert len(secrets) == len(requests)
    for each in requests:
        assert_whole(each, secrets[each["spec"]["secretName"]])
