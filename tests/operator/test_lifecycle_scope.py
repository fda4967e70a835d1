"""The namespaces that the operator was told of are its own, and no others; told of none, all are."""

from pathlib import Path

import pytest

from devcluster import ControlPlane, control_plane
from tests.support.audit import OPERATOR, api_calls
from tests.support.kubectl import Kubectl
from tests.support.manifests import issuer, request
from tests.support.operator import OperatorProcess, operator_kubeconfig
from tests.support.site import REQUEST, Site, new_namespace


@pytest.fixture
def namespaces(cluster: ControlPlane) -> list[Kubectl]:
    return _namespaces(cluster)


def _namespaces(cluster: ControlPlane) -> list[Kubectl]:
    """Three, each with an issuer and a request."""
    made = [Kubectl(cluster, new_namespace(cluster)) for _ in range(3)]
    for kubectl in made:
        kubectl.apply(issuer("self"), request("www", "self"))
    return made


def _operator(credentials: Path, folder: Path, namespaces: list[Kubectl]) -> OperatorProcess:
    arguments = [argument for kubectl in namespaces for argument in ("--namespace", kubectl.namespace)]
    return OperatorProcess(credentials, folder / "operator.log", *arguments)


def _allowed_all_it_asked(cluster: ControlPlane, namespaces: list[str]) -> None:
    calls = [call for call in api_calls(cluster, user=OPERATOR) if call.namespace in namespaces]
    assert calls
    assert not [call for call in calls if call.code in (401, 403)]


def test_only_the_namespaces_that_were_named_are_served(
    cluster: ControlPlane, operator_credentials: Path, tmp_path: Path, namespaces: list[Kubectl]
) -> None:
    *served, other = namespaces
    with _operator(operator_credentials, tmp_path, served) as operator:
        for kubectl in served:
            kubectl.wait_ready("www")
        Site(served[0], operator).settle()

    for seen_by_nobody in (other.get(REQUEST, "www"), other.get("issuer", "self")):
        assert seen_by_nobody["status"] == {"observedGeneration": -1}
    assert not other.list("secrets")
    assert not other.list("events.events.k8s.io")
    _allowed_all_it_asked(cluster, [kubectl.namespace for kubectl in served])
    assert not api_calls(cluster, user=OPERATOR, namespace=other.namespace)


@pytest.mark.slow("starts a control plane")
def test_without_a_namespace_all_are_served(tmp_path: Path) -> None:
    """On a control plane of its own: where others serve some namespaces, it waits until those have ended."""
    with control_plane(audit_log=tmp_path / "audit.log") as plane:
        namespaces = _namespaces(plane)
        (folder := tmp_path / "operator").mkdir()
        with _operator(operator_kubeconfig(plane, folder), tmp_path, []):
            for kubectl in namespaces:
                kubectl.wait_ready("www")
            # The Secrets of all namespaces are watched, too.
            namespaces[1]("delete", "secret", "www-tls")
            namespaces[1]("wait", "--for=jsonpath={.status.revision}=2", "--timeout=30s", REQUEST, "www")

        _allowed_all_it_asked(plane, ["", *(kubectl.namespace for kubectl in namespaces)])
