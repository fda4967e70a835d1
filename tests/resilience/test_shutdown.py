"""SIGTERM: the operator ends soon and well, and the next one takes over.

`stop` waits 30 s at most: as long as Kubernetes waits before it kills.
"""

from pathlib import Path
from typing import Any

from tests.support.certificates import assert_whole
from tests.support.kubectl import Kubectl, wait_until
from tests.support.manifests import request
from tests.support.operator import OperatorProcess
from tests.support.proxy import Proxy, kubeconfig_through
from tests.support.scene import await_objects, create, make_ca, wait_all_ready

COUNT = 40


def test_a_successor_takes_over_what_was_under_way(
    kubectl: Kubectl, operator: OperatorProcess, operator_credentials: Path, tmp_path: Path
) -> None:
    make_ca(kubectl)
    create(kubectl, *(request(f"leaf-{n}", "ca", privateKey={"algorithm": "RSA"}) for n in range(COUNT)))
    wait_until("some are issued", lambda: len(kubectl.list("secrets")) > 3)

    assert operator.stop() == 0

    left = COUNT + 1 - len(kubectl.list("secrets"))
    with OperatorProcess(operator_credentials, tmp_path / "second.log", "--namespace", kubectl.namespace):
        requests = wait_all_ready(kubectl, COUNT + 1)
    assert left > 0, "all was done when the operator was stopped: the test shows nothing"
    secrets = {secret["metadata"]["name"]: secret for secret in kubectl.list("secrets")}
    assert len(secrets) == COUNT + 1
    for each in requests:
        assert_whole(each, secrets[each["spec"]["secretName"]])


def test_it_ends_although_the_network_swallows_what_it_sent(
    kubectl: Kubectl, core: Any, proxy: Proxy, operator_credentials: Path, tmp_path: Path
) -> None:
    create(kubectl, *(request(f"leaf-{n}", "none") for n in range(200)))
    kubeconfig = kubeconfig_through(proxy, operator_credentials, tmp_path)
    operator = OperatorProcess(kubeconfig, tmp_path / "operator.log", "--namespace", kubectl.namespace)

    operator.launch()
    await_objects(core.list_namespaced_event, kubectl.namespace, 20)
    proxy.swallow()

    assert operator.stop() == 0
