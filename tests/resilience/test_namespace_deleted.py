"""A namespace goes away while its requests are being issued."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.kubectl import Kubectl, wait_until
from tests.support.manifests import request
from tests.support.operator import OperatorProcess
from tests.support.scene import create, make_ca

COUNT = 40


@pytest.fixture
def operator(
    operator_credentials: Path, kubectl: Kubectl, other_namespace: Kubectl, tmp_path: Path
) -> Iterator[OperatorProcess]:
    """The operator, started, for two namespaces."""
    options = ("--namespace", kubectl.namespace, "--namespace", other_namespace.namespace)
    with OperatorProcess(operator_credentials, tmp_path / "operator.log", *options) as process:
        yield process


def test_it_is_let_go_and_nothing_is_tried_again(
    kubectl: Kubectl, other_namespace: Kubectl, operator: OperatorProcess
) -> None:
    make_ca(kubectl)
    make_ca(other_namespace)
    create(other_namespace, *(request(f"leaf-{n}", "ca", privateKey={"algorithm": "RSA"}) for n in range(COUNT)))
    wait_until("some are issued", lambda: len(other_namespace.list("secrets")) > 3, seconds=60)

    kubectl("delete", "namespace", other_namespace.namespace, "--timeout=120s")

    gone = f'namespace="{other_namespace.namespace}"'
    wait_until("its requests are forgotten", lambda: gone not in operator.get("/metrics"))
    wait_until("nothing fails any more", lambda: _is_quiet(operator), seconds=120)
    create(kubectl, request("after", "ca"))
    kubectl.wait_ready("after")
    assert operator.get("/healthz") == "ok\n"


def _is_quiet(operator: OperatorProcess) -> bool:
    """Nothing fails for a while, in which forty requests that are tried again at least every minute would show."""
    failed, checks = _failed(operator), _checks(operator)
    # Two issuers are left, and are checked every 2 s here.
    wait_until("the issuers are checked a few times", lambda: _checks(operator) >= checks + 10, seconds=90)
    return _failed(operator) == failed


def _checks(operator: OperatorProcess) -> float:
    return operator.metric("csr_operator_ca_calls_total", call="check")


def _failed(operator: OperatorProcess) -> dict[str, float]:
    """Attempts and calls that failed, by what went wrong."""
    codes = ("400", "403", "404", "409", "422", "429", "500", "error")
    calls = {code: operator.metric("csr_operator_kubernetes_calls_total", code=code) for code in codes}
    return calls | {"attempts": operator.metric("csr_operator_failures_total")}
