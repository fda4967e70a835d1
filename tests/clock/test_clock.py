"""A clock that is set while the operator runs."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from csr_operator.control.clock import watch_clock

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)


@pytest.mark.parametrize(
    ("ahead", "noticed"),
    [
        pytest.param([timedelta()] * 4, 0, id="right"),
        pytest.param([timedelta(), timedelta(), DAY, DAY, DAY], 1, id="set a day ahead"),
        pytest.param([DAY, DAY, timedelta(), timedelta()], 1, id="put back"),
        pytest.param([timedelta(), DAY, timedelta(), timedelta()], 2, id="to and fro"),
        pytest.param([20 * SECOND * n for n in range(6)], 0, id="put right by and by"),
    ],
)
async def test_that_is_noticed_once(ahead: list[timedelta], noticed: int) -> None:
    """ahead: of the right time, at each look."""
    looks, times, done = iter(ahead), [0], asyncio.Event()

    def clock() -> datetime:
        offset = next(looks, None)
        if offset is None:
            done.set()
        return datetime.now(UTC) + (ahead[-1] if offset is None else offset)

    def was_set() -> None:
        times[0] += 1

    task = asyncio.create_task(watch_clock(clock, was_set, timedelta(milliseconds=1)))
    async with asyncio.timeout(60):
        await done.wait()
    task.cancel()
    assert times == [noticed]
