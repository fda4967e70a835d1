"""What an issuer's policy denies is told by rule and field, costs the CA nothing, and is issued once it is allowed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devcluster import ControlPlane
from tests.support.authorities import authority
from tests.support.kubectl import Kubectl, condition, wait_until
from tests.support.manifests import issuer, request
from tests.support.names import unique
from tests.support.openssl import own_csr
from tests.support.operator import NAMESPACE as SYSTEM_NAMESPACE
from tests.support.operator import OperatorProcess
from tests.support.site import REQUEST, Site, new_namespace

CA = {"secretName": "root-tls"}
RULE: dict[str, Any] = {
    "name": "web",
    "commonNames": {"suffixes": ["example.com"]},
    "dnsNames": {"suffixes": ["example.com"], "exact": ["*.apps.example.com"]},
    "ipAddresses": {"networks": ["10.0.0.0/8"]},
    "uris": {"suffixes": ["example.com"]},
    "emailAddresses": {"suffixes": ["example.com"]},
    "keys": [{"algorithm": "ECDSA"}, {"algorithm": "RSA", "minSize": 3072}],
    "maxDuration": "2160h",
    "usages": ["digital signature", "key encipherment", "server auth"],
}
DENIED: dict[str, tuple[dict[str, Any], str]] = {
    "dns": ({"dnsNames": ["www.evil.example"]}, 'dnsNames: "www.evil.example" is not allowed'),
    "suffix": ({"dnsNames": ["evilexample.com"]}, 'dnsNames: "evilexample.com" is not allowed'),
    "wildcard": ({"dnsNames": ["*.example.com"]}, 'dnsNames: "*.example.com" is a wildcard, which is not allowed'),
    "cn": ({"commonName": "evil.example"}, 'commonName: "evil.example" is not allowed'),
    "literal": ({"literalSubject": "CN=a.example.com,CN=evil.example"}, 'commonName: "evil.example" is not allowed'),
    "ip": ({"ipAddresses": ["192.0.2.7"]}, "ipAddresses: 192.0.2.7 is not allowed"),
    "uri": ({"uris": ["https://a.evil.example?@example.com"]}, "uris: "),
    "mail": ({"emailAddresses": ["a@evil.example"]}, 'emailAddresses: "a@evil.example" is not allowed'),
    "other": ({"otherNames": [{"oid": "1.2.3", "utf8Value": "x"}]}, "otherNames: names of other kinds are not allowed"),
    "key": ({"privateKey": {"algorithm": "RSA"}}, "privateKey: RSA 2048 is not allowed"),
    "duration": ({"duration": "2161h"}, "duration: 2161h is more than 2160h"),
    "ca": ({"isCA": True}, "isCA: a CA certificate is not allowed"),
    "usage": ({"usages": ["client auth"]}, 'usages: "client auth" is not allowed'),
    "extension": ({"extensions": [{"oid": "1.2.3", "value": "BQA="}]}, "extensions: 1.2.3 is not allowed"),
}
"""What the rule has against a request that asks for this besides what it may ask for."""


def calls(site: Site) -> float:
    """How often a CA was asked to sign."""
    return site.operator.metric("csr_operator_ca_calls_total", call="submit")


@pytest.fixture(scope="module", autouse=True)
def limited(site: Site) -> None:
    """The issuer `limited` signs what RULE permits."""
    site.kubectl.apply(issuer("limited", ca=CA, policy={"default": "Deny", "rules": [RULE]}))
    site.kubectl.wait_ready("limited", kind="issuer")


@pytest.fixture(scope="module")
def denied(site: Site) -> dict[str, dict[str, Any]]:
    """The requests of DENIED, each as it stands when it was decided on, and their CA was not asked for any."""
    before = calls(site)
    site.kubectl.apply(*(request(name, "limited", **spec) for name, (spec, _) in DENIED.items()))

    def stalled() -> dict[str, dict[str, Any]] | None:
        found = {r["metadata"]["name"]: r for r in site.kubectl.list(REQUEST) if r["metadata"]["name"] in DENIED}
        return found if all(condition(r, "Stalled") for r in found.values()) and len(found) == len(DENIED) else None

    requests = wait_until("all are denied", stalled)
    assert calls(site) == before
    return requests


@pytest.mark.parametrize("name", DENIED)
def test_denied_by_rule_and_field(site: Site, denied: dict[str, dict[str, Any]], name: str) -> None:
    why = DENIED[name][1]
    for kind, status in (("Ready", "False"), ("Stalled", "True")):
        found = condition(denied[name], kind)
        assert (found["status"], found["reason"]) == (status, "PolicyDenied")
        assert f"Issuer {site.kubectl.namespace}/limited does not allow it: rule web: " in found["message"]
        assert why in found["message"]
    assert why in wait_until("an event tells it", lambda: site.warnings(name))[0]["note"]
    assert not site.kubectl.get("secret", f"{name}-tls")


def test_what_the_rule_permits_is_signed(site: Site) -> None:
    names = {
        "dnsNames": ["WWW.example.com", "*.apps.example.com"],
        "commonName": "www.example.com",
        "ipAddresses": ["10.1.2.3"],
        "uris": ["https://user@www.example.com:8443/x"],
        "emailAddresses": ["ann@mail.example.com"],
    }
    key = {"algorithm": "RSA", "size": 3072}
    site.kubectl.apply(request("fine", "limited", **names, privateKey=key, usages=["server auth", "signing"]))
    site.kubectl.wait_ready("fine")


def test_ones_own_csr_is_measured_alike(site: Site, tmp_path: Path) -> None:
    pem = own_csr(tmp_path, "evil.example")
    site.kubectl.apply(request("own-csr", "limited", request=pem))
    stalled = site.wait_condition("own-csr", "Stalled", "PolicyDenied")
    assert 'commonName: "evil.example" is not allowed' in stalled["message"]
    assert 'dnsNames: "evil.example" is not allowed' in stalled["message"]


def test_a_loosened_policy_lets_who_waits_go_on_at_once(site: Site) -> None:
    site.kubectl.apply(issuer("strict", ca=CA, policy={"default": "Deny"}), request("waiting", "strict"))
    stalled = site.wait_condition("waiting", "Stalled", "PolicyDenied")
    assert stalled["message"].endswith(
        f"policy.default is Deny, and no rule is about namespace {site.kubectl.namespace}"
    )
    site.kubectl.apply(issuer("strict", ca=CA, policy={"default": "Deny", "rules": [RULE]}))
    site.kubectl.wait_ready("waiting")


def test_a_tightened_policy_leaves_the_certificate_until_it_is_to_be_renewed(site: Site) -> None:
    site.kubectl.apply(issuer("generous", ca=CA), request("settled", "generous"))
    site.kubectl.wait_ready("settled")
    before, secret = site.kubectl.get(REQUEST, "settled"), site.kubectl.get("secret", "settled-tls")

    site.kubectl.apply(issuer("generous", ca=CA, policy={"default": "Deny"}))
    site.settle()
    assert site.kubectl.get(REQUEST, "settled") == before

    site.kubectl("annotate", REQUEST, "settled", "csr-operator.dev/renew=now")
    site.wait_condition("settled", "Renewing", "PolicyDenied")
    settled = site.kubectl.get(REQUEST, "settled")
    assert condition(settled, "Ready")["status"] == "True", "it is still in force"
    assert site.kubectl.get("secret", "settled-tls") == secret


@pytest.fixture
def shared(cluster: ControlPlane) -> Iterator[str]:
    """The name of a ClusterIssuer that signs for nobody yet, with its CA in the operator's namespace."""
    name = unique("shared")
    kubectl = Kubectl(cluster, SYSTEM_NAMESPACE)
    kubectl.apply(authority("Shared CA").secret(name))
    yield name
    kubectl("delete", "clusterissuer", name, "--ignore-not-found")


