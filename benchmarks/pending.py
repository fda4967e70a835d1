"""`python -m benchmarks.pending`: what orders cost that DigiCert leaves pending for days.

First the backend alone, with a clock that is set: each order is looked at when it is due. Then the operator on a
control plane, stopped and started with its clock a day further each time. CertCentral is the contract server of the
tests, emulated from published documents, not verified by the vendor.
"""

import argparse
import asyncio
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from csr_operator.backends.digicert.certcentral import DigicertBackend
from csr_operator.plugin import http
from csr_operator.plugin.testing import Clock, World
from devcluster import ControlPlane, control_plane
from tests.backends.digicert.support import Queue
from tests.emulators.digicert_server import BASE, KEY, ORGANIZATION, OV, DigicertServer, after
from tests.support.authorities import credential
from tests.support.kubectl import Kubectl, condition, wait_until
from tests.support.manifests import issuer, request
from tests.support.operator import OperatorProcess, operator_kubeconfig
from tests.support.scene import create
from tests.support.site import REQUEST

from . import audit
from .machine import resident_mb

_NAMESPACE = "pending"
_NEVER = after((0, "pending"))


class Start(NamedTuple):
    """Of the operator over pending orders: calls of DigiCert's API, writes to Kubernetes, and resident MB."""

    calls: int
    writes: int
    memory: float


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pending", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("-n", type=int, default=500, metavar="N", help="orders (%(default)s)")
    parser.add_argument("--days", type=int, default=7, metavar="D", help="for which they stay pending (%(default)s)")
    arguments = parser.parse_args()
    calls, looks, changed = asyncio.run(_backend(arguments.n, arguments.days))
    print(f"{arguments.n} orders pending for {arguments.days} days, the backend alone")
    print(f"  calls of the API {calls:>31}")
    print(f"  looks at an order {looks:>30}")
    print(f"  handles or messages that changed {changed:>15}")
    with (
        tempfile.TemporaryDirectory(prefix="benchmark-") as folder,
        control_plane(audit_log=Path(folder) / "audit.log") as cluster,
    ):
        starts = _operator(cluster, Path(folder), arguments.n, arguments.days)
    print("the operator, started anew each day          calls  writes      MB")
    for day, start in enumerate(starts, 1):
        print(f"  day {day:<39}{start.calls:>6}  {start.writes:>6}  {start.memory:>6.0f}")
    return 1 if changed or any(start.writes for start in starts) else 0


def _config(server: DigicertServer) -> dict[str, Any]:
    return {
        "url": f"{server.url}{BASE}",
        "caBundle": server.ca_bundle,
        "secretName": "digicert",
        "product": OV,
        "organizationId": ORGANIZATION,
    }


async def _backend(count: int, days: int) -> tuple[int, int, int]:
    """Calls, looks, and how many handles or messages were not as at first."""
    clock = Clock()
    with DigicertServer(clock=clock, plan=_NEVER) as server:
        async with http.http_session() as session:
            world = World(session, clock, {"digicert": {"api-key": KEY.encode()}})
            ca, queue = DigicertBackend.create(_config(server), world.context), Queue(clock)
            await queue.submit(ca, count)
            server.calls.clear()
            await queue.run(ca, clock.now + timedelta(days=days))
        return len(server.calls), queue.looks, sum(len(answers) - 1 for answers in queue.answers.values())


def _operator(cluster: ControlPlane, folder: Path, count: int, days: int) -> list[Start]:
    ahead = timedelta(0)
    Kubectl(cluster, "default")("create", "namespace", _NAMESPACE)
    kubectl = Kubectl(cluster, _NAMESPACE)
    credentials, log = operator_kubeconfig(cluster, folder), folder / "operator.log"

    def operator() -> OperatorProcess:
        arguments = ("--namespace", _NAMESPACE, "--issuer-check-interval", "30")
        return OperatorProcess(credentials, log, *arguments, clock_offset=ahead.total_seconds(), measured=True)

    starts = []
    with DigicertServer(clock=lambda: datetime.now(UTC) + ahead, plan=_NEVER) as server:
        kubectl.apply(
            credential("digicert", **{"api-key": KEY}), issuer("digicert", "Issuer", digicert=_config(server))
        )
        create(kubectl, *(request(f"r-{number:04}", "digicert") for number in range(count)))
        with operator() as process:
            wait_until("all say that they are pending", lambda: _told(kubectl) == count, seconds=600)
            _settled(process, count)
        for _ in range(days):
            ahead += timedelta(days=1)
            server.calls.clear()
            since = audit.timestamp()
            with operator() as process:
                _settled(process, count)
                memory = resident_mb(process.pid)
            written = audit.writes(cluster.audit_events(), since, audit.timestamp())
            starts.append(Start(len(server.calls), sum(written.values()), memory))
    return starts


def _told(kubectl: Kubectl) -> int:
    """How many requests say what they wait for, as they do after some seconds."""
    return sum(condition(obj, "Reconciling").get("reason") == "Pending" for obj in kubectl.list(REQUEST))


def _settled(process: OperatorProcess, count: int) -> None:
    """Wait until the operator has looked at each order, and has nothing else to do."""

    def looked() -> bool:
        return process.metric("csr_operator_ca_calls_total", backend="digicert", call="poll", outcome="ok") >= count

    wait_until("all were looked at", looked, seconds=600)
    wait_until("the queue is empty", lambda: process.metric("csr_operator_queue_depth") == 0, seconds=600)


if __name__ == "__main__":
    raise SystemExit(main())
