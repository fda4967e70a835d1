"""Challenges presented by one process of the operator's, with the rights of `deploy/`, and answered by another."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from csr_acme import AcmeClient
from csr_operator.challenges.responder import Challenges
from csr_operator.challenges.routes import CHALLENGE_LABEL
from csr_operator.kube.routes import Routes
from csr_operator.kube.transport import Transport
from devcluster import ControlPlane
from tests.support.kubectl import Kubectl
from tests.support.operator import NAMESPACE
from tests.support.pebble import Pebble
from tests.support.sessions import session_trusting


@pytest.fixture
async def transport(operator_credentials: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Transport]:
    monkeypatch.setenv("KUBECONFIG", str(operator_credentials))
    connected = await Transport.connect(connections=8, patience=30, silence=90)
    yield connected
    await connected.close()


@pytest.fixture
def routes(transport: Transport) -> Routes:
    return Routes(transport)


@pytest.fixture
def challenges(routes: Routes) -> Challenges:
    return Challenges(routes, NAMESPACE, lambda: datetime.now(UTC), None)


@pytest.fixture
def home(cluster: ControlPlane, operator_credentials: Path) -> Kubectl:
    """kubectl in the operator's own namespace."""
    return Kubectl(cluster, NAMESPACE)


@pytest.fixture(scope="module", autouse=True)
def _nothing_of_others(cluster: ControlPlane, operator_credentials: Path) -> None:
    """Operators that other tests stopped, or killed, may have left challenges behind."""
    Kubectl(cluster, NAMESPACE)("delete", "ingress,configmap", "-l", CHALLENGE_LABEL)


@pytest.fixture
def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
async def client(server: Pebble, key: ec.EllipticCurvePrivateKey) -> AsyncIterator[AcmeClient]:
    """An account at the module's `server`."""
    async with session_trusting(server.ca_file) as session:
        found = AcmeClient(session, server.directory, key)
        await found.new_account(terms_agreed=True)
        yield found
