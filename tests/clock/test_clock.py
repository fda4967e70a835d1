"""A clock that is set while the operator runs."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from csr_operator.clock import watch_clock

EVERY = timedelta(milliseconds=5)


@pytest.mark.parametrize("by", [timedelta(days=1), timedelta(days=-1), timedelta(minutes=2)])
async def test_it_is_noticed_once(by: timedelta) -> None:
    offset, noticed = timedelta(), asyncio.Event()
    looks = 0

    def clock() -> datetime:
        nonlocal looks
        looks += 1
        return datetime.now(UTC) + offset

    times = 0

    def was_set() -> None:
        nonlocal times
        times += 1
        noticed.set()

    task = asyncio.create_task(watch_clock(clock, was_set, EVERY))
    while looks < 3:
        await asyncio.sleep(0.001)
    assert times == 0
    offset = by
    async with asyncio.timeout(30):
        await noticed.wait()
    since = looks
    while looks < since + 3:
        await asyncio.sleep(0.001)
    task.cancel()
    assert times == 1


async def test_one_that_is_put_right_by_seconds_is_none_that_was_set() -> None:
    looks = 0

    def clock() -> datetime:
        nonlocal looks
        looks += 1
        return datetime.now(UTC) + timedelta(seconds=looks)

    def was_set() -> None:
        raise AssertionError

    task = asyncio.create_task(watch_clock(clock, was_set, EVERY))
    while looks < 5 and not task.done():
        await asyncio.sleep(0.001)
    assert not task.done()
    task.cancel()
