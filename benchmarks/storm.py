"""`python -m benchmarks.storm`: certificates that were issued together come due together, and time is made to pass.

First as it is, then with `perMinute` of the issuer set, by which a CA that grants so many a day is kept within that.
The exit status is 1 if they were not spread, if more were renewed than the limit allows, if one was renewed twice, or
if one expired before it was renewed.
"""

import argparse
import tempfile
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from csr_operator.api.names import GROUP, MANAGED_LABEL
from csr_operator.api.times import parse_time
from devcluster import control_plane
from tests.support.kubectl import Kubectl
from tests.support.manifests import request, root_and_ca
from tests.support.operator import operator_kubeconfig
from tests.support.scene import create, wait_all_ready

from .passing import operator_whose_time_passes

_LIFE = timedelta(hours=24)
_QUIET = timedelta(hours=10)
"""In which nothing comes due: half of their life, less a tenth of that, over which it is spread, and some."""
_STORM = timedelta(hours=3)
"""In which all do; with a limit it takes longer."""
_MINUTE, _TEN = timedelta(minutes=1), timedelta(minutes=10)
_PEAK = 3.0
"""How many times the average may be renewed in the worst ten minutes."""
_REVISION, _STORED, _NOT_AFTER = f"{GROUP}/revision", f"{GROUP}/stored-at", f"{GROUP}/not-after"


class Storm(NamedTuple):
    """By the operator's clock, as the records in the Secrets have it.

    most: in the worst ten minutes; peak: that by the average. twice: renewed more than once. late: only when the one
    before had expired.
    """

    renewed: int
    minutes: float
    most: int
    peak: float
    twice: int
    late: int


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.storm", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("-n", type=int, default=1000, metavar="N", help="certificates (%(default)s)")
    parser.add_argument("--per-minute", type=int, default=7, metavar="M", help="10,080 a day (%(default)s)")
    arguments = parser.parse_args()
    broken = False
    print(f"{'':16}renewed  within min  most in 10 min  by the average  twice  expired")
    for limit in (None, arguments.per_minute):
        storm = _storm(arguments.n, limit)
        print(
            f"{f'perMinute: {limit}' if limit else 'no limit':16}{storm.renewed:>7}{storm.minutes:>12.0f}"
            f"{storm.most:>16}{storm.peak:>16.2f}{storm.twice:>7}{storm.late:>9}",
            flush=True,
        )
        broken |= storm.renewed < arguments.n or bool(storm.twice or storm.late)
        # One minute more, as what began at the end of one minute is stored in the next.
        broken |= storm.peak > _PEAK if limit is None else storm.most > 11 * limit
    return 1 if broken else 0


def _storm(count: int, limit: int | None) -> Storm:
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name, control_plane() as cluster:
        kubectl = Kubectl(cluster, "storm")
        Kubectl(cluster, "default")("create", "namespace", kubectl.namespace)
        credentials, log = operator_kubeconfig(cluster, Path(name)), Path(name) / "operator.log"
        with operator_whose_time_passes(credentials, log, "--namespace", kubectl.namespace) as operator:
            *root, ca = root_and_ca()
            kubectl.apply(*root, ca)
            kubectl.wait_ready("ca", kind="issuer", seconds=120)
            # Of a short life, so that what comes due is spread over no more than an hour and a little.
            hours = f"{_LIFE // timedelta(hours=1)}h"
            create(kubectl, *(request(f"r-{number:06}", "ca", duration=hours) for number in range(count)))
            wait_all_ready(kubectl, count + 1, seconds=1800)
            before = _records(kubectl)
            if limit is not None:
                kubectl.apply({**ca, "spec": {**ca["spec"], "limits": {"perMinute": limit}}})
            operator.let_pass(_QUIET.total_seconds(), _QUIET.total_seconds())
            storm = _STORM if limit is None else _STORM + _MINUTE * (count / limit)
            operator.let_pass(storm.total_seconds(), _MINUTE.total_seconds())
            after = _records(kubectl)
    return _seen(before, after)


def _records(kubectl: Kubectl) -> dict[str, Mapping[str, str]]:
    """The operator's annotations of each Secret with a certificate that comes due."""
    secrets = kubectl.list("secrets", "-l", MANAGED_LABEL)
    by_name = {secret["metadata"]["name"]: secret["metadata"]["annotations"] for secret in secrets}
    return {name: annotations for name, annotations in by_name.items() if name.startswith("r-")}


def _seen(before: Mapping[str, Mapping[str, str]], after: Mapping[str, Mapping[str, str]]) -> Storm:
    renewed = {name: record for name, record in after.items() if int(record[_REVISION]) > 1}
    times = sorted(parse_time(record[_STORED]) for record in renewed.values())
    most, first = 0, 0
    for last, time in enumerate(times):
        while time - times[first] >= _TEN:
            first += 1
        most = max(most, last - first + 1)
    span = max(times[-1] - times[0], _TEN) if times else _TEN
    return Storm(
        renewed=len(renewed),
        minutes=span / _MINUTE,
        most=most,
        peak=most / (len(times) * (_TEN / span)) if times else 0.0,
        twice=sum(int(record[_REVISION]) > 2 for record in renewed.values()),
        late=sum(record[_STORED] > before[name][_NOT_AFTER] for name, record in renewed.items()),
    )


if __name__ == "__main__":
    raise SystemExit(main())
