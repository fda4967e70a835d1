"""The Deployment and https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted."""

import json
from typing import Any

import pytest

from tests.support.kubectl import Kubectl


def _pod_spec(base: Kubectl) -> dict[str, Any]:
    spec: dict[str, Any] = base.get("deployment", "csr-operator")["spec"]["template"]["spec"]
    return spec


def _admit(base: Kubectl, spec: dict[str, Any]) -> str:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "csr-operator-"}, "spec": spec}
    return base("create", "--dry-run=server", "-f", "-", stdin=json.dumps(pod))


def test_the_restricted_namespace_admits_the_operator(base: Kubectl) -> None:
    assert "created (server dry run)" in _admit(base, _pod_spec(base))


def test_the_restricted_namespace_refuses_it_without_its_security_context(base: Kubectl) -> None:
    """Admission is really on: what makes the first test pass is what the Deployment says."""
    spec = _pod_spec(base)
    for holder in (spec, *spec["containers"]):
        del holder["securityContext"]
    with pytest.raises(AssertionError, match='violates PodSecurity "restricted'):
        _admit(base, spec)


def test_nothing_in_the_container_can_be_written(base: Kubectl) -> None:
    """No level of Pod Security asks for it. That the operator can live with it is tested with the image."""
    spec = _pod_spec(base)
    [container] = spec["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert spec.get("volumes", []) == []
