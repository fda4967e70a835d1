"""Who may create Issuers does not read Secrets by them: a Secret is a credential only if somebody said so."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from csr_operator.api.parse_issuer import parse_issuer
from csr_operator.control.issuer_credentials import find_refusal
from devcluster import ControlPlane
from tests.support.acme import acme_issuer, rfc2136
from tests.support.acme_scene import Scene, running_scene
from tests.support.authorities import authority, credential, opaque
from tests.support.contract import Call, ContractServer, Reply
from tests.support.kubectl import Kubectl, condition, wait_until
from tests.support.manifests import issuer, request
from tests.support.operator import NAMESPACE as SYSTEM_NAMESPACE
from tests.support.site import REQUEST


class Sink(ContractServer):
    """A server of eve's: what it is sent she has."""

    name = "Sink"

    def answer(self, call: Call) -> Reply:
        return Reply(204)


class Eve:
    """May create Issuers and CertificateRequests, and cannot read Secrets."""

    def __init__(self, kubectl: Kubectl) -> None:
        self._kubectl = kubectl
        resources = "--resource=issuers.csr-operator.dev,certificaterequests.csr-operator.dev"
        kubectl("create", "role", "eve", "--verb=get,list,create,patch,delete", resources)
        kubectl("create", "rolebinding", "eve", "--role=eve", "--user=eve")

    def may_read_secrets(self) -> bool:
        try:
            self._kubectl("auth", "can-i", "get", "secrets", "--as=eve", "--quiet")
        except AssertionError:
            return False
        return True

    def apply(self, *objects: Mapping[str, Any]) -> None:
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        self._kubectl("apply", "--server-side", "--as=eve", "-f", "-", stdin=text)


