"""csr-operator with its clock ahead."""

from datetime import UTC, datetime, timedelta

from csr_operator.__main__ import main
from tests.support.fresh_metrics import keep_nothing


def run(seconds: float, arguments: list[str]) -> int:
    """By `seconds`."""
    keep_nothing()
    ahead = timedelta(seconds=seconds)
    return main(arguments, clock=lambda: datetime.now(UTC) + ahead)
