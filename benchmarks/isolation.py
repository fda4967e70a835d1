"""`python -m benchmarks.isolation`: how much longer requests take beside as many of an issuer whose CA hangs."""

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import NamedTuple

from devcluster import ControlPlane, control_plane
from tests.support.kubectl import Kubectl, wait_until
from tests.support.manifests import request, root_and_ca
from tests.support.operator import OperatorProcess, operator_kubeconfig
from tests.support.scene import create
from tests.support.third_party import EXAMPLE, Branch, HttpCa, external, install

from .rounds import NotReady, with_operator

_NAMESPACE = "isolation"
_AT_WORK = 32
"""Requests that an issuer works on at once where its limits say nothing."""


class Pair(NamedTuple):
    """Seconds until all requests of the good issuer were Ready."""

    alone: float
    beside: float


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.isolation", description=__doc__)
    parser.add_argument("-n", type=int, default=50, metavar="N", help="requests of each issuer (%(default)s)")
    parser.add_argument(
        "--rounds", type=int, default=5, metavar="R", help="pairs, of which the median is shown (%(default)s)"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder, control_plane() as cluster, HttpCa() as ca:
        try:
            pairs = _run(cluster, Path(folder), ca.branch("hanging"), arguments.n, arguments.rounds)
        except NotReady as error:
            print(f"benchmarks: {error}", file=sys.stderr)
            return 1
    print(f"{'seconds until N requests are Ready':40}alone  beside   ratio")
    for number, pair in enumerate(pairs, 1):
        print(f"  round {number:<32}{pair.alone:>6.2f}  {pair.beside:>6.2f}  {pair.beside / pair.alone:>6.2f}")
    print(f"median of the ratios {median(pair.beside / pair.alone for pair in pairs):>41.2f}")
    return 0


def _run(cluster: ControlPlane, folder: Path, hanging: Branch, count: int, rounds: int) -> list[Pair]:
    installed = folder / "installed"
    installed.mkdir()
    install(EXAMPLE, installed)
    Kubectl(cluster, "default")("create", "namespace", _NAMESPACE)
    kubectl = Kubectl(cluster, _NAMESPACE)
    arguments = ("--namespace", _NAMESPACE, "--issuer-check-interval", "30")
    credentials, log = operator_kubeconfig(cluster, folder), folder / "operator.log"
    with OperatorProcess(credentials, log, *arguments, installed=installed, measured=True) as operator:
        kubectl.apply(*root_and_ca(), external(hanging, "hanging"))
        kubectl.wait_ready("ca", "hanging", kind="issuer")

        def seconds(name: str) -> float:
            bodies = [request(f"{name}-{n:04}", "ca") for n in range(count)]
            return with_operator(cluster, _NAMESPACE, bodies, operator).cost.seconds

        def beside(number: int) -> float:
            hanging.hang()
            create(kubectl, *(request(f"hanging-{number}-{n:04}", "hanging") for n in range(count)))
            wait_until("they hang", lambda: hanging.running == min(count, _AT_WORK))
            try:
                return seconds(f"beside-{number}")
            finally:
                hanging.go_on()
                kubectl.wait_ready(*(f"hanging-{number}-{n:04}" for n in range(count)), seconds=120)

        seconds("first")  # what happens only once in the life of the process has then happened
        pairs = []
        for number in range(rounds):
            # By turns, so that neither always has the machine as the other left it.
            if number % 2:
                second = beside(number)
                pairs.append(Pair(seconds(f"alone-{number}"), second))
            else:
                pairs.append(Pair(seconds(f"alone-{number}"), beside(number)))
        return pairs


if __name__ == "__main__":
    sys.exit(main())
