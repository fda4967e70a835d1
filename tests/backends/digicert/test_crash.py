"""One order, whatever comes: kill -9 of the operator after DigiCert has the order and before the operator knows."""

import os
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.emulators.digicert_one_server import DigicertOneServer
from tests.emulators.digicert_server import AT_ONCE, BASE, KEY, ORGANIZATION, OV, DigicertServer, after
from tests.support.authorities import credential
from tests.support.certificates import assert_whole
from tests.support.contract import ContractServer, Damage
from tests.support.kubectl import Kubectl, wait_until
from tests.support.manifests import issuer, request
from tests.support.operator import OperatorProcess
from tests.support.scene import create, wait_all_ready

RUNS = 50
BATCH = 10

Case = tuple[ContractServer, str, dict[str, Any], Callable[[], Sequence[dict[str, Any]]]]


@contextmanager
def cert_central(folder: Path) -> Iterator[Case]:
    with DigicertServer(folder / "journal") as server:
        config = {"url": f"{server.url}{BASE}", "product": OV, "organizationId": ORGANIZATION}
        yield server, "digicert", config, lambda: server.orders


@contextmanager
def digicert_one(folder: Path) -> Iterator[Case]:
    with DigicertOneServer(folder / "journal") as server:
        yield server, "digicertOne", {"url": server.url, "profileId": server.PROFILE}, lambda: server.certificates


@pytest.mark.parametrize("serve", [cert_central, digicert_one])
def test_kill_9_between_submit_and_record_places_no_second_order(
    serve: Callable[[Path], Any], kubectl: Kubectl, operator_credentials: Path, tmp_path: Path
) -> None:
    """50 orders are caught so, in batches, beside others that come through."""
    seed = os.environ.get("CSR_OPERATOR_TEST_SEED") or str(random.SystemRandom().getrandbits(32))
    print(f"CSR_OPERATOR_TEST_SEED={seed}")  # shown where the test fails
    chance = random.Random(seed)
    log = tmp_path / "operator.log"
    caught = total = 0
    with (
        serve(tmp_path) as (server, backend, config, placed),
        OperatorProcess(operator_credentials, log, "--namespace", kubectl.namespace) as operator,
    ):
        config |= {"caBundle": server.ca_bundle, "secretName": "digicert"}
        kubectl.apply(credential("digicert", **{"api-key": KEY}), issuer("digicert", "Issuer", **{backend: config}))
        kubectl.wait_ready("digicert", kind="issuer")
        while caught < RUNS:
            operator.kill()
            hang = chance.randint(BATCH // 2, BATCH)
            if isinstance(server, DigicertServer):
                server.plan = chance.choice([AT_ONCE, after((0, "pending"), (0.1, "issued"))])
            server.fail(Damage.HANGS, "POST", times=hang, carried_out=True)
            create(kubectl, *(request(f"leaf-{total + n:03}", "digicert") for n in range(BATCH)))
            total += BATCH
            operator.launch()
            wait_until("all are placed", lambda wanted=total: len(placed()) >= wanted, seconds=60)  # type: ignore[misc]
            operator.kill()
            caught += hang
            server.go_on()
            operator.launch()
        requests = wait_all_ready(kubectl, total)
        assert len(placed()) == total

    secrets = {secret["metadata"]["name"]: secret for secret in kubectl.list("secrets")}
    assert len(secrets) == total + 1  # and the API key
    for each in requests:
        assert_whole(each, secrets[each["spec"]["secretName"]])
