"""`python -m benchmarks.replicas`: what certificates cost three replicas, beside what they cost one.

In each round one replica has its turn and then three. The exit status is 1 if a request was written by more than one
replica, or three wrote more than one did.
"""

import argparse
import sys
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import NamedTuple

from devcluster import ControlPlane, control_plane
from tests.support.audit import ApiCall, api_calls
from tests.support.kubectl import Kubectl
from tests.support.manifests import request
from tests.support.operator import OperatorProcess, operator_kubeconfig
from tests.support.replicas import Replicas
from tests.support.scene import make_ca

from .machine import cpu_seconds, resident_mb
from .rounds import NotReady, with_operator

_THREE = 3


class Turn(NamedTuple):
    """cpu: milliseconds for a certificate, of all replicas. written: writes for a certificate. shared: requests that
    more than one replica wrote. leases: writes of Leases in a second, of each replica. peak: MB of the largest."""

    seconds: float
    cpu: float
    written: float
    shared: int
    leases: float
    peak: float


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replicas", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("-n", type=int, default=3000, metavar="N", help="certificates in each turn (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, metavar="R", help="rounds (%(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        try:
            rounds = _run(Path(folder), arguments.n, arguments.rounds)
        except NotReady as error:
            print(f"benchmarks: {error}", file=sys.stderr)
            return 1
    ratio = median(three.cpu / single.cpu for single, three in rounds)
    print(f"median of the ratios of CPU {ratio:>29.2f}")
    return 1 if any(three.shared or three.written > single.written for single, three in rounds) else 0


def _run(folder: Path, count: int, rounds: int) -> list[tuple[Turn, Turn]]:
    print(f"{f'{count} certificates':20}replicas  seconds  CPU ms each  writes each  Leases/s each  peak MB")
    done = []
    for number in range(1, rounds + 1):
        turns = []
        for replicas in (1, _THREE):
            # Each turn has a control plane of its own: one that has more in it answers more slowly.
            (place := folder / f"{number}-{replicas}").mkdir()
            with control_plane(audit_log=place / "audit.log") as cluster:
                turns.append(turn := _turn(cluster, place, count, replicas))
            print(
                f"  round {number:<12}{replicas:>8}{turn.seconds:>9.1f}{turn.cpu:>13.2f}{turn.written:>13.2f}"
                f"{turn.leases:>15.2f}{turn.peak:>9.0f}"
            )
        done.append((turns[0], turns[1]))
    return done


def _turn(cluster: ControlPlane, folder: Path, count: int, replicas: int) -> Turn:
    kubectl = Kubectl(cluster, "replicas")
    Kubectl(cluster, "default")("create", "namespace", kubectl.namespace)
    credentials = operator_kubeconfig(cluster, folder)
    arguments = ("--namespace", kubectl.namespace, "--issuer-check-interval", "30")
    with ExitStack() as stack:
        operators = [
            stack.enter_context(OperatorProcess(credentials, folder / f"{number}.log", *arguments, measured=True))
            for number in range(replicas)
        ]
        Replicas(credentials, folder, kubectl).wait_shared(replicas)
        make_ca(kubectl)
        written_before = len(_writes(cluster, kubectl.namespace))
        before = sum(cpu_seconds(operator.pid) for operator in operators)
        leases_before = len(_lease_writes(cluster))
        bodies = [request(f"r-{number:06}", "ca") for number in range(count)]
        issued = with_operator(cluster, kubectl.namespace, bodies, operators[0])
        used = sum(cpu_seconds(operator.pid) for operator in operators) - before
        leases = len(_lease_writes(cluster)) - leases_before
        peak = max(resident_mb(operator.pid, peak=True) for operator in operators)
    calls = _writes(cluster, kubectl.namespace)
    writers = defaultdict(set)
    for call in calls:
        writers[call.name.removesuffix("-tls")].add(call.user_agent)
    return Turn(
        seconds=issued.cost.seconds,
        cpu=used / count * 1000,
        written=(len(calls) - written_before) / count,
        shared=sum(len(members) > 1 for name, members in writers.items() if name.startswith("r-")),
        leases=leases / issued.cost.seconds / replicas,
        peak=peak,
    )


def _writes(cluster: ControlPlane, namespace: str) -> list[ApiCall]:
    calls = api_calls(cluster, user_agent="csr-operator", namespace=namespace)
    return [call for call in calls if call.is_write and call.resource != "events"]


def _lease_writes(cluster: ControlPlane) -> list[ApiCall]:
    calls = api_calls(cluster, user_agent="csr-operator", resource="leases")
    return [call for call in calls if call.is_write]


if __name__ == "__main__":
    raise SystemExit(main())
