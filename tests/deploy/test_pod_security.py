"""Pod Security admission (https://kubernetes.io/docs/concepts/security/pod-security-standards/) and the Deployment."""

from collections.abc import Callable
from typing import Any

import pytest


def _pod(template: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod"} | template | {"metadata": {"generateName": "csr-operator-"}}


def test_the_restricted_namespace_admits_the_operator(
    base: str, pod_template: dict[str, Any], kubectl: Callable[..., str]
) -> None:
    answer = kubectl("create", "--dry-run=server", "-n", base, "-f", "-", stdin=_pod(pod_template))
    assert "created (server dry run)" in answer


def test_the_restricted_namespace_refuses_it_without_its_security_context(
    base: str, pod_template: dict[str, Any], kubectl: Callable[..., str]
) -> None:
    """Admission is really on: what makes the first test pass is what the Deployment says."""
    for holder in (pod_template["spec"], *pod_template["spec"]["containers"]):
        del holder["securityContext"]
    with pytest.raises(AssertionError, match='violates PodSecurity "restricted'):
        kubectl("create", "--dry-run=server", "-n", base, "-f", "-", stdin=_pod(pod_template))


def test_nothing_in_the_container_can_be_written(pod_template: dict[str, Any]) -> None:
    """No level of Pod Security asks for it."""
    [container] = pod_template["spec"]["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert pod_template["spec"].get("volumes", []) == []