@pytest.fixture(scope="module")
def scene(
    cluster: ControlPlane, operator_credentials: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    with running_scene(cluster, operator_credentials, tmp_path_factory.mktemp("scene")) as running:
        yield running


@pytest.fixture(scope="module")
def eve(scene: Scene) -> Eve:
    return Eve(scene.kubectl)


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as running:
        yield running


def by_webhook(scene: Scene, sink: Sink, name: str, secret: str) -> dict[str, Any]:
    """An ACME issuer that has the operator send what is in `secret` to the sink."""
    others = {key: value for key, value in rfc2136(scene.bind)["dns01"].items() if key != "rfc2136"}
    hook = {"url": f"{sink.url}/dns", "caBundle": sink.ca_bundle, "credentialsSecretRef": {"name": secret}}
    return acme_issuer(name, scene.pebble, {"dns01": {**others, "webhook": hook}})


def told(scene: Scene, name: str, words: str) -> None:
    """The request says so."""

    def probe() -> bool:
        return words in condition(scene.kubectl.get(REQUEST, name), "Ready").get("message", "")

    wait_until(f"{name} says {words}", probe, seconds=60)


def assert_nothing_came(scene: Scene, sink: Sink, name: str, *values: str) -> None:
    assert not any("authorization" in call.headers for call in sink.calls)
    shown = json.dumps(scene.kubectl.get(REQUEST, name)) + scene.site.operator.log.read_text()
    assert not any(value in shown for value in values)


def test_eve_reads_no_secret(scene: Scene, eve: Eve) -> None:
    assert not eve.may_read_secrets()


def test_the_token_of_a_service_account_is_sent_nowhere(scene: Scene, eve: Eve, sink: Sink, unique_name: str) -> None:
    kubectl = scene.kubectl
    kubectl("create", "serviceaccount", unique_name)
    held = kubectl("create", "token", unique_name).strip()
    token = opaque(unique_name, "kubernetes.io/service-account-token", token=held)
    token["metadata"] |= {
        "annotations": {"kubernetes.io/service-account.name": unique_name},
        # Not even if it says that it is a credential for issuers.
        "labels": {"csr-operator.dev/allow-credential": "true"},
    }
    kubectl.apply(token)

    eve.apply(by_webhook(scene, sink, unique_name, unique_name), request(unique_name, unique_name))

    where = f"Secret {scene.kubectl.namespace}/{unique_name}"
    told(scene, unique_name, f"{where} is of type kubernetes.io/service-account-token, which is for Kubernetes")
    assert_nothing_came(scene, sink, unique_name, held)


def test_a_password_is_sent_once_its_owner_says_that_it_may_be(
    scene: Scene, eve: Eve, sink: Sink, unique_name: str
) -> None:
    scene.kubectl.apply(opaque(unique_name, username="shop", password="s3cret-of-the-database"))

    eve.apply(by_webhook(scene, sink, unique_name, unique_name), request(unique_name, unique_name))

    label = "csr-operator.dev/allow-credential=true"
    command = f"kubectl label --overwrite secret {unique_name} -n {scene.kubectl.namespace} {label}"
    told(
        scene,
        unique_name,
        f"Secret {scene.kubectl.namespace}/{unique_name} is not allowed as a credential of issuers: ",
    )
    told(scene, unique_name, f"`{command}`")
    assert_nothing_came(scene, sink, unique_name, "s3cret-of-the-database")

    scene.kubectl(*command.split()[1:])
    wait_until("it is sent", lambda: any("authorization" in call.headers for call in sink.calls), seconds=60)


def test_no_other_backend_sends_what_is_not_allowed_either(
    scene: Scene, eve: Eve, sink: Sink, unique_name: str
) -> None:
    scene.kubectl.apply(
        opaque(
            unique_name, login="shop", password="pw-of-the-shop", **{"api-key": "key-of-the-shop", "secret": "c2VjcmV0"}
        )
    )
    where = {"caBundle": sink.ca_bundle, "url": sink.url}
    account = {"customerURI": "x", "organization": "x", "profile": "1", "login": {"secretName": unique_name}}
    bound: dict[str, Any] = {"externalAccountBinding": {"keyID": "x", "keySecretRef": {"name": unique_name}}}
    made = {
        f"{unique_name}-sectigo": issuer(f"{unique_name}-sectigo", sectigo={**where, **account}),
        f"{unique_name}-digicert": issuer(
            f"{unique_name}-digicert", digicert={**where, "secretName": unique_name, "product": "ssl_basic"}
        ),
        f"{unique_name}-acme": acme_issuer(f"{unique_name}-acme", scene.pebble, rfc2136(scene.bind), **bound),
        f"{unique_name}-ca": issuer(f"{unique_name}-ca", ca={"secretName": unique_name}),
    }
    eve.apply(*made.values())
    for one in made:
        ready = scene.site.wait_condition(one, "Ready", "Misconfigured", "issuer")
        why = (
            "is of type Opaque, and the key pair of a CA has to be"
            if one == f"{unique_name}-ca"
            else "is not allowed as a"
        )
        assert f"Secret {scene.kubectl.namespace}/{unique_name} {why}" in ready["message"]
    assert sink.calls == []


def test_a_secret_by_its_type(scene: Scene, unique_name: str) -> None:
    scene.kubectl.apply(
        opaque(unique_name, "csr-operator.dev/credential", **{"tls.crt": "x", "tls.key": "y"}),
        issuer(unique_name, ca={"secretName": unique_name}),
        authority("CA").secret(f"{unique_name}-pair"),
        issuer(f"{unique_name}-pair", ca={"secretName": f"{unique_name}-pair"}),
    )
    scene.kubectl.wait_ready(f"{unique_name}-pair", kind="issuer")
    ready = scene.site.wait_condition(unique_name, "Ready", "Misconfigured", "issuer")
    assert "is not allowed" not in ready["message"]


def test_the_administrators_namespace_needs_no_label_but_gives_no_token(scene: Scene, unique_name: str) -> None:
    system = Kubectl(scene.cluster, SYSTEM_NAMESPACE)
    pair = authority("CA")
    system.apply(
        opaque(unique_name, **{"tls.crt": pair.certificate, "tls.key": pair.key}),
        opaque(f"{unique_name}-docker", "kubernetes.io/dockerconfigjson", **{".dockerconfigjson": "{}"}),
        issuer(unique_name, kind="ClusterIssuer", ca={"secretName": unique_name}),
        issuer(f"{unique_name}-docker", kind="ClusterIssuer", ca={"secretName": f"{unique_name}-docker"}),
    )
    try:
        system.wait_ready(unique_name, kind="clusterissuer")
        ready = scene.site.wait_condition(f"{unique_name}-docker", "Ready", "Misconfigured", "clusterissuer")
        assert "is of type kubernetes.io/dockerconfigjson" in ready["message"]
    finally:
        system("delete", "clusterissuer", unique_name, f"{unique_name}-docker")


@pytest.mark.parametrize("kind", ["Issuer", "ClusterIssuer"])
def test_the_key_of_the_operators_state_is_no_credential(kind: str) -> None:
    metadata = {"name": "x", "namespace": "shop", "uid": "u", "resourceVersion": "1"}
    secret = credential("csr-operator-state-key", key="x")
    secret["metadata"]["namespace"] = SYSTEM_NAMESPACE
    spec = {"ca": {"secretName": "csr-operator-state-key"}}
    assert "is the operator's own" in find_refusal(
        secret, parse_issuer({"kind": kind, "metadata": metadata, "spec": spec})
    )
