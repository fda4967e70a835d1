"""The network between the operator and the API server fails in the ways that networks do."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.kubectl import Kubectl, wait_until
from tests.support.manifests import request
from tests.support.operator import OperatorProcess
from tests.support.proxy import Proxy, kubeconfig_through
from tests.support.scene import create, heal, make_ca, wait_all_ready


@pytest.fixture
def impatient_operator(
    proxy: Proxy, operator_credentials: Path, kubectl: Kubectl, tmp_path: Path
) -> Iterator[OperatorProcess]:
    """The operator, started, for this test's namespace and through the proxy, that waits seconds, not minutes."""
    kubeconfig = kubeconfig_through(proxy, operator_credentials, tmp_path)
    log = tmp_path / "operator.log"
    with OperatorProcess(kubeconfig, log, "--namespace", kubectl.namespace, patience=5) as process:
        yield process


def test_connections_that_break_while_requests_are_issued(
    kubectl: Kubectl, proxy: Proxy, proxied_operator: OperatorProcess
) -> None:
    make_ca(kubectl)

    for n in range(5):
        create(kubectl, *(request(f"leaf-{n}-{m}", "ca") for m in range(8)))
        proxy.cut()

    wait_all_ready(kubectl, 41)
    proxy.cut()
    heal(kubectl, "leaf-0-0-tls")
    assert proxied_operator.get("/healthz") == "ok\n"


def test_connections_that_fall_silent_are_given_up(
    kubectl: Kubectl, proxy: Proxy, impatient_operator: OperatorProcess
) -> None:
    make_ca(kubectl)
    create(kubectl, request("before", "ca"))
    wait_all_ready(kubectl, 2)

    proxy.silence()
    create(kubectl, *(request(f"leaf-{n}", "ca") for n in range(10)))

    wait_all_ready(kubectl, 12)
    heal(kubectl, "before-tls")
    assert impatient_operator.get("/healthz") == "ok\n"


def test_a_network_that_swallows_everything_for_a_while(
    kubectl: Kubectl, proxy: Proxy, impatient_operator: OperatorProcess
) -> None:
    make_ca(kubectl)
    create(kubectl, request("before", "ca"))
    wait_all_ready(kubectl, 2)
    failed = impatient_operator.metric("csr_operator_kubernetes_calls_total", code="error")

    proxy.swallow()
    create(kubectl, *(request(f"leaf-{n}", "ca") for n in range(10)))
    wait_until(
        "the operator gives up some calls",
        lambda: impatient_operator.metric("csr_operator_kubernetes_calls_total", code="error") > failed + 2,
        seconds=60,
    )
    proxy.accept()

    wait_all_ready(kubectl, 12)
    heal(kubectl, "before-tls")
    assert impatient_operator.get("/healthz") == "ok\n"
