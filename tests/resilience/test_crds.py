"""The custom resource definitions are installed after the operator, or removed while it runs, and come again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster import ControlPlane
from tests.support.kubectl import Kubectl, wait_until
from tests.support.manifests import issuer, request
from tests.support.operator import ROOT, OperatorProcess
from tests.support.scene import create

NAMES = [f"{plural}.csr-operator.dev" for plural in ("certificaterequests", "issuers", "clusterissuers")]
REMEDY = "kubectl apply --server-side -k deploy/"


def _install(kubectl: Kubectl) -> None:
    kubectl("apply", "--server-side", "--force-conflicts", "-k", str(ROOT / "crds"))
    kubectl("wait", "--for=condition=Established", "crd", *NAMES)


@pytest.fixture
def without(kubectl: Kubectl) -> Iterator[Kubectl]:
    """A cluster without the definitions, which has them again in the end."""
    kubectl("delete", "crd", *NAMES)
    yield kubectl
    _install(kubectl)


def _missing(log: Path) -> set[str]:
    said = log.read_text()
    return {name for name in NAMES if f"the CustomResourceDefinition {name} is not installed: {REMEDY}" in said}


def test_they_come_go_and_come_again(
    cluster: ControlPlane, without: Kubectl, operator_credentials: Path, tmp_path: Path
) -> None:
    kubectl, log = without, tmp_path / "operator.log"
    operator = OperatorProcess(operator_credentials, log, "--namespace", kubectl.namespace)
    operator.launch()
    try:
        wait_until("it says what is missing", lambda: _missing(log) == set(NAMES), seconds=60)
        assert operator.get("/healthz") == "ok\n"
        assert not operator.is_ready()

        _install(kubectl)
        create(kubectl, issuer("root"), request("www", "root"))
        kubectl.wait_ready("www", seconds=60)
        assert operator.is_ready()

        log.write_text("")
        kubectl("delete", "crd", *NAMES)
        wait_until("it says what is missing", lambda: _missing(log) == set(NAMES), seconds=60)
        assert operator.get("/healthz") == "ok\n"
        assert not operator.is_ready()
        _install(kubectl)
        create(kubectl, issuer("root"), request("api", "root"))
        kubectl.wait_ready("api", seconds=60)
        wait_until("it is ready", operator.is_ready)
        assert "Traceback" not in log.read_text()
    finally:
        operator.stop()
