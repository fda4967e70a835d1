"""The operator for a long list of namespaces."""

from pathlib import Path

from devcluster import ControlPlane
from tests.support.kubectl import Kubectl
from tests.support.manifests import issuer, request
from tests.support.operator import OperatorProcess
from tests.support.scene import create


def test_a_watch_per_namespace_leaves_connections_for_the_work(
    cluster: ControlPlane, operator_credentials: Path, tmp_path: Path
) -> None:
    names = [f"many-{n:02}" for n in range(45)]
    everywhere = Kubectl(cluster, "default")
    create(everywhere, *({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in names))
    options = [option for name in (*names, "misspelled") for option in ("--namespace", name)]

    with OperatorProcess(operator_credentials, tmp_path / "operator.log", *options) as operator:
        for name in (names[0], names[-1]):
            kubectl = Kubectl(cluster, name)
            create(kubectl, issuer("root"), request("www", "root"))
            kubectl.wait_ready("www", seconds=60)
        told = [line for line in operator.log.read_text().splitlines() if "no such namespace" in line]
        assert [line.partition(": ")[2] for line in told] == ["--namespace misspelled: there is no such namespace yet"]
