"""By http01 no tenant proves the hosts of another, unless the administrator lets Issuers do so."""

import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from csr_operator.api.issuer import Issuer
from csr_operator.api.keys import Kind
from csr_operator.challenges.alpn_responder import AlpnChallenges
from csr_operator.challenges.responder import Challenges, IssuerResponder
from csr_operator.challenges.routes import CHALLENGE_LABEL, Challenge
from csr_operator.kube.routes import Routes
from csr_operator.kube.transport import Transport
from csr_operator.plugin.errors import Misconfigured, Retryable
from devcluster import ControlPlane
from tests.responder.support import ISSUER, challenge
from tests.support.ingress import install_gateway_api
from tests.support.kubectl import Kubectl
from tests.support.manifests import issuer
from tests.support.operator import NAMESPACE
from tests.support.site import Site, new_namespace

TOP = Path(__file__).parents[2]
COMPONENT = TOP / "deploy" / "components" / "http01-issuers"
INGRESS: dict[str, Any] = {"ingress": {"ingressClassName": "nginx"}}
GATEWAY: dict[str, Any] = {"gatewayHTTPRoute": {"parentRefs": [{"name": "web", "namespace": "infra"}]}}


@pytest.fixture
async def routes(operator_credentials: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Routes]:
    monkeypatch.setenv("KUBECONFIG", str(operator_credentials))
    transport = await Transport.connect(connections=8, patience=30, silence=90)
    yield Routes(transport)
    await transport.close()


@pytest.fixture
def home(cluster: ControlPlane, operator_credentials: Path) -> Kubectl:
    """kubectl in the operator's own namespace."""
    return Kubectl(cluster, NAMESPACE)


@pytest.fixture
def tenant(cluster: ControlPlane) -> Issuer:
    """An Issuer in a namespace of its own."""
    return Issuer(Kind.ISSUER, new_namespace(cluster), "letsencrypt", "uid", "1", 1, "acme", {})


@pytest.fixture(scope="module")
def rights(cluster: ControlPlane, operator_credentials: Path) -> Iterator[None]:
    """Those of the component."""
    kubectl = Kubectl(cluster, NAMESPACE)
    kubectl("apply", "-f", str(COMPONENT / "rbac.yaml"))
    yield
    kubectl("delete", "-f", str(COMPONENT / "rbac.yaml"))


def kept(home: Kubectl, kinds: str = "ingress,configmap") -> set[str]:
    """What there is of challenges; other tests may have left some, which go after a day."""
    return {obj["metadata"]["uid"] for obj in home.list(kinds, "-l", CHALLENGE_LABEL)}


def for_issuers(routes: Routes, clock: Any = lambda: datetime.now(UTC)) -> Challenges:
    return Challenges(routes, NAMESPACE, clock, None, for_issuers=True)


@pytest.mark.parametrize("route", [INGRESS, GATEWAY, {}], ids=["Ingress", "HTTPRoute", "{}"])
def test_an_issuer_makes_no_route_for_the_host_of_another(site: Site, home: Kubectl, route: dict[str, Any]) -> None:
    name = "mallory" + next(iter(route), "").lower()
    acme = {
        "server": "https://127.0.0.1:1/directory",
        "termsOfServiceAgreed": True,
        "privateKeySecretRef": {"name": f"{name}-account"},
        "solvers": [{"http01": route}],
    }
    site.kubectl.apply(issuer(name, acme=acme))
    ready = site.wait_condition(name, "Ready", "Misconfigured", "issuer")
    assert "spec.acme.solvers: http01: the operator answers for ClusterIssuers only" in ready["message"]
    assert "--http01-issuers=All" in ready["message"]


async def test_nor_does_it_by_any_other_way_to_the_operator(routes: Routes, home: Kubectl, tenant: Issuer) -> None:
    alpn = AlpnChallenges(routes, NAMESPACE, lambda: datetime.now(UTC))
    challenges = Challenges(routes, NAMESPACE, lambda: datetime.now(UTC), alpn)
    responder, presented = IssuerResponder(challenges, tenant), challenge("shop.team-b.example.com")
    before = kept(home)
    for route in (INGRESS, {}):
        with pytest.raises(Misconfigured, match="ClusterIssuers only"):
            await responder.present_http(presented.host, presented.token, presented.answer, route)
    with pytest.raises(Misconfigured, match="tlsALPN01: the operator answers for ClusterIssuers only"):
        await responder.present_alpn(presented.host, presented.answer)
    assert kept(home) == before


