"""Notices that the wall clock was set: what was far away by the old one may be over by the new one."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

logger = logging.getLogger(__name__)

EVERY = timedelta(seconds=5)
"""How often the wall clock is compared with one that nobody sets: so long may what is due by it be late."""

SKEW = timedelta(minutes=1)
"""By so much a clock may be set, or differ, without that anything is made of it."""


async def watch_clock(clock: Callable[[], datetime], was_set: Callable[[], None], every: timedelta = EVERY) -> None:
    """Call `was_set` each time that `clock` (the time in UTC) was set by more than SKEW; for ever."""
    loop = asyncio.get_running_loop()

    def ahead() -> timedelta:
        return timedelta(seconds=clock().timestamp() - loop.time())

    before = ahead()
    while True:
        await asyncio.sleep(every.total_seconds())
        now = ahead()
        if abs(now - before) > SKEW:
            logger.warning("the clock was set by %.0f s: everything is looked at", (now - before).total_seconds())
            was_set()
        before = now
