from pathlib import Path

import pytest

from devcluster import ControlPlane
from tests.support.kubectl import Kubectl

DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.fixture(scope="session")
def base(cluster: ControlPlane) -> Kubectl:
    """kubectl in the namespace of the base, which is in the cluster from here on."""
    kubectl = Kubectl(cluster, "csr-operator-system")
    kubectl("apply", "--server-side", "-f", f"{DEPLOY}/namespace.yaml")
    kubectl("apply", "--server-side", "--dry-run=server", "-k", str(DEPLOY))
    kubectl("apply", "--server-side", "-k", str(DEPLOY))
    return kubectl
