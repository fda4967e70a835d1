"""The kustomize base, applied to a real API server."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

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
    "networkpolicy.networking.k8s.io/csr-operator",
    "poddisruptionbudget.policy/csr-operator",
    "role.rbac.authorization.k8s.io/csr-operator-acme",
    "role.rbac.authorization.k8s.io/csr-operator-replicas",
    "rolebinding.rbac.authorization.k8s.io/csr-operator-acme",
    "rolebinding.rbac.authorization.k8s.io/csr-operator-replicas",
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


def test_services_probes_and_policy_lead_to_the_ports_that_the_operator_serves(base: Kubectl) -> None:
    service = base.get("service", "csr-operator")["spec"]
    challenges = base.get("service", "csr-operator-acme")["spec"]
    template = base.get("deployment", "csr-operator")["spec"]["template"]
    [container] = template["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    served = {
        name: int(argument.rpartition(":")[2])
        for name in ("probe", "metrics", "acme-http")
        for argument in container["args"]
        if argument.startswith(f"--{name}-address=")
    }

    for each in (service, challenges):
        assert each["selector"].items() <= template["metadata"]["labels"].items()
    assert ports == {"probes": served["probe"], "metrics": served["metrics"], "http-01": served["acme-http"]}
    assert [(port["name"], port["targetPort"]) for port in service["ports"]] == [("metrics", "metrics")]
    assert [(port["port"], port["targetPort"]) for port in challenges["ports"]] == [(80, "http-01")]
    for probe in ("livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] == "probes"
        assert container[probe]["timeoutSeconds"] == 5


def test_the_network_is_closed_but_for_what_is_needed(base: Kubectl) -> None:
    policy = base.get("networkpolicy", "csr-operator")["spec"]
    pod = base.get("deployment", "csr-operator")["spec"]["template"]["metadata"]["labels"]
    assert policy["podSelector"]["matchLabels"].items() <= pod.items()
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    challenges, metrics = policy["ingress"]
    assert ([port["port"] for port in challenges["ports"]], "from" in challenges) == (["http-01"], False)
    assert [port["port"] for port in metrics["ports"]] == ["metrics"]
    assert metrics["from"] == [{"namespaceSelector": {"matchLabels": {"metrics": "enabled"}}}]
    assert {port["port"] for rule in policy["egress"] for port in rule["ports"]} == {53, 80, 443, 6443}
    (look,) = (rule for rule in policy["egress"] if "to" in rule)
    assert "169.254.0.0/16" in look["to"][1]["ipBlock"]["except"]


def overlay(base: Kubectl, folder: Path, **more: Any) -> list[dict[str, Any]]:
    """What a kustomization with `deploy/` and this in it makes."""
    top = os.path.relpath(DEPLOY, folder.resolve())
    components = [f"{top}/components/{name}" for name in more.pop("components", ())]
    (folder / "kustomization.yaml").write_text(json.dumps({"resources": [top], "components": components, **more}))
    return list(yaml.safe_load_all(base("kustomize", "--load-restrictor=LoadRestrictionsNone", str(folder))))


def test_editors_write_issuers_if_the_administrator_says_so(base: Kubectl, tmp_path: Path) -> None:
    aggregated = "rbac.authorization.k8s.io/aggregate-to-edit"
    for components, labelled in (((), False), (("issuers-for-editors",), True)):
        made = overlay(base, tmp_path, components=components)
        (role,) = (obj for obj in made if obj["metadata"]["name"] == "csr-operator-issuers")
        assert (aggregated in role["metadata"].get("labels", {})) is labelled
        assert role["rules"] == base.get("clusterrole", "csr-operator-issuers")["rules"]


def test_the_documented_patch_opens_another_port_to_go_out_by(base: Kubectl, tmp_path: Path) -> None:
    policy = patched(base, tmp_path, "operations.md")
    assert policy["egress"][-1]["ports"] == [{"port": 8200}]
    assert len(policy["egress"]) == len(base.get("networkpolicy", "csr-operator")["spec"]["egress"]) + 1


def test_the_documented_patch_lets_in_the_ingress_controller_alone(base: Kubectl, tmp_path: Path) -> None:
    (controller,) = patched(base, tmp_path, "http01.md")["ingress"][0]["from"]
    names = controller["namespaceSelector"]["matchLabels"]
    assert names == {"kubernetes.io/metadata.name": "ingress-nginx"}


def patched(base: Kubectl, folder: Path, page: str) -> dict[str, Any]:
    """The spec of the NetworkPolicy, with the patch that this page of the documents has for it."""
    blocks = re.findall("```yaml\n(.*?)```", (Path(DEPLOY).parent / "docs" / page).read_text(), re.DOTALL)
    (patches,) = (yaml.safe_load(block)["patches"] for block in blocks if "kind: NetworkPolicy" in block)
    (policy,) = (obj for obj in overlay(base, folder, patches=patches) if obj["kind"] == "NetworkPolicy")
    return dict(policy["spec"])


def test_an_overlay_sets_the_image(base: Kubectl, tmp_path: Path) -> None:
    image = {"name": "csr-operator", "newName": "registry.example/team/csr-operator", "newTag": "1.2.3"}
    overlay = {"resources": [os.path.relpath(DEPLOY, tmp_path.resolve())], "images": [image]}
    (tmp_path / "kustomization.yaml").write_text(json.dumps(overlay))
    assert "image: registry.example/team/csr-operator:1.2.3\n" in base("kustomize", str(tmp_path))


def test_the_documented_overlay_runs_one_replica(base: Kubectl, tmp_path: Path) -> None:
    page = (Path(DEPLOY).parent / "docs" / "operations.md").read_text()
    (block,) = (text for text in re.findall("```yaml\n(.*?)```", page, re.DOTALL) if "\nreplicas:\n" in text)
    made = overlay(base, tmp_path, replicas=yaml.safe_load(block)["replicas"])
    (deployment,) = (obj for obj in made if obj["kind"] == "Deployment")
    assert deployment["spec"]["replicas"] == 1


@pytest.mark.parametrize("mode", ["enforce", "audit", "warn"])
def test_the_namespace_is_restricted(base: Kubectl, mode: str) -> None:
    label = f"pod-security.kubernetes.io/{mode}=restricted"
    assert base("get", "namespace", "-l", label, "-o", "name") == f"namespace/{base.namespace}\n"
