"""The Secrets of others cost the operator nothing, however many and however large they are."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from devcluster import ControlPlane
from tests.support.audit import OPERATOR, api_calls
from tests.support.kubectl import Kubectl
from tests.support.operator import OperatorProcess
from tests.support.proxy import Proxy
from tests.support.scene import heal, idle, make_ca

FOREIGN = 3000
LABELLED = 60
ROOM = 1.25
"""What the operator's memory may vary by from run to run; all data of LABELLED would be many times that."""


def test_they_are_neither_listed_nor_read(
    cluster: ControlPlane,
    kubectl: Kubectl,
    other_namespace: Kubectl,
    core: Any,
    operator_credentials: Path,
    tmp_path: Path,
) -> None:
    with OperatorProcess(operator_credentials, tmp_path / "before.log") as operator:
        make_ca(kubectl)
        idle(operator, kubectl, "marker-before")
        before = _peak_memory(operator.pid)
    _fill(core, other_namespace.namespace)
    settled = len(api_calls(cluster, user=OPERATOR))

    with OperatorProcess(operator_credentials, tmp_path / "after.log") as operator:
        idle(operator, kubectl, "marker-after")
        heal(kubectl, "marker-after-tls")
        after = _peak_memory(operator.pid)

    calls = [call for call in api_calls(cluster, user=OPERATOR)[settled:] if call.resource == "secrets"]
    collections = [call for call in calls if call.verb in ("list", "watch")]
    assert {call.verb for call in collections} == {"list", "watch"}
    assert {call.query.get("labelSelector") for call in collections} == {"csr-operator.dev/managed"}
    assert not [call for call in calls if call.namespace == other_namespace.namespace]
    # Those with the label are listed, but as metadata only: with their data they would not fit.
    assert after < before * ROOM, f"{before} KiB before, {after} KiB after"


def test_the_data_of_a_secret_that_is_watched_never_arrives(
    cluster: ControlPlane, kubectl: Kubectl, core: Any, proxy: Proxy, proxied_operator: OperatorProcess
) -> None:
    make_ca(kubectl)
    size, times = 500_000, 20
    labels = {"csr-operator.dev/managed": "true"}
    core.create_namespaced_secret(
        kubectl.namespace, {"metadata": {"name": "large", "labels": labels}, "stringData": {"blob": "x" * size}}
    )
    idle(proxied_operator, kubectl, "marker-before")
    before = proxy.received

    for n in range(times):
        core.patch_namespaced_secret("large", kubectl.namespace, {"metadata": {"labels": {"n": str(n)}}})
    idle(proxied_operator, kubectl, "marker-after")

    assert proxy.received - before < size


def _fill(core: Any, namespace: str) -> None:
    """FOREIGN Secrets of 4 KiB, and LABELLED ones of 500 KiB whose owner copied the operator's label."""

    def create(n: int) -> None:
        labelled = n < LABELLED
        core.create_namespaced_secret(
            namespace,
            {
                "metadata": {
                    "name": f"foreign-{n}",
                    "labels": {"csr-operator.dev/managed": "true"} if labelled else {"app": "other"},
                },
                "stringData": {"blob": os.urandom(1).hex() * (250_000 if labelled else 2_000)},
            },
        )

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(create, range(FOREIGN + LABELLED)))


def _peak_memory(pid: int) -> int:
    """The most that was ever resident (VmHWM), in KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
