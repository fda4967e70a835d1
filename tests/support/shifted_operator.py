"""csr-operator with its clock ahead."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from csr_operator.__main__ import main
from csr_operator.manager.operator import Operator


def run(seconds: float, arguments: list[str]) -> int:
    """By `seconds`."""
    ahead = timedelta(seconds=seconds)
    return main(
        arguments, lambda given: Operator(replace(given, metrics_kept=0.0), clock=lambda: datetime.now(UTC) + ahead)
    )
