"""What is shown of how late the event loop is."""

import asyncio
import time

from csr_operator.manager.lag import measure_lag
from csr_operator.metrics import REGISTRY

BLOCKED = 0.65


def _looks(bound: str) -> float:
    """How many were late by no more than so many seconds."""
    return REGISTRY.get_sample_value("csr_operator_loop_lag_seconds_bucket", {"le": bound}) or 0.0


async def test_each_moment_counts_at_which_somebody_could_have_waited() -> None:
    """Not one look that was late, among all those that were not."""
    late_before = _looks("+Inf") - _looks("0.1")
    measuring = asyncio.create_task(measure_lag())
    await asyncio.sleep(0)
    time.sleep(BLOCKED)  # noqa: ASYNC251 - nobody else has the loop meanwhile
    async with asyncio.timeout(60):
        while _looks("+Inf") - _looks("0.1") - late_before < 4:  # noqa: ASYNC110 - a metric tells nobody
            await asyncio.sleep(0.01)
    measuring.cancel()
