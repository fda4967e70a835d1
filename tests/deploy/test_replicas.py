"""The replicas of the base: how they are replaced, spread, evicted and told from each other."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from csr_operator.manager.operator import LAST_SECONDS
from devcluster import control_plane
from devcluster.group import ProcessGroup
from tests.support.kubectl import Kubectl, wait_until
from tests.support.operator import NAMESPACE, ROOT


@pytest.fixture
def template(base: Kubectl) -> dict[str, Any]:
    """Of the pods."""
    pod: dict[str, Any] = base.get("deployment", "csr-operator")["spec"]["template"]
    return pod


def test_a_new_one_is_ready_before_an_old_one_goes(base: Kubectl) -> None:
    spec = base.get("deployment", "csr-operator")["spec"]
    assert spec["replicas"] == 2
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


def test_they_are_spread_over_nodes_if_there_are_several(template: dict[str, Any]) -> None:
    (constraint,) = template["spec"]["topologySpreadConstraints"]
    assert (constraint["topologyKey"], constraint["maxSkew"]) == ("kubernetes.io/hostname", 1)
    assert constraint["whenUnsatisfiable"] == "ScheduleAnyway"
    assert constraint["labelSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    assert constraint["matchLabelKeys"] == ["pod-template-hash"]


def test_each_has_the_time_that_it_takes_to_give_its_shards_up(template: dict[str, Any]) -> None:
    assert LAST_SECONDS < template["spec"]["terminationGracePeriodSeconds"] <= 3 * LAST_SECONDS


def test_each_is_told_which_pod_it_is(template: dict[str, Any]) -> None:
    (container,) = template["spec"]["containers"]
    told = {entry["name"]: entry["valueFrom"]["fieldRef"]["fieldPath"] for entry in container["env"]}
    assert told == {"POD_NAME": "metadata.name", "POD_UID": "metadata.uid"}


class Team:
    """The pods of the Deployment, which are ready when the test says so: no node runs them here."""

    def __init__(self, kubectl: Kubectl) -> None:
        self._kubectl = kubectl

    def ready(self) -> dict[str, bool]:
        """Of the pods, and whether each is."""
        return {
            pod["metadata"]["name"]: any(
                condition["type"] == "Ready" and condition["status"] == "True"
                for condition in pod["status"].get("conditions", ())
            )
            for pod in self._kubectl.list("pods")
        }

    def scale(self, count: int) -> None:
        self._kubectl("scale", "deployment", "csr-operator", f"--replicas={count}")
        self.wait(count)

    def wait(self, count: int) -> None:
        wait_until(f"there are {count}", lambda: len(self.ready()) == count)

    def mark(self, *, ready: bool) -> None:
        """All that are there run, and are ready, or are not."""
        conditions = [{"type": "Ready", "status": str(ready)}]
        patch = json.dumps({"status": {"phase": "Running", "conditions": conditions}})
        for name in (name for name, is_ready in self.ready().items() if is_ready is not ready):
            self._kubectl("patch", "pod", name, "--subresource=status", "--type=merge", "-p", patch)

    def settle(self, *, ready: bool = True) -> None:
        """The same, and the budget counts them."""
        self.mark(ready=ready)
        count = len(self.ready()) if ready else 0
        wait_until(f"the budget counts {count} that are ready", lambda: self._healthy() == count)

    def evict(self, *, ready: bool = True) -> str:
        """One, as `kubectl drain` does; returns what the API server says against it."""
        name = next(name for name, is_ready in self.ready().items() if is_ready is ready)
        namespace, count = self._kubectl.namespace, len(self.ready())
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": namespace}}
        path = f"/api/v1/namespaces/{namespace}/pods/{name}/eviction"
        try:
            self._kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(body))
        except AssertionError as error:
            return str(error)
        wait_until("another one takes its place", lambda: name not in self.ready() and len(self.ready()) == count)
        return ""

    def _healthy(self) -> int:
        """As the budget's status says; -1 if it is not about the Deployment as it is."""
        wanted = self._kubectl.get("deployment", "csr-operator")["spec"]["replicas"]
        status = self._kubectl.get("pdb", "csr-operator").get("status", {})
        return int(status["currentHealthy"]) if status.get("expectedPods") == wanted else -1


@pytest.fixture(scope="module")
def governed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    """A control plane of its own: no other test wants to have the pods of the Deployment made."""
    if os.environ.get("KUBEBUILDER_ASSETS"):
        pytest.skip("there is no kube-controller-manager among them")
    with control_plane() as plane:
        program: list[str | Path] = [
            plane.kubectl.resolve(),
            "kube-controller-manager",
            "--leader-elect=false",
            "--secure-port=0",
        ]
        program += [f"--kubeconfig={plane.kubeconfig}", "--kube-api-qps=200", "--kube-api-burst=400"]
        program += ["--controllers=deployment-controller,disruption-controller,replicaset-controller"]
        with ProcessGroup() as group:
            group.spawn(program, env=plane.env, output=tmp_path_factory.mktemp("controllers") / "log")
            kubectl = Kubectl(plane, NAMESPACE)
            kubectl("apply", "--server-side", "-f", str(ROOT / "deploy" / "namespace.yaml"))
            kubectl("apply", "--server-side", "-k", str(ROOT / "deploy"))
            yield kubectl


@pytest.fixture
def team(governed: Kubectl) -> Team:
    """The two of the base, ready."""
    team = Team(governed)
    team.scale(2)
    team.settle()
    return team


@pytest.mark.slow("starts a control plane")
def test_a_node_is_drained_while_another_replica_is_ready(team: Team) -> None:
    assert team.evict() == ""
    assert "violate the pod's disruption budget" in team.evict()
    assert team.evict(ready=False) == ""
    team.settle()
    assert team.evict() == ""


@pytest.mark.slow("starts a control plane")
def test_a_node_is_drained_also_with_one_replica(team: Team) -> None:
    team.scale(1)
    team.settle()
    assert team.evict() == ""


@pytest.mark.slow("starts a control plane")
def test_replicas_that_are_not_ready_keep_no_node(team: Team) -> None:
    team.settle(ready=False)
    assert team.evict(ready=False) == ""


@pytest.mark.slow("starts a control plane")
def test_while_a_new_version_rolls_out_two_are_ready(team: Team, governed: Kubectl) -> None:
    old = {*team.ready()}
    governed("rollout", "restart", "deployment/csr-operator")
    for _ in old:
        wait_until("a third one is begun", lambda: sorted(team.ready().values()) == [False, True, True])
        team.mark(ready=True)
    team.wait(2)
    assert not old & {*team.ready()}
