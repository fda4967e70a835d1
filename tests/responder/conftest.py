"""Challenges presented by one process of the operator's, with the rights of `deploy/`, and answered by another."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from csr_operator.kube import KubeClient
from csr_operator.responder import Challenges
from devcluster import ControlPlane
from tests.support.kubectl import Kubectl
from tests.support.operator import NAMESPACE


@pytest.fixture
async def kube(operator_credentials: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[KubeClient]:
    monkeypatch.setenv("KUBECONFIG", str(operator_credentials))
    client = await KubeClient.connect(connections=8, patience=30, silence=90)
    yield client
    await client.close()


@pytest.fixture
def challenges(kube: KubeClient) -> Challenges:
    return Challenges(kube, NAMESPACE, lambda: datetime.now(UTC), None)


@pytest.fixture
def home(cluster: ControlPlane, operator_credentials: Path) -> Kubectl:
    """kubectl in the operator's own namespace."""
    return Kubectl(cluster, NAMESPACE)
