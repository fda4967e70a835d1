"""`python -m benchmarks.scale`: how rate, latency, memory and the cost of a restart grow with the number of requests.

Each size has a control plane of its own. The exit status is 1 if a certificate took more than two writes, a restart
wrote anything, or what one object costs grows with how many there are.
"""

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from devcluster import ControlPlane, control_plane
from tests.support.kubectl import Kubectl
from tests.support.manifests import request
from tests.support.operator import OperatorProcess, operator_kubeconfig
from tests.support.scene import make_ca

from . import audit
from .machine import cpu_seconds, find_child
from .plot import Panel, draw
from .report import percentile
from .rounds import NotReady, restart, with_operator

_NAMESPACE = "scale"
_WRITES = 2.05
"""For each: two, and where the machine is slow, what a few are told that wait for long."""
_GROWTH = 1.6
"""How many times the cost of an object may be that of one of the smallest size: each of twice as many is 2."""


class Size(NamedTuple):
    """What was seen with `requests` of them.

    share: the operator's CPU time, as a part of the API server's meanwhile, which the machine's load changes less.
    late: of the looks at the event loop, the part that came more than 50 ms late. again: CPU seconds of a restart,
    in which the API server took `served`.
    """

    requests: int
    rate: float
    p50: float
    p99: float
    cpu: float
    share: float
    late: float
    resident: float
    again: float
    served: float
    restarted: float
    written: Counter[str]
    rewritten: Counter[str]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=(__doc__ or "").split("\n")[0])
    sizes = "how many requests, one size after the other (%(default)s)"
    parser.add_argument("-n", type=int, nargs="+", default=[1000, 2000, 5000], metavar="N", help=sizes)
    parser.add_argument("--svg", type=Path, metavar="FILE", help="where the curves are drawn")
    arguments = parser.parse_args()
    measured = list[Size]()
    print(_HEAD)
    try:
        empty = _restart_of_none()
        for count in sorted(arguments.n):
            measured.append(size := _measure(count))
            print(_line(size), flush=True)
    except NotReady as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    print("\n".join(_per_object(measured, empty)))
    if arguments.svg:
        arguments.svg.write_text(draw(_panels(measured), "requests"))
    broken = [problem for problem in _broken(measured, empty) if problem]
    for problem in broken:
        print(f"benchmarks: {problem}", file=sys.stderr)
    return 1 if broken else 0


_HEAD = (
    f"{'requests':>8}{'per second':>12}{'p50 s':>8}{'p99 s':>8}{'CPU ms each':>13}{'of API':>8}{'> 50 ms late':>14}"
    f"{'MB':>6}{'restart CPU s':>15}{'of API':>8}{'MB':>6}{'writes':>8}"
)


def _line(size: Size) -> str:
    writes = f"{size.written.total() / size.requests:.2f}+{size.rewritten.total()}"
    return (
        f"{size.requests:>8}{size.rate:>12.1f}{size.p50:>8.1f}{size.p99:>8.1f}{size.cpu:>13.2f}{size.share:>8.2f}"
        f"{100 * size.late:>12.1f} %{size.resident:>6.0f}{size.again:>15.2f}{size.again / size.served:>8.2f}"
        f"{size.restarted:>6.0f}{writes:>8}"
    )


def _restart_of_none() -> float:
    """CPU seconds of a start over nothing, imports and all."""
    with (
        tempfile.TemporaryDirectory(prefix="benchmark-") as name,
        control_plane() as cluster,
        _operator(cluster, Path(name)) as operator,
    ):
        operator.stop()
        return restart(operator).cpu