@pytest.mark.usefixtures("rights")
@pytest.mark.parametrize(("kind", "route"), [("ingress", INGRESS), ("httproute", GATEWAY)])
async def test_where_it_may_its_route_is_in_its_own_namespace(
    routes: Routes, home: Kubectl, tenant: Issuer, cluster: ControlPlane, kind: str, route: dict[str, Any]
) -> None:
    """Where admission, and who may let routes into a Gateway, see whose it is."""
    install_gateway_api(cluster)
    there, presented = Kubectl(cluster, tenant.namespace), challenge()
    challenges, before = for_issuers(routes), kept(home)
    await challenges.present(presented, route, tenant)

    made = there.get(kind, presented.object_name)
    if kind == "httproute":
        [backend] = made["spec"]["rules"][0]["backendRefs"]
        assert backend["namespace"] == NAMESPACE
        assert made["spec"]["parentRefs"][0]["namespace"] == "infra"
    assert home.get(kind, presented.object_name) == {}
    assert await for_issuers(routes).answer(presented.host, presented.token) == presented.answer

    await challenges.withdraw(presented.host, presented.token, tenant)
    assert there.get(kind, presented.object_name) == {}
    assert kept(home) == before


@pytest.mark.usefixtures("rights")
async def test_what_a_crash_left_behind_in_its_namespace_is_removed(
    routes: Routes, home: Kubectl, tenant: Issuer, cluster: ControlPlane
) -> None:
    presented = challenge()
    two_days_ago = datetime.now(UTC) - timedelta(days=2)
    await for_issuers(routes, lambda: two_days_ago).present(presented, INGRESS, tenant)
    there = Kubectl(cluster, tenant.namespace)
    assert there.get("ingress", presented.object_name)
    await for_issuers(routes).sweep()
    assert there.get("ingress", presented.object_name) == {}
    assert home.get("configmap", presented.object_name) == {}


async def test_an_answer_that_a_tenant_wrote_is_not_given(
    routes: Routes, tenant: Issuer, cluster: ControlPlane
) -> None:
    """An Ingress like the operator's, in mallory's namespace, for a host that somebody else leads to the operator."""
    forged = challenge("shop.team-b.example.com")
    group = "csr-operator.dev"
    annotations = {
        f"{group}/challenge-host": forged.host,
        f"{group}/challenge-token": forged.token,
        f"{group}/challenge-answer": forged.answer,
    }
    metadata = {"name": forged.object_name, "labels": {CHALLENGE_LABEL: "http-01"}, "annotations": annotations}
    backend = {"service": {"name": "mine", "port": {"number": 80}}}
    Kubectl(cluster, tenant.namespace).apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata},
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": metadata,
            "spec": {"defaultBackend": backend},
        },
    )
    assert await for_issuers(routes).answer(forged.host, forged.token) is None


async def test_two_issuers_with_one_token_the_first_is_answered(routes: Routes, home: Kubectl) -> None:
    """Tokens are in Ingresses and in the logs of CAs."""
    challenges = Challenges(routes, NAMESPACE, lambda: datetime.now(UTC), None)
    first = challenge()
    other = Issuer(Kind.CLUSTER_ISSUER, "", "other", "uid2", "1", 1, "acme", {})
    await challenges.present(first, INGRESS, ISSUER)

    with pytest.raises(Retryable, match=r"ClusterIssuer letsencrypt has a challenge at www\.example\.com with"):
        await challenges.present(Challenge(first.host, first.token, f"{first.token}.another"), INGRESS, other)
    await challenges.withdraw(first.host, first.token, other)

    assert await challenges.answer(first.host, first.token) == first.answer
    assert json.dumps(home.get("ingress", first.object_name)).count(first.answer) >= 1
    await challenges.withdraw(first.host, first.token, ISSUER)
    assert await challenges.answer(first.host, first.token) is None


def test_the_component_adds_the_flag_and_no_right_to_services(cluster: ControlPlane, tmp_path: Path) -> None:
    for folder in ("deploy", "crds"):
        shutil.copytree(TOP / folder, tmp_path / folder)
    own = tmp_path / "own"
    own.mkdir()
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": ["../deploy"],
        "components": ["../deploy/components/http01-issuers"],
    }
    (own / "kustomization.yaml").write_text(json.dumps(kustomization))
    command = [str(cluster.kubectl), "kustomize", str(own)]
    made = list(yaml.safe_load_all(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    [deployment] = [obj for obj in made if obj["kind"] == "Deployment"]
    assert "--http01-issuers=All" in deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    [role] = [obj for obj in made if obj["metadata"]["name"] == "csr-operator-http01-issuers" and "rules" in obj]
    assert {resource for rule in role["rules"] for resource in rule["resources"]} == {"ingresses", "httproutes"}
