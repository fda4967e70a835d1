"""What an issuer may ask for, and what the API server says to it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from csr_operator.api.issuer import Issuer
from csr_operator.api.names import GROUP
from csr_operator.challenges.responder import Challenges, IssuerResponder
from csr_operator.challenges.routes import CHALLENGE_LABEL, Challenge
from csr_operator.kube.routes import Routes
from csr_operator.plugin.errors import BackendError, Misconfigured, Rejected
from devcluster import ControlPlane
from tests.responder.support import ISSUER, TENANT, challenge
from tests.support.ingress import install_gateway_api
from tests.support.kubectl import Kubectl, wait_until
from tests.support.operator import NAMESPACE

NOW = datetime.now(UTC)


def ingress(**fields: Any) -> dict[str, Any]:
    return {"ingress": fields}


def gateway(**parent: str) -> dict[str, Any]:
    return {"gatewayHTTPRoute": {"parentRefs": [{"name": "web", **parent}], "labels": {"team": "a"}}}


async def made(
    challenges: Challenges, home: Kubectl, kind: str, issuer: Issuer, route: dict[str, Any]
) -> dict[str, Any]:
    presented = challenge()
    responder = IssuerResponder(challenges, issuer)
    responder.check_http(route)
    await responder.present_http(presented.host, presented.token, presented.answer, route)
    found = home.get(kind, presented.object_name)
    await responder.withdraw_http(presented.host, presented.token)
    assert home.get(kind, presented.object_name) == {}
    return found


async def test_labels_annotations_and_class_are_those_asked_for(challenges: Challenges, home: Kubectl) -> None:
    template = {
        "labels": {"team": "a", CHALLENGE_LABEL: "none"},
        "annotations": {"example.com/ssl-redirect": "false", f"{GROUP}/challenge-host": "evil.example.com"},
    }
    route = ingress(**{"class": "gce"}, pathType="ImplementationSpecific", ingressTemplate={"metadata": template})
    found = await made(challenges, home, "ingress", ISSUER, route)
    metadata = found["metadata"]
    assert metadata["labels"] == {
        "team": "a",
        CHALLENGE_LABEL: "http-01",
        "app.kubernetes.io/managed-by": "csr-operator",
    }
    assert metadata["annotations"]["kubernetes.io/ingress.class"] == "gce"
    assert metadata["annotations"]["example.com/ssl-redirect"] == "false"
    assert metadata["annotations"][f"{GROUP}/challenge-host"] == "www.example.com"
    assert metadata["annotations"][f"{GROUP}/challenge-issuer"] == "ClusterIssuer letsencrypt"
    assert "ingressClassName" not in found["spec"]
    assert found["spec"]["rules"][0]["http"]["paths"][0]["pathType"] == "ImplementationSpecific"


@pytest.mark.parametrize("asked", [{}, {"namespace": "infra"}, {"sectionName": "https"}], ids=str)
async def test_the_gateway_is_the_one_that_is_named(
    challenges: Challenges, home: Kubectl, cluster: ControlPlane, asked: dict[str, str]
) -> None:
    install_gateway_api(cluster)
    found = await made(challenges, home, "httproute", ISSUER, gateway(**asked))
    [parent] = found["spec"]["parentRefs"]
    assert {"name": "web", **asked}.items() <= parent.items()
    assert "namespace" not in found["spec"]["rules"][0]["backendRefs"][0]
    assert found["metadata"]["labels"]["team"] == "a"
    assert found["spec"]["hostnames"] == ["www.example.com"]


async def test_an_issuer_sets_no_annotations(routes: Routes, home: Kubectl) -> None:
    """By some of them a controller reads the Secrets beside the Ingress."""
    route = ingress(ingressTemplate={"metadata": {"annotations": {"a": "b"}}})
    words = "annotations: only a ClusterIssuer sets annotations"
    challenges = Challenges(routes, NAMESPACE, lambda: NOW, None, for_issuers=True)
    responder = IssuerResponder(challenges, TENANT)
    with pytest.raises(Misconfigured, match=words):
        responder.check_http(route)
    with pytest.raises(Misconfigured, match=words):
        await responder.present_http("www.example.com", "token", "token.thumbprint", route)
    assert home.list("ingress,configmap", "-l", CHALLENGE_LABEL) == []
    IssuerResponder(challenges, ISSUER).check_http(route)


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        (Challenge("under_score.example.com", "token", "token.thumbprint"), Rejected, "under_score"),
        (Challenge("www.example.com", "../../secrets", "token.thumbprint"), Rejected, "base64url"),
        (Challenge("www.example.com", "to\nken", "token.thumbprint"), Rejected, "base64url"),
        (Challenge("www.example.com", "token", "<script>"), Rejected, "base64url"),
    ],
)
async def test_a_challenge_that_cannot_be(
    challenges: Challenges, asked: Challenge, error: type[BackendError], words: str
) -> None:
    with pytest.raises(error, match=words):
        await challenges.present(asked, ingress(), ISSUER)
    assert await challenges.answer(asked.host, asked.token) is None


async def test_rights_that_are_missing(routes: Routes) -> None:
    elsewhere = Challenges(routes, "kube-public", lambda: NOW, None)
    for route in (ingress(), {}):
        with pytest.raises(Misconfigured, match=r"forbidden.*kube-public.*apply deploy/"):
            await elsewhere.present(challenge(), route, ISSUER)
    with pytest.raises(Misconfigured, match="apply deploy/"):
        await elsewhere.withdraw("www.example.com", "token", ISSUER)
    assert await elsewhere.answer("www.example.com", "token") is None


def _is_there(home: Kubectl, path: str) -> bool:
    try:
        home("get", "--raw", path)
    except AssertionError:
        return False
    return True


async def test_a_cluster_without_the_gateway_api(challenges: Challenges, home: Kubectl) -> None:
    home("delete", "crd", "httproutes.gateway.networking.k8s.io", "--ignore-not-found")
    path = f"/apis/gateway.networking.k8s.io/v1/namespaces/{NAMESPACE}/httproutes"
    wait_until("the API server has forgotten it", lambda: not _is_there(home, path))
    with pytest.raises(Misconfigured, match="Gateway API"):
        await challenges.present(challenge(), gateway(), ISSUER)
    presented = challenge()
    await challenges.present(presented, {}, ISSUER)
    others = Challenges(challenges._routes, NAMESPACE, lambda: NOW, None)
    assert await others.answer(presented.host, presented.token) == presented.answer
    await others.withdraw(presented.host, presented.token, ISSUER)


async def test_nothing_listens_for_tls(challenges: Challenges) -> None:
    responder = IssuerResponder(challenges, ISSUER)
    with pytest.raises(Misconfigured, match="--acme-tls-address"):
        await responder.present_alpn("www.example.com", "token.thumbprint")
    await responder.withdraw_alpn("www.example.com", "token.thumbprint")
