"""What GitOps tools make of our objects, by their own code: `tests/gitops/go`, built once."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from devcluster import ControlPlane
from tests.support.operator import ROOT
from tests.support.tools import go_program

SOURCES = ROOT / "tests" / "gitops" / "go"


class Verdict(NamedTuple):
    """kstatus: of kubernetes-sigs; flux: of Flux's fork; argo: of Argo CD's gitops-engine with the scripts of
    deploy/argocd, empty where it has none."""

    kstatus: str
    flux: str
    argo: str
    kstatus_message: str
    argo_message: str

    @property
    def words(self) -> tuple[str, str]:
        """kstatus, which both implementations have to agree on, and Argo CD."""
        assert self.kstatus == self.flux
        return self.kstatus, self.argo


class GitOps:
    """argocd_cm: the ConfigMap, as JSON in a file that is made there."""

    def __init__(self, cluster: ControlPlane, argocd_cm: Path) -> None:
        self._program, self._cluster, self._argocd_cm = go_program(SOURCES), cluster, argocd_cm
        argocd_cm.write_text(json.dumps(rendered(cluster, ROOT / "deploy" / "argocd")))

    def verdicts(self, objects: Sequence[Mapping[str, Any]]) -> list[Verdict]:
        found = self._run("health", str(self._argocd_cm), given=list(objects))
        return [Verdict(v["kstatus"], v["flux"], v["argo"], v["kstatusMessage"], v["argoMessage"]) for v in found]

    def flux(self, manifest: Mapping[str, Any], namespace: str, wait: str = "0s") -> str:
        """Apply it as Flux does, and wait for it; returns what that ended with, empty if it is Current."""
        placed = {**manifest, "metadata": {**manifest["metadata"], "namespace": namespace}}
        return str(self._run("flux", wait, given=placed)["wait"])

    def _run(self, *arguments: str, given: Any) -> Any:
        command: list[str | Path] = [self._program, *arguments]
        done = subprocess.run(
            command,
            env={**os.environ, "KUBECONFIG": str(self._cluster.kubeconfig)},
            input=json.dumps(given),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def rendered(cluster: ControlPlane, folder: Path) -> Any:
    """The one object of a kustomization, as `kubectl apply -k` sends it."""
    command: list[str | Path] = [cluster.kubectl, "create", "--dry-run=client", "-o", "json", "-k", folder]
    done = subprocess.run(command, env=dict(cluster.env), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