def allow(site: Site, name: str, **namespaces: Any) -> None:
    rules = [{"namespaces": namespaces}] if namespaces else []
    policy = {"default": "Deny", "rules": rules}
    site.kubectl.apply(issuer(name, kind="ClusterIssuer", ca={"secretName": name}, policy=policy))
    site.kubectl.wait_ready(name, kind="clusterissuer")


def of(name: str) -> dict[str, str]:
    return {"name": name, "kind": "ClusterIssuer"}


def test_a_cluster_issuer_that_denies_by_default_gives_nothing_to_the_unlisted(
    site: Site, cluster: ControlPlane, operator_credentials: Path, shared: str, tmp_path: Path
) -> None:
    neighbour = Kubectl(cluster, new_namespace(cluster))
    allow(site, shared, names=[neighbour.namespace])
    name = shared.replace("shared", "unlisted")
    with OperatorProcess(operator_credentials, tmp_path / "o.log", "--namespace", neighbour.namespace):
        neighbour.apply(request("listed", shared, issuerRef=of(shared)))
        site.kubectl.apply(request(name, shared, issuerRef=of(shared)))
        neighbour.wait_ready("listed")
    stalled = site.wait_condition(name, "Stalled", "PolicyDenied")
    namespace = site.kubectl.namespace
    assert stalled["message"] == (
        f"ClusterIssuer {shared} does not allow it: policy.default is Deny, and no rule is about namespace {namespace}"
    )


def test_a_namespace_that_gets_its_label_later_is_noticed(site: Site, shared: str) -> None:
    allow(site, shared, selector={"matchLabels": {"certificates": shared}})
    name = shared.replace("shared", "label")
    site.kubectl.apply(request(name, shared, issuerRef=of(shared)))
    site.wait_condition(name, "Stalled", "PolicyDenied")

    site.kubectl("label", "namespace", site.kubectl.namespace, f"certificates={shared}")

    site.kubectl.wait_ready(name)
