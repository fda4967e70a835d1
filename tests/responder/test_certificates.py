"""From an issuer that names a solver to the certificate in a Secret: Pebble connects to what the operator made."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from csr_operator.challenges.routes import CHALLENGE_LABEL, SERVICE
from devcluster import ControlPlane
from tests.support.audit import OPERATOR, api_calls
from tests.support.ingress import GATEWAY, INGRESS_CLASS, ingress_controller
from tests.support.kubectl import Kubectl, condition, wait_until
from tests.support.manifests import issuer, request
from tests.support.operator import NAMESPACE, OperatorProcess
from tests.support.pebble import Pebble, pebble
from tests.support.ports import free_ports
from tests.support.site import Site, new_namespace

ROUTES = ("ingresses", "httproutes", "configmaps")


@pytest.fixture(scope="module")
def ports() -> tuple[int, int]:
    """Where every name answers: HTTP and TLS."""
    http, tls = free_ports(2)
    return http, tls


@pytest.fixture(scope="module")
def site(
    cluster: ControlPlane, operator_credentials: Path, ports: tuple[int, int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """An operator, and the Nginx that follows its routes."""
    kubectl = Kubectl(cluster, new_namespace(cluster))
    operator = OperatorProcess(
        operator_credentials,
        tmp_path_factory.mktemp("site") / "operator.log",
        *("--namespace", kubectl.namespace, "--cluster-resource-namespace", kubectl.namespace),
        *("--acme-tls-address", f"127.0.0.1:{ports[1]}"),
        names_at=ports[0],
    )
    services = {SERVICE: [operator.acme_port]}
    with operator, ingress_controller(cluster, tmp_path_factory.mktemp("nginx"), services, ports[0]):
        yield Site(kubectl, operator)


@pytest.fixture(scope="module")
def ca(ports: tuple[int, int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pebble]:
    with pebble(tmp_path_factory.mktemp("pebble"), http_port=ports[0], tls_port=ports[1]) as running:
        yield running


def acme_issuer(name: str, ca: Pebble, solver: dict[str, Any], kind: str = "ClusterIssuer") -> dict[str, Any]:
    spec = {
        "server": ca.directory,
        "caBundle": ca.ca_file.read_text(),
        "termsOfServiceAgreed": True,
        "privateKeySecretRef": {"name": f"{name}-account"},
        "solvers": [solver],
    }
    return issuer(name, kind, acme=spec)


def ref(name: str) -> dict[str, str]:
    return {"name": name, "kind": "ClusterIssuer"}


def names(site: Site, secret: str) -> set[str]:
    certificate = x509.load_pem_x509_certificate(site.data(secret)["tls.crt"].encode())
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in found}


def made(cluster: ControlPlane, since: int) -> list[tuple[str, str, int]]:
    """What the operator wrote of routes after the first `since` such calls."""
    calls = api_calls(cluster, user=OPERATOR, namespace=NAMESPACE)
    return [(c.resource, c.verb, c.code) for c in calls if c.is_write and c.resource in ROUTES][since:]


SOLVERS: dict[str, tuple[dict[str, Any], str]] = {
    "ingress": ({"ingress": {"ingressClassName": INGRESS_CLASS}}, "ingresses"),
    "gateway": ({"gatewayHTTPRoute": {"parentRefs": [GATEWAY]}}, "httproutes"),
}


@pytest.mark.parametrize("name", SOLVERS)
def test_a_certificate_by_http(site: Site, ca: Pebble, cluster: ControlPlane, name: str) -> None:
    """Each name costs two writes, and nothing is left."""
    route, resource = SOLVERS[name]
    since = len(made(cluster, 0))
    hosts = [f"{name}-{number}.example.com" for number in range(2)]
    asked = request(name, name, dnsNames=hosts, issuerRef=ref(name))
    site.kubectl.apply(acme_issuer(name, ca, {"http01": route}), asked)
    site.kubectl.wait_ready(name, seconds=60)

    assert names(site, f"{name}-tls") == set(hosts)
    written = made(cluster, since)
    assert sorted(written) == [(resource, "delete", 200)] * 2 + [(resource, "patch", 201)] * 2
    assert site.kubectl.list("ingress,configmap", "--namespace", NAMESPACE, "-l", CHALLENGE_LABEL) == []


def test_a_certificate_by_tls(site: Site, ca: Pebble, cluster: ControlPlane) -> None:
    """Nothing leads there that the operator makes; it tells the other replicas, and leaves nothing."""
    since = len(made(cluster, 0))
    asked = request("tls", "tls", issuerRef=ref("tls"), dnsNames=["tls.example.com"], ipAddresses=["127.0.0.1"])
    site.kubectl.apply(acme_issuer("tls", ca, {"tlsALPN01": {}}), asked)
    site.kubectl.wait_ready("tls", seconds=60)
    assert names(site, "tls-tls") == {"tls.example.com", "127.0.0.1"}
    written = made(cluster, since)
    assert sorted(written) == [("configmaps", "create", 201)] * 2 + [("configmaps", "delete", 200)] * 2
    assert site.kubectl.list("ingress,configmap", "--namespace", NAMESPACE, "-l", CHALLENGE_LABEL) == []


def test_a_name_that_does_not_lead_here_is_told_to_the_user_and_not_to_the_ca(site: Site, ca: Pebble) -> None:
    """Until somebody leads it here: then it goes on."""
    nobody = {"http01": {"ingress": {"ingressClassName": "of-nobody"}}}
    site.kubectl.apply(acme_issuer("lost", ca, nobody), request("lost", "lost", issuerRef=ref("lost")))

    def said() -> str:
        return str(condition(site.kubectl.get("certificaterequest", "lost"), "Ready").get("message", ""))

    wait_until("the self-check says what it saw", lambda: "lost.example.com" in said() and "404" in said())
    looked = "Attempting to validate w/ HTTP: http://lost.example.com"
    assert looked not in ca.log.read_text()

    site.kubectl.apply(acme_issuer("lost", ca, {"http01": SOLVERS["ingress"][0]}))
    site.kubectl.wait_ready("lost", seconds=90)
    assert looked in ca.log.read_text()


@pytest.mark.parametrize("what", ["the request", "nothing"])
def test_nothing_is_left_after_a_crash(site: Site, ca: Pebble, what: str) -> None:
    """Of a challenge that waits, when the request is deleted, or when it goes on."""
    name = what.replace(" ", "-")
    nobody = {"http01": {"ingress": {"ingressClassName": "of-nobody"}}}

    def challenges() -> list[dict[str, Any]]:
        found = site.kubectl.list("ingress", "--namespace", NAMESPACE, "-l", CHALLENGE_LABEL)
        return [obj for obj in found if obj["spec"]["rules"][0]["host"] == f"{name}.example.com"]

    site.kubectl.apply(acme_issuer(name, ca, nobody), request(name, name, issuerRef=ref(name)))
    wait_until("the challenge waits", challenges)
    site.operator.kill()
    site.operator.start()
    if what == "the request":
        site.kubectl("delete", "certificaterequest", name)
    else:
        site.kubectl.apply(acme_issuer(name, ca, {"http01": SOLVERS["ingress"][0]}))
        site.kubectl.wait_ready(name, seconds=90)
    wait_until("it is removed", lambda: not challenges(), seconds=60)


def test_an_issuer_that_asks_for_what_is_not_its_own_is_not_ready(site: Site, ca: Pebble) -> None:
    site.kubectl.apply(acme_issuer("greedy", ca, {"http01": SOLVERS["gateway"][0]}, "Issuer"))
    found = site.wait_condition("greedy", "Ready", "Misconfigured", object_kind="issuer")
    assert "use a ClusterIssuer" in found["message"]
