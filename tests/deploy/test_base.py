"""The kustomize base, applied to a real API server."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from devcluster import ControlPlane
from tests.support.kubectl import Kubectl

DEPLOY = str(Path(__file__).parents[2] / "deploy")
OBJECTS = {
    "clusterrole.rbac.authorization.k8s.io/csr-operator",
    "clusterrole.rbac.authorization.k8s.io/csr-operator-approver",
    "clusterrole.rbac.authorization.k8s.io/csr-operator-edit",
    "clusterrole.rbac.authorization.k8s.io/csr-operator-issuers",
    "clusterrole.rbac.authorization.k8s.io/csr-operator-state-manager",
    "clusterrole.rbac.authorization.k8s.io/csr-operator-view",
    "clusterrolebinding.rbac.authorization.k8s.io/csr-operator",
    "customresourcedefinition.apiextensions.k8s.io/certificaterequests.csr-operator.dev",
    "customresourcedefinition.apiextensions.k8s.io/clusterissuers.csr-operator.dev",
    "customresourcedefinition.apiextensions.k8s.io/issuers.csr-operator.dev",
    "deployment.apps/csr-operator",
    "namespace/csr-operator-system",
    "networkpolicy.networking.k8s.io/csr-operator",
    "role.rbac.authorization.k8s.io/csr-operator-acme",
    "rolebinding.rbac.authorization.k8s.io/csr-operator-acme",
    "service/csr-operator",
    "service/csr-operator-acme",
    "serviceaccount/csr-operator",
    "validatingadmissionpolicy.admissionregistration.k8s.io/csr-operator-approval",
    "validatingadmissionpolicy.admissionregistration.k8s.io/csr-operator-state",
    "validatingadmissionpolicybinding.admissionregistration.k8s.io/csr-operator-approval",
    "validatingadmissionpolicybinding.admissionregistration.k8s.io/csr-operator-state",
}


def test_a_server_side_dry_run_accepts_every_object(base: Kubectl) -> None:
    answer = base("apply", "--server-side", "--dry-run=server", "-o", "name", "-k", DEPLOY)
    assert set(answer.split()) == OBJECTS


def test_what_is_in_the_cluster_is_what_the_base_says(base: Kubectl, cluster: ControlPlane) -> None:
    """A field that the server drops or rewrites would show as a difference, and to GitOps as an endless one."""
    command = [str(cluster.kubectl), "diff", "--server-side", "-k", DEPLOY]
    diff = subprocess.run(command, env=dict(cluster.env), capture_output=True, text=True, check=False)
    assert (diff.returncode, diff.stdout) == (0, ""), diff.stderr


def test_service_and_probes_lead_to_the_port_that_the_operator_serves(base: Kubectl) -> None:
    service = base.get("service", "csr-operator")["spec"]
    challenges = base.get("service", "csr-operator-acme")["spec"]
    template = base.get("deployment", "csr-operator")["spec"]["template"]
    [container] = template["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    served, answered = (
        next(argument.rpartition(":")[2] for argument in container["args"] if argument.startswith(f"--{name}-address="))
        for name in ("metrics", "acme-http")
    )

    for each in (service, challenges):
        assert each["selector"].items() <= template["metadata"]["labels"].items()
    assert [(p["port"], str(ports[p["targetPort"]])) for p in challenges["ports"]] == [(80, answered)]
    assert [port["name"] for port in service["ports"]] == ["metrics"]
    for target in (
        service["ports"][0]["targetPort"],
        container["livenessProbe"]["httpGet"]["port"],
        container["readinessProbe"]["httpGet"]["port"],
    ):
        assert str(ports[target]) == served


def test_an_overlay_sets_the_image(base: Kubectl, tmp_path: Path) -> None:
    image = {"name": "csr-operator", "newName": "registry.example/team/csr-operator", "newTag": "1.2.3"}
    overlay = {"resources": [os.path.relpath(DEPLOY, tmp_path.resolve())], "images": [image]}
    (tmp_path / "kustomization.yaml").write_text(json.dumps(overlay))
    assert "image: registry.example/team/csr-operator:1.2.3\n" in base("kustomize", str(tmp_path))


@pytest.mark.parametrize("mode", ["enforce", "audit", "warn"])
def test_the_namespace_is_restricted(base: Kubectl, mode: str) -> None:
    label = f"pod-security.kubernetes.io/{mode}=restricted"
    assert base("get", "namespace", "-l", label, "-o", "name") == f"namespace/{base.namespace}\n"
