"""How late the event loop is: the time for which somebody had to wait because something else was being worked on."""

import asyncio

from csr_operator.metrics import LOOP_LAG

_INTERVAL = 0.1


async def measure_lag() -> None:
    """For ever: sleep, and note by how much it took longer than it should."""
    clock = asyncio.get_running_loop().time
    while True:
        due = clock() + _INTERVAL
        await asyncio.sleep(_INTERVAL)
        LOOP_LAG.observe(max(clock() - due, 0.0))
