"""`python -m benchmarks.foreign`: what the Secrets of others cost the operator: nothing.

It watches the whole cluster while they are made, and is then started over them. The exit status is 1 if that start
lists more Secrets than the one before, if it asked for Secrets without saying which, or wrote anything meanwhile.
"""

import argparse
import asyncio
import base64
import os
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path

from devcluster import ControlPlane, control_plane
from tests.support.audit import OPERATOR, api_calls
from tests.support.kubectl import Kubectl
from tests.support.manifests import request
from tests.support.operator import OperatorProcess, operator_kubeconfig
from tests.support.scene import create, make_ca, wait_all_ready

from .client import Object, connect, in_parallel
from .machine import cpu_seconds, find_child
from .rounds import AT_ONCE, Restart, restart

_OWN = 50
_BYTES = 1000


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.foreign", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("-n", type=int, default=100_000, metavar="N", help="Secrets of others (%(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name, _plane(Path(name)) as cluster:
        kubectl = Kubectl(cluster, "own")
        for namespace in ("own", "foreign"):
            Kubectl(cluster, "default")("create", "namespace", namespace)
        credentials = operator_kubeconfig(cluster, Path(name))
        with OperatorProcess(credentials, Path(name) / "operator.log", measured=True) as operator:
            make_ca(kubectl)
            create(kubectl, *(request(f"r-{number}", "ca") for number in range(_OWN)))
            wait_all_ready(kubectl, _OWN + 1)
            operator.stop()
            before, lists_before = restart(operator), _lists(operator)
            server, written = find_child("kube-apiserver"), _writes(operator)
            used, served = cpu_seconds(operator.pid), cpu_seconds(server)
            _make(cluster, arguments.n)
            used, served = cpu_seconds(operator.pid) - used, cpu_seconds(server) - served
            written = _writes(operator) - written
            operator.stop()
            after, lists = restart(operator), _lists(operator)
        calls = [
            call for call in api_calls(cluster, user=OPERATOR, resource="secrets") if call.verb in ("list", "watch")
        ]
    part = used / served
    print(f"while {arguments.n} Secrets of others were made:")
    print(f"  CPU s{'operator':>20}{used:>10.2f}{'API server':>20}{served:>10.2f}{'part':>10}{part:>8.4f}")
    print(f"  writes{written:>6.0f}")
    _tell("start before", before, lists_before)
    _tell("start after", after, lists)
    unfiltered = sum("labelSelector" not in call.query for call in calls)
    print(f"lists and watches of Secrets: {len(calls)}, without a label: {unfiltered}")
    return 1 if lists > lists_before or unfiltered or written else 0


def _plane(folder: Path) -> AbstractContextManager[ControlPlane]:
    return control_plane(audit_log=folder / "audit.log")


def _make(cluster: ControlPlane, count: int) -> None:
    async def run() -> None:
        async with connect(cluster, AT_ONCE) as client:

            async def make(number: int) -> None:
                await client.create_secret("foreign", _secret(number))

            await in_parallel(make, range(count), AT_ONCE)

    asyncio.run(run())


def _secret(number: int) -> Object:
    data = {"value": base64.b64encode(os.urandom(_BYTES)).decode()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": f"s-{number:06}"}, "data": data}


def _lists(operator: OperatorProcess) -> float:
    """Pages of lists of Secrets that the operator has asked for since its start."""
    return operator.metric("csr_operator_kubernetes_calls_total", resource="secrets", verb="list")


def _writes(operator: OperatorProcess) -> float:
    """What it has written since its start."""
    verbs = ("create", "apply", "patch", "delete")
    return sum(
        operator.metric("csr_operator_kubernetes_calls_total", resource=resource, verb=verb)
        for resource in ("secrets", "certificaterequests", "issuers", "events")
        for verb in verbs
    )


def _tell(what: str, seen: Restart, lists: float) -> None:
    print(
        f"{what:14}ready after {seen.ready:.1f} s, {seen.cpu:.2f} s of CPU, {seen.resident:.0f} MB resident, "
        f"{lists:.0f} pages of Secrets listed"
    )


if __name__ == "__main__":
    raise SystemExit(main())
