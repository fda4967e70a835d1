"""How late the event loop is: the time for which somebody had to wait because something else was being worked on."""

import asyncio

from csr_operator.metrics import LOOP_LAG

_INTERVAL = 0.1


async def measure_lag() -> None:
    """For ever: note how late it was for each moment at which somebody could have wanted it.

    Of a second without any other's turn that is ten of them, the first of which waited a second: one look when it is
    over would be one among many.
    """
    clock = asyncio.get_running_loop().time
    due = clock() + _INTERVAL
    while True:
        await asyncio.sleep(due - clock())
        now = clock()
        while due <= now:
            LOOP_LAG.observe(now - due)
            due += _INTERVAL
