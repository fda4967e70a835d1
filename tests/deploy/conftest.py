import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from devcluster import ControlPlane

NAMESPACE = "csr-operator-system"
DEPLOY = Path(__file__).parents[2] / "deploy"

Kubectl = Callable[..., str]


@pytest.fixture(scope="session")
def kubectl(cluster: ControlPlane) -> Kubectl:
    """Run kubectl, with `stdin` as JSON; return its output, or raise AssertionError with what it said."""

    def run(*arguments: str | Path, stdin: object = None) -> str:
        text = None if stdin is None else json.dumps(stdin)
        command = ["kubectl", *map(str, arguments)]
        result = subprocess.run(command, env=cluster.env, input=text, text=True, capture_output=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    return run


@pytest.fixture(scope="session")
def base(kubectl: Kubectl) -> str:
    """The namespace of the base, which is in the cluster from here on."""
    # The namespace alone first: in one that is not there yet, a dry run finds no place for the objects.
    kubectl("apply", "--server-side", "-f", DEPLOY / "namespace.yaml")
    kubectl("apply", "--server-side", "--dry-run=server", "-k", DEPLOY)
    kubectl("apply", "--server-side", "-k", DEPLOY)
    return NAMESPACE


@pytest.fixture
def pod_template(base: str, kubectl: Kubectl) -> dict[str, Any]:
    """What the Deployment in the cluster makes its pods from."""
    template: dict[str, Any] = json.loads(
        kubectl("get", "deployment", "csr-operator", "-n", base, "-o", "jsonpath={.spec.template}")
    )
    return template
