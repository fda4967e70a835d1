"""kill -9 between the order and the note of its number: Sectigo has one order for each request."""

import os
import random
import signal
import threading
from pathlib import Path

from tests.emulators.sectigo_server import CUSTOMER, LOGIN, PASSWORD, SectigoServer
from tests.support.authorities import credential
from tests.support.certificates import assert_whole
from tests.support.contract import Call
from tests.support.kubectl import Kubectl, wait_until
from tests.support.manifests import issuer, request
from tests.support.operator import OperatorProcess
from tests.support.scene import create, wait_all_ready

RUNS = 50
HANDLE = "csr-operator.dev/order"


class Assassin:
    """Kills an operator: as soon as it has ordered, before it gets the answer, or up to 50 ms later."""

    def __init__(self, chance: random.Random) -> None:
        self._delay = chance.choice((0.0, chance.uniform(0, 0.05)))
        self._armed, self._victim = False, threading.Event()
        self.done = threading.Event()

    def accept(self, pid: int) -> None:
        self._pid = pid
        self._victim.set()

    def see(self, call: Call) -> None:
        if not call.path.endswith("/enroll") or self._armed:
            return
        self._armed = True
        if self._delay:
            threading.Timer(self._delay, self._strike).start()
        else:
            self._strike()

    def _strike(self) -> None:
        self._victim.wait(30)
        os.kill(self._pid, signal.SIGKILL)
        self.done.set()


def test_an_operator_killed_while_it_orders_orders_nothing_twice(
    kubectl: Kubectl, operator_credentials: Path, tmp_path: Path
) -> None:
    seed = os.environ.get("CSR_OPERATOR_TEST_SEED") or str(random.SystemRandom().getrandbits(32))
    print(f"CSR_OPERATOR_TEST_SEED={seed}")  # shown where the test fails
    chance = random.Random(seed)
    log, arguments = tmp_path / "operator.log", ("--namespace", kubectl.namespace)
    spec = {
        "customerURI": CUSTOMER,
        "login": {"secretName": "account"},
        "organization": "Example Inc",
        "profile": "Public OV SSL",
    }
    unnoted = 0
    operator = OperatorProcess(operator_credentials, log, *arguments)
    with SectigoServer(tmp_path / "journal") as server:
        where = {"url": f"{server.url}/api", "caBundle": server.ca_bundle}
        kubectl.apply(
            credential("account", login=LOGIN, password=PASSWORD), issuer("sectigo", sectigo={**spec, **where})
        )
        for n in range(RUNS):
            create(kubectl, request(f"run-{n}", "sectigo"))
            assassin = Assassin(chance)
            server.carried_out = assassin.see
            operator.launch()
            assassin.accept(operator.pid)
            wait_until(f"the operator was killed while it ordered run-{n}", assassin.done.is_set)
            wait_until("it is gone", operator.has_ended)
            staged = [one for one in kubectl.list("secrets") if one["metadata"]["name"].startswith("run-")]
            unnoted += any(HANDLE not in one["metadata"]["annotations"] for one in staged)
        server.carried_out = lambda call: None
        with operator:
            requests = wait_all_ready(kubectl, RUNS)
        names = [order["commonName"] for order in server.orders.values()]
    assert sorted(names) == sorted(f"run-{n}.example.com" for n in range(RUNS))
    assert unnoted > 0, "no kill came between the order and the note of its number"
    secrets = {secret["metadata"]["name"]: secret for secret in kubectl.list("secrets")}
    for each in requests:
        assert_whole(each, secrets[each["spec"]["secretName"]])
