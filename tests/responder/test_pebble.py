"""A CA that really connects: Pebble, to an Nginx that follows what was made in the cluster, and to the TLS listener."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from csr_acme import AcmeClient, Identifier
from csr_acme.challenges import key_authorization
from csr_operator.backends.acme.self_check import find_unreachable
from csr_operator.challenges import routes as challenge_routes
from csr_operator.challenges.alpn import AlpnChallenge
from csr_operator.challenges.responder import Challenges
from csr_operator.challenges.routes import host_name
from csr_operator.challenges.server import serve_tls
from devcluster import ControlPlane
from tests.responder.support import DEADLINE, ISSUER, PATH, answering, asked, now, proven, rerouted
from tests.support.audit import writes
from tests.support.ingress import GATEWAY, INGRESS_CLASS, IngressController, ingress_controller
from tests.support.kubectl import Kubectl
from tests.support.operator import NAMESPACE, OperatorProcess
from tests.support.pebble import Pebble, pebble
from tests.support.ports import free_ports

INGRESS = {"ingress": {"ingressClassName": INGRESS_CLASS}}
GATEWAY_ROUTE = {"gatewayHTTPRoute": {"parentRefs": [GATEWAY], "labels": {"team": "web"}}}


@pytest.fixture(scope="module")
def replicas(
    cluster: ControlPlane, operator_credentials: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[OperatorProcess]]:
    """Two processes of the operator, for namespaces of their own. Neither presents a challenge of these tests."""
    folder = tmp_path_factory.mktemp("replicas")
    with (
        OperatorProcess(operator_credentials, folder / "one.log", "--namespace", "kube-public") as one,
        OperatorProcess(operator_credentials, folder / "two.log", "--namespace", "kube-node-lease") as two,
    ):
        yield [one, two]


@pytest.fixture(scope="module")
def nginx(
    cluster: ControlPlane, replicas: list[OperatorProcess], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[IngressController]:
    services = {challenge_routes.SERVICE: [replica.acme_port for replica in replicas]}
    [port] = free_ports(1)
    with ingress_controller(cluster, tmp_path_factory.mktemp("nginx"), services, port) as running:
        yield running


@pytest.fixture(scope="module")
def tls_port() -> int:
    return free_ports(1)[0]


@pytest.fixture(scope="module")
def server(nginx: IngressController, tls_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pebble]:
    folder = tmp_path_factory.mktemp("pebble")
    with pebble(folder, http_port=nginx.port, tls_port=tls_port) as running:
        yield running


async def until_reachable(port: int, host: str, token: str, answer: str) -> None:
    deadline = asyncio.get_running_loop().time() + DEADLINE
    async with rerouted(port) as session:
        while problem := await find_unreachable(session, host, token, answer):
            assert asyncio.get_running_loop().time() < deadline, problem
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("route", [INGRESS, GATEWAY_ROUTE], ids=["Ingress", "HTTPRoute"])
async def test_a_name_by_http(
    client: AcmeClient,
    key: ec.EllipticCurvePrivateKey,
    challenges: Challenges,
    nginx: IngressController,
    cluster: ControlPlane,
    route: dict[str, Any],
) -> None:
    host = "www.example.com"
    order, http = await asked(client, Identifier("dns", host), "http-01")
    answer = key_authorization(http.token, key)
    presented = challenge_routes.Challenge(host, http.token, answer)
    await challenges.present(presented, route, ISSUER)
    await until_reachable(nginx.port, host, http.token, answer)

    assert await proven(client, order, http) == "ready"

    await challenges.withdraw(host, http.token, ISSUER)
    names = [call.verb for call in writes(cluster, NAMESPACE) if call.name == presented.object_name]
    assert names == ["patch", "delete"]


async def test_an_address_by_http(
    client: AcmeClient, key: ec.EllipticCurvePrivateKey, challenges: Challenges, nginx: IngressController
) -> None:
    order, http = await asked(client, Identifier("ip", "127.0.0.1"), "http-01")
    answer = key_authorization(http.token, key)
    await challenges.present(challenge_routes.Challenge("127.0.0.1", http.token, answer), INGRESS, ISSUER)
    await until_reachable(nginx.port, "127.0.0.1", http.token, answer)
    assert await proven(client, order, http) == "ready"
    await challenges.withdraw("127.0.0.1", http.token, ISSUER)


async def test_names_that_the_user_routes(
    client: AcmeClient,
    key: ec.EllipticCurvePrivateKey,
    challenges: Challenges,
    nginx: IngressController,
    home: Kubectl,
) -> None:
    """One Ingress of the user's leads all challenges of a host to the operator; it makes none."""
    host = "routed.example.com"
    backend = {"service": {"name": challenge_routes.SERVICE, "port": {"number": 80}}}
    path = {"path": PATH, "pathType": "Prefix", "backend": backend}
    home.apply(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": {"name": "challenges"},
            "spec": {"ingressClassName": INGRESS_CLASS, "rules": [{"host": host, "http": {"paths": [path]}}]},
        }
    )
    order, http = await asked(client, Identifier("dns", host), "http-01")
    answer = key_authorization(http.token, key)
    await challenges.present(challenge_routes.Challenge(host, http.token, answer), {}, ISSUER)
    await until_reachable(nginx.port, host, http.token, answer)
    assert await proven(client, order, http) == "ready"
    await challenges.withdraw(host, http.token, ISSUER)
    assert [obj["metadata"]["name"] for obj in home.list("ingress")] == ["challenges"]
    home("delete", "ingress", "challenges")


@pytest.mark.parametrize(
    "identifier", [Identifier("dns", "tls.example.com"), Identifier("ip", "127.0.0.1")], ids=lambda i: i.type
)
async def test_a_name_by_tls(
    client: AcmeClient, key: ec.EllipticCurvePrivateKey, tls_port: int, identifier: Identifier
) -> None:
    order, challenge = await asked(client, identifier, "tls-alpn-01")
    presented = AlpnChallenge(host_name(identifier.value), key_authorization(challenge.token, key))
    async with serve_tls("127.0.0.1", tls_port, answering(presented), now):
        assert await proven(client, order, challenge) == "ready"
