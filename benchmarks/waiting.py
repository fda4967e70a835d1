"""`python -m benchmarks.waiting VENDOR`: what orders cost that a CA leaves pending for days: calls, writes, memory."""

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from devcluster import ControlPlane, control_plane
from tests.emulators import digicert_server, sectigo_server
from tests.emulators.digicert_server import DigicertServer
from tests.emulators.sectigo_server import SectigoServer
from tests.support.authorities import credential
from tests.support.contract import ContractServer
from tests.support.kubectl import Kubectl, wait_until
from tests.support.manifests import issuer, request
from tests.support.operator import operator_kubeconfig
from tests.support.scene import create

from . import audit
from .machine import cpu_seconds, resident_mb
from .passing import Passing, operator_whose_time_passes

_NAMESPACE = "pending"
_DAY = 24 * 3600.0
_STEP = 60.0
"""Seconds of the operator's clock that pass at once."""
_HANDLE = "csr-operator.dev/order"


class Vendor(NamedTuple):
    """server: with it, all orders stay pending for ever. spec: of its issuer. secret: the credentials."""

    server: ContractServer
    spec: Mapping[str, Any]
    secret: Mapping[str, Any]


class Span(NamedTuple):
    """What was seen in a stretch of time. cpu: seconds of the operator's. memory: resident, in MB, at its end."""

    calls: int
    writes: Counter[str]
    cpu: float
    memory: float


def sectigo() -> Vendor:
    server = SectigoServer()
    server.steps = (("Requested", 0),)
    spec = {
        "customerURI": sectigo_server.CUSTOMER,
        "login": {"secretName": "account"},
        "organization": "Example Inc",
        "profile": "Public OV SSL",
    }
    login = {"login": sectigo_server.LOGIN, "password": sectigo_server.PASSWORD}
    return Vendor(server, spec, credential("account", **login))


def digicert() -> Vendor:
    server = DigicertServer(plan=digicert_server.after((0, "pending")))
    spec = {
        "secretName": "account",
        "product": digicert_server.PRIVATE,
        "organizationId": digicert_server.ORGANIZATION,
    }
    return Vendor(server, spec, credential("account", **{"api-key": digicert_server.KEY}))


_VENDORS = {"digicert": (digicert, digicert_server.BASE), "sectigo": (sectigo, "/api")}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.waiting", description=__doc__)
    parser.add_argument("vendor", choices=sorted(_VENDORS))
    parser.add_argument("-n", type=int, default=500, metavar="N", help="pending orders (%(default)s)")
    parser.add_argument("--days", type=float, default=7, metavar="D", help="for how long (%(default)s)")
    arguments = parser.parse_args()
    make, base = _VENDORS[arguments.vendor]
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        vendor = make()
        with control_plane(audit_log=Path(folder) / "audit.log") as cluster, vendor.server as server:
            where = {"url": server.url + base, "caBundle": server.ca_bundle}
            bench = Bench(cluster, Path(folder), server)
            bench.kubectl.apply(vendor.secret, issuer("ca", "Issuer", **{arguments.vendor: {**vendor.spec, **where}}))
            spans = bench.run(arguments.n, arguments.days)
    for name, span in spans.items():
        writes = ", ".join(f"{count} {what}" for what, count in sorted(span.writes.items())) or "none"
        print(f"{name:<24}{span.calls:>7} calls, writes: {writes}; {span.cpu:.1f} s of CPU, {span.memory:.0f} MB")
    quiet = spans["days of nothing"].writes
    return 1 if any(not what.endswith(" events") for what in quiet) else 0


class Bench:
    def __init__(self, cluster: ControlPlane, folder: Path, server: ContractServer) -> None:
        self._cluster, self._server = cluster, server
        self._credentials, self._log = operator_kubeconfig(cluster, folder), folder / "operator.log"
        Kubectl(cluster, "default")("create", "namespace", _NAMESPACE)
        self.kubectl = Kubectl(cluster, _NAMESPACE)

    def run(self, count: int, days: float) -> dict[str, Span]:
        spans: dict[str, Span] = {}
        with self._operator() as operator:
            self.kubectl.wait_ready("ca", kind="issuer")
            with self._span(operator, spans, "ordered"):
                create(self.kubectl, *(request(f"r{n}", "ca") for n in range(count)))
                wait_until(f"{count} orders are placed", lambda: self._placed() == count, seconds=600)
            with self._span(operator, spans, "first ten minutes"):
                operator.let_pass(600.0, 1.0)
            with self._span(operator, spans, "days of nothing"):
                operator.let_pass(days * _DAY, _STEP)
        with self._operator() as operator, self._span(operator, spans, "restart"):
            operator.let_pass(60.0, 1.0)
        return spans

    def _placed(self) -> int:
        staged = self.kubectl("get", "secrets", "-o", "jsonpath={range .items[*]}{.metadata.annotations}{end}")
        return staged.count(f'"{_HANDLE}"')

    def _operator(self) -> AbstractContextManager[Passing]:
        return operator_whose_time_passes(self._credentials, self._log, "--namespace", _NAMESPACE)

    @contextmanager
    def _span(self, operator: Passing, spans: dict[str, Span], name: str) -> Iterator[None]:
        since, calls, cpu = audit.timestamp(), len(self._server.calls), cpu_seconds(operator.pid)
        yield
        memory, used = resident_mb(operator.pid), cpu_seconds(operator.pid) - cpu
        writes = audit.writes(self._cluster.audit_events(), since, audit.timestamp())
        spans[name] = Span(len(self._server.calls) - calls, writes, used, memory)


if __name__ == "__main__":
    sys.exit(main())
