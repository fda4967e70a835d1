"""The measurements as a table for people."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from .rounds import AT_ONCE, Cost, OperatorRound, Restart

_KEYS = {"ecdsa": "ECDSA P-256", "rsa": "RSA-2048"}


@dataclass(frozen=True, slots=True)
class Round:
    """keys: RSA keys per second that the machine makes when it does nothing else; 0.0 where none are needed.

    checks, policed: CPU time, in seconds, of the codes and checks of one certificate, without and with a policy.
    """

    bare: Cost
    issued: OperatorRound
    keys: float
    checks: float
    policed: float


@dataclass(frozen=True, slots=True)
class Measured:
    count: int
    key: str
    rounds: Sequence[Round]
    writes: Sequence[Counter[str]]
    restart: Restart | None
    restart_writes: Counter[str] | None


def table(measured: Measured) -> str:
    """One column per round and one with the medians."""
    count, rounds = measured.count, measured.rounds

    def row(label: str, value: Callable[[Round], float], form: str = "{:.0f}") -> str:
        values = [value(entry) for entry in rounds]
        cells = [form.format(v) for v in (*values, median(values))]
        return f"{label:44}" + "".join(f"{cell:>10}" for cell in cells)

    def latency(rank: int) -> Callable[[Round], float]:
        return lambda r: percentile(r.issued.latencies, rank) * 1000

    heads = [f"round {n}" for n in range(1, len(rounds) + 1)] + ["median"]
    machine = f"{AT_ONCE} at once; {os.cpu_count()} cores"
    lines = [
        f"{count} requests, {_KEYS[measured.key]} keys, a CA with an ECDSA P-256 key; {machine}",
        "",
        f"{'':44}" + "".join(f"{head:>10}" for head in heads),
        row("without the operator       objects/s", lambda r: count / r.bare.seconds),
        row("with the operator          certificates/s", lambda r: count / r.issued.cost.seconds),
        row("  share of the limit without it, %", lambda r: 100 * r.bare.seconds / r.issued.cost.seconds),
        row("  latency p50, ms", latency(50)),
        row("  latency p95, ms", latency(95)),
        row("CPU ms per certificate     operator", lambda r: 1000 * r.issued.operator / count, "{:.2f}"),
        row("  codes and checks, % of that", lambda r: 100 * r.checks * count / r.issued.operator, "{:.1f}"),
        row("  with a policy, % of that", lambda r: 100 * r.policed * count / r.issued.operator, "{:.1f}"),
        row("                           API server", lambda r: 1000 * r.issued.cost.server / count, "{:.2f}"),
        row("                           client", lambda r: 1000 * r.issued.cost.client / count, "{:.2f}"),
        row("                           all, and etcd ...", lambda r: 1000 * r.issued.cost.all / count, "{:.2f}"),
        row("  without the operator     API server", lambda r: 1000 * r.bare.server / count, "{:.2f}"),
        row("                           client", lambda r: 1000 * r.bare.client / count, "{:.2f}"),
        row("                           all, and etcd ...", lambda r: 1000 * r.bare.all / count, "{:.2f}"),
        row("  share of the limit by CPU time, %", lambda r: 100 * r.bare.all / r.issued.cost.all),
        row("cores used by the operator", lambda r: r.issued.operator / r.issued.cost.seconds, "{:.2f}"),
        row("cores used by all of these together", lambda r: r.issued.cost.all / r.issued.cost.seconds, "{:.2f}"),
        row("cores used by foreign processes", lambda r: r.issued.cost.others / r.issued.cost.seconds, "{:.2f}"),
        row("  without the operator", lambda r: r.bare.others / r.bare.seconds, "{:.2f}"),
        row("memory of the operator     resident, MB", lambda r: r.issued.resident),
        row("                           peak, MB", lambda r: r.issued.peak),
    ]
    if measured.key == "rsa":
        lines += [
            row("bare RSA key generation    keys/s", lambda r: r.keys),
            row("  share of it, %", lambda r: 100 * count / r.issued.cost.seconds / r.keys),
        ]
    lines += ["", "writes per certificate"]
    for what in sorted(set().union(*measured.writes)):
        cells = [f"{written[what] / count:.3f}" for written in measured.writes]
        lines.append(f"  {what:42}" + "".join(f"{cell:>10}" for cell in cells))
    if measured.restart is not None and measured.restart_writes is not None:
        again, wrote = measured.restart, measured.restart_writes
        lines += [
            "",
            f"restart over {count} Ready",
            f"  until ready, s{again.ready:38.1f}",
            f"  until idle, s {again.idle:38.1f}",
            f"  CPU, s        {again.cpu:38.1f}",
            f"  resident, MB  {again.resident:38.0f}",
            f"  peak, MB      {again.peak:38.0f}",
            f"  writes        {wrote.total():38d}",
            *(f"    {what:38}{times:>12}" for what, times in sorted(wrote.items())),
        ]
    return "\n".join(lines)


def percentile(ascending: Sequence[float], rank: int) -> float:
    """Linear between neighbours."""
    if len(ascending) == 1:
        return ascending[0]
    return quantiles(ascending, n=100, method="inclusive")[rank - 1]