def _measure(count: int) -> Size:
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name, _plane(Path(name)) as cluster:
        with _operator(cluster, Path(name)) as operator:
            make_ca(Kubectl(cluster, _NAMESPACE))
            server, (looks, late) = find_child("kube-apiserver"), _looks(operator)
            since = audit.timestamp()
            bodies = [request(f"r-{number:06}", "ca") for number in range(count)]
            issued = with_operator(cluster, _NAMESPACE, bodies, operator)
            between = audit.timestamp()
            looks_then, late_then = _looks(operator)
            operator.stop()
            served = cpu_seconds(server)
            again = restart(operator)
            served = cpu_seconds(server) - served
            until = audit.timestamp()
        events = cluster.audit_events()
    return Size(
        requests=count,
        rate=count / issued.cost.seconds,
        p50=percentile(issued.latencies, 50),
        p99=percentile(issued.latencies, 99),
        cpu=1000 * issued.operator / count,
        share=issued.operator / issued.cost.server,
        late=(late_then - late) / (looks_then - looks),
        resident=issued.resident,
        again=again.cpu,
        served=served,
        restarted=again.resident,
        written=audit.writes(events, since, between),
        rewritten=audit.writes(events, between, until),
    )


def _plane(folder: Path) -> AbstractContextManager[ControlPlane]:
    return control_plane(audit_log=folder / "audit.log")


def _operator(cluster: ControlPlane, folder: Path) -> OperatorProcess:
    Kubectl(cluster, "default")("create", "namespace", _NAMESPACE)
    arguments = ("--namespace", _NAMESPACE, "--issuer-check-interval", "30")
    return OperatorProcess(operator_kubeconfig(cluster, folder), folder / "operator.log", *arguments, measured=True)


def _looks(operator: OperatorProcess) -> tuple[float, float]:
    """How often the event loop was looked at, and how often that was more than 50 ms late."""
    name = "csr_operator_loop_lag_seconds"
    looks = operator.metric(f"{name}_count")
    return looks, looks - operator.metric(f"{name}_bucket", le="0.05")


def _per_object(sizes: Sequence[Size], empty: float) -> list[str]:
    """Memory by the slope between the smallest and the largest, CPU time beyond that of a start over nothing."""
    first, last = sizes[0], sizes[-1]
    lines = [f"start over nothing: {empty:.2f} s of CPU"]
    lines += [
        f"restart over {s.requests}: {1e6 * (s.again - empty) / s.requests:.0f} us of CPU for each" for s in sizes
    ]
    if last.requests > first.requests:
        grown = 1000 / (last.requests - first.requests)
        lines.append(f"resident: {grown * (last.resident - first.resident):.1f} KB for each request more")
        lines.append(f"resident after a restart: {grown * (last.restarted - first.restarted):.1f} KB")
    return lines


_FEWEST = 500
"""Of fewer, a start over nothing takes more than all of them together."""


def _broken(sizes: Sequence[Size], empty: float) -> list[str]:
    large = [size for size in sizes if size.requests >= _FEWEST] or sizes[-1:]
    first, last = large[0], large[-1]
    issuing, again = last.share / first.share, 1.0
    if last is not first:
        again = ((last.again - empty) / last.served) / ((first.again - empty) / first.served)
    return [
        *(f"{s.requests}: more than two writes each" for s in sizes if s.written.total() > _WRITES * s.requests),
        *(f"{s.requests}: the restart wrote" for s in sizes if s.rewritten),
        f"a certificate costs {issuing:.2f} times as much" if issuing > _GROWTH else "",
        f"an object costs {again:.2f} times as much in a restart" if again > _GROWTH else "",
    ]


def _panels(sizes: Sequence[Size]) -> list[Panel]:
    return [
        Panel("CPU of the operator for a certificate, ms", {"": [(s.requests, s.cpu) for s in sizes]}),
        Panel(
            "latency when all are applied at once, s",
            {"p50": [(s.requests, s.p50) for s in sizes], "p99": [(s.requests, s.p99) for s in sizes]},
        ),
        Panel(
            "resident memory, MB",
            {
                "after issuing": [(s.requests, s.resident) for s in sizes],
                "after a restart": [(s.requests, s.restarted) for s in sizes],
            },
        ),
        Panel("CPU of a restart over that many, s", {"": [(s.requests, s.again) for s in sizes]}),
    ]


if __name__ == "__main__":
    raise SystemExit(main())
