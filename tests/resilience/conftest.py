"""A control plane of this folder's own: its tests stop it, cut it off and fill it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster import ControlPlane, control_plane
from tests.support.kubectl import Kubectl
from tests.support.names import unique
from tests.support.operator import OperatorProcess, operator_kubeconfig
from tests.support.proxy import Proxy, kubeconfig_through, port_of


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with control_plane(audit_log=tmp_path_factory.mktemp("resilience-audit") / "audit.log") as plane:
        yield plane


@pytest.fixture(scope="session")
def operator_credentials(cluster: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return operator_kubeconfig(cluster, tmp_path_factory.mktemp("resilience-operator"))


@pytest.fixture
def other_namespace(cluster: ControlPlane) -> Kubectl:
    """kubectl in an empty namespace besides the test's own."""
    kubectl = Kubectl(cluster, unique("test"))
    kubectl("create", "namespace", kubectl.namespace)
    return kubectl


@pytest.fixture
def proxy(cluster: ControlPlane) -> Iterator[Proxy]:
    """Between `proxied_operator` and the API server."""
    with Proxy(port_of(cluster.url)) as proxy:
        yield proxy


@pytest.fixture
def proxied_operator(
    proxy: Proxy, operator_credentials: Path, kubectl: Kubectl, tmp_path: Path
) -> Iterator[OperatorProcess]:
    """The operator, started, for this test's namespace and through the proxy."""
    kubeconfig = kubeconfig_through(proxy, operator_credentials, tmp_path)
    with OperatorProcess(kubeconfig, tmp_path / "operator.log", "--namespace", kubectl.namespace) as process:
        yield process
