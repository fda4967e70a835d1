"""The custom resource definitions are installed after the operator, or removed while it runs, and come again."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from devcluster import ControlPlane
from tests.support.kubectl import Kubectl, condition, wait_until
from tests.support.manifests import issuer, request
from tests.support.operator import ROOT, OperatorProcess
from tests.support.scene import create

NAMES = [f"{plural}.csr-operator.dev" for plural in ("certificaterequests", "issuers", "clusterissuers")]
REMEDY = "kubectl apply --server-side -k deploy/"


def _install(kubectl: Kubectl) -> None:
    kubectl("apply", "--server-side", "--force-conflicts", "-k", str(ROOT / "crds"))
    kubectl("wait", "--for=condition=Established", "crd", *NAMES)


@pytest.fixture
def without(kubectl: Kubectl) -> Iterator[Kubectl]:
    """A cluster without the definitions, which has them again in the end."""
    kubectl("delete", "crd", *NAMES)
    yield kubectl
    _install(kubectl)


def _missing(log: Path) -> set[str]:
    said = log.read_text()
    return {name for name in NAMES if f"the CustomResourceDefinition {name} is not installed: {REMEDY}" in said}


def test_they_come_go_and_come_again(
    cluster: ControlPlane, without: Kubectl, operator_credentials: Path, tmp_path: Path
) -> None:
    kubectl, log = without, tmp_path / "operator.log"
    operator = OperatorProcess(operator_credentials, log, "--namespace", kubectl.namespace)
    operator.launch()
    try:
        wait_until("it says what is missing", lambda: _missing(log) == set(NAMES), seconds=60)
        assert operator.get("/healthz") == "ok\n"
        assert not operator.is_ready()

        _install(kubectl)
        create(kubectl, issuer("root"), request("www", "root"))
        kubectl.wait_ready("www", seconds=60)
        assert operator.is_ready()

        log.write_text("")
        kubectl("delete", "crd", *NAMES)
        wait_until("it says what is missing", lambda: _missing(log) == set(NAMES), seconds=60)
        assert operator.get("/healthz") == "ok\n"
        assert not operator.is_ready()
        _install(kubectl)
        create(kubectl, issuer("root"), request("api", "root"))
        kubectl.wait_ready("api", seconds=60)
        wait_until("it is ready", operator.is_ready)
        assert "Traceback" not in log.read_text()
    finally:
        operator.stop()


ODD_REQUESTS: dict[str, tuple[Any, str]] = {
    "number": (5, "spec.secretName"),
    "list": ([], "spec.secretName"),
    "absent": ({"issuerRef": {"name": "root"}}, "spec.secretName"),
    "empty": ({"secretName": "", "issuerRef": {"name": "root"}}, "spec.secretName"),
    "empty-too": ({"secretName": "", "issuerRef": {"name": "root"}}, "spec.secretName"),
    "control": ({"secretName": "\0é", "issuerRef": {"name": "root"}}, "spec.secretName"),
    "no-issuer": ({"secretName": "x", "issuerRef": None}, "spec.issuerRef"),
    "long": (
        {"secretName": "long", "issuerRef": {"name": "root"}, "dnsNames": ["x.example"], "duration": "999999999h"},
        "spec.duration",
    ),
}
ODD_ISSUERS: dict[str, tuple[dict[str, Any], str]] = {
    "acme": ({"acme": {}}, "spec.acme.privateKeySecretRef"),
    "limits": ({"selfSigned": {}, "limits": 5}, "spec.limits"),
}


@pytest.fixture
def lenient(kubectl: Kubectl) -> Iterator[Kubectl]:
    """A cluster whose definitions let anything through, which has its own again in the end."""
    for name in NAMES:
        crd = json.loads(kubectl("get", "crd", name, "-o", "json"))
        (version,) = crd["spec"]["versions"]
        version["schema"] = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
        version.pop("selectableFields", None)
        kubectl("replace", "-f", "-", stdin=json.dumps(crd))
    yield kubectl
    kubectl("delete", "crd", *NAMES)
    _install(kubectl)


def _try_to_create(kubectl: Kubectl, obj: dict[str, Any]) -> bool:
    """False as long as the API server has not got round to the lenient definition."""
    try:
        kubectl("create", "-f", "-", stdin=json.dumps(obj))
    except AssertionError:
        return False
    return True


def test_what_came_in_past_the_schema_is_told_its_user(
    cluster: ControlPlane, lenient: Kubectl, operator_credentials: Path, tmp_path: Path
) -> None:
    kubectl, log = lenient, tmp_path / "operator.log"
    objects = [{**request(name, "root"), "spec": spec} for name, (spec, _) in ODD_REQUESTS.items()]
    objects += [{**issuer(name), "spec": spec} for name, (spec, _) in ODD_ISSUERS.items()]
    for obj in (*objects, issuer("root")):
        wait_until(f"{obj['metadata']['name']} is there", partial(_try_to_create, kubectl, obj))

    def is_told(kind: str, name: str, reason: str, field: str) -> bool:
        ready = condition(kubectl.get(kind, name), "Ready")
        return ready.get("reason") == reason and ready["message"].startswith(field)

    with OperatorProcess(operator_credentials, log, "--namespace", kubectl.namespace):
        for name, (_, field) in ODD_REQUESTS.items():
            wait_until(f"{name} is told of {field}", partial(is_told, "certificaterequest", name, "InvalidSpec", field))
        for name, (_, field) in ODD_ISSUERS.items():
            wait_until(f"{name} is told of {field}", partial(is_told, "issuer", name, "Misconfigured", field))
    assert " ERROR " not in log.read_text()
    assert "Traceback" not in log.read_text()
