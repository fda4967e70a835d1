"""`python -m benchmarks`: certificates per second, and what they cost, next to the limit without an operator."""

import argparse
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import NoReturn

from devcluster import ControlPlane, control_plane
from tests.support.kubectl import Kubectl
from tests.support.manifests import request, root_and_ca
from tests.support.operator import OperatorProcess, operator_kubeconfig

from . import audit
from .checks import seconds_per_certificate
from .client import Object
from .report import Measured, Round, table
from .rounds import NotReady, Sample, restart, rsa_keys_per_second, with_operator, without_operator

_ISSUER = "ca"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("-n", type=_positive, default=1000, metavar="N", help="requests per round (%(default)s)")
    parser.add_argument("--key", choices=["ecdsa", "rsa"], default="ecdsa", help="P-256 (default) or RSA of 2048 bits")
    parser.add_argument(
        "--rounds", type=_positive, default=2, metavar="R", help="rounds, of which medians are shown (%(default)s)"
    )
    parser.add_argument("--restart", action="store_true", help="then restart the operator over the N of the last round")
    arguments = parser.parse_args()
    for signum in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(signum, _stop)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        log = Path(folder) / "audit.log"
        with control_plane(audit_log=log) as cluster:
            bench = Bench(cluster, Path(folder), arguments.n, arguments.key)
            try:
                measured = bench.run(arguments.rounds, over=arguments.restart)
            except NotReady as error:
                print(f"benchmarks: {error}", file=sys.stderr)
                return 1
    print(table(measured))
    return 1 if measured.restart_writes else 0


class Bench:
    def __init__(self, cluster: ControlPlane, folder: Path, count: int, key: str) -> None:
        self._cluster, self._folder, self._count, self._key = cluster, folder, count, key
        self._credentials = operator_kubeconfig(cluster, folder)

    def run(self, rounds: int, *, over: bool) -> Measured:
        """over: restart the operator at the end."""
        with self._operator("sample") as _:
            sample = self._sample("sample")
        done, restarted, windows = [], None, []
        for number in range(1, rounds + 1):
            _say(f"round {number} of {rounds}: {self._count} requests without the operator, then with it")
            # Half of it before and half after, so that a machine that gets busier or less busy favours neither.
            requests, bare_name = self._requests(), self._namespace(f"bare-{number}")
            bare = without_operator(self._cluster, bare_name, requests[::2], sample)
            keys = self._rsa_keys()
            with self._operator(name := f"operator-{number}") as operator:
                self._sample(name)  # what happens only once in the life of the process has then happened
                since = audit.timestamp()
                issued = with_operator(self._cluster, name, requests, operator)
                windows.append((since, audit.timestamp()))
                keys = (keys + self._rsa_keys()) / 2
                bare += without_operator(self._cluster, bare_name, requests[1::2], sample)
                done.append(Round(bare, issued, keys, *self._checks(name)))
                if over and number == rounds:
                    operator.stop()
                    since = audit.timestamp()
                    restarted = restart(operator)
                    windows.append((since, audit.timestamp()))
        events = self._cluster.audit_events()
        writes = [audit.writes(events, *window) for window in windows]
        return Measured(
            count=self._count,
            key=self._key,
            rounds=done,
            writes=writes[:rounds],
            restart=restarted,
            restart_writes=writes[rounds] if restarted else None,
        )

    @contextlib.contextmanager
    def _operator(self, namespace: str) -> Iterator[OperatorProcess]:
        """The operator for a new namespace: what other rounds left behind is none of its business."""
        self._namespace(namespace)
        log = self._folder / f"{namespace}.log"
        arguments = ("--namespace", namespace, "--issuer-check-interval", "30")
        with OperatorProcess(self._credentials, log, *arguments, measured=True) as process:
            try:
                yield process
            except NotReady as error:
                process.kill()  # it may not be able to end by itself either
                raise NotReady(f"{error}\nThe operator's last words:\n{_tail(log)}") from None

    def _namespace(self, name: str) -> str:
        Kubectl(self._cluster, "default")("create", "namespace", name)
        return name

    def _sample(self, namespace: str) -> Sample:
        kubectl = Kubectl(self._cluster, namespace)
        kubectl.apply(*root_and_ca(_ISSUER), self._request("sample"))
        kubectl.wait_ready("sample")
        return Sample(kubectl.get("secret", "sample-tls"), kubectl.get("certificaterequest", "sample")["status"])

    def _checks(self, namespace: str) -> tuple[float, float]:
        kubectl = Kubectl(self._cluster, namespace)
        pair = kubectl.get("certificaterequest", "sample"), kubectl.get("secret", "sample-tls")
        return seconds_per_certificate(*pair, policy=False), seconds_per_certificate(*pair, policy=True)

    def _rsa_keys(self) -> float:
        return rsa_keys_per_second() if self._key == "rsa" else 0.0

    def _requests(self) -> list[Object]:
        return [self._request(f"r-{number:06}") for number in range(self._count)]

    def _request(self, name: str) -> Object:
        key = {"algorithm": "ECDSA", "size": 256} if self._key == "ecdsa" else {"algorithm": "RSA", "size": 2048}
        return request(name, _ISSUER, privateKey=key)


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return number


def _tail(log: Path) -> str:
    return "\n".join(log.read_text().splitlines()[-20:])


def _say(text: str) -> None:
    print(f"benchmarks: {text} (load average {os.getloadavg()[0]:.1f})", file=sys.stderr, flush=True)


def _stop(signum: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(128 + signum)


if __name__ == "__main__":
    sys.exit(main())
