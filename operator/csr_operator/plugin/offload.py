"""What is large is worked on in a thread, so that nobody else waits for it; what is small is not worth the way."""

import asyncio
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import PurePath
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

LARGE = 32 * 1024
"""What weighs more is worked on in a thread: characters or bytes, an entry of a list or map counting as 64."""

_ENTRY = 64

# One: threads that compute take turns with the event loop, which waits for each of them.
_THREAD = ThreadPoolExecutor(1, thread_name_prefix="large")


async def offload(weight: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do `work`, which touches nothing that others change: in a thread if `weight` is more than LARGE."""
    if weight <= LARGE:
        return work(*args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_THREAD, partial(work, *args, **kwargs))


def weight_of(value: Any) -> int:
    """How much there is in a value as JSON has them, counted until it is LARGE."""
    weight, rest = 0, [value]
    while rest and weight <= LARGE:
        node = rest.pop()
        weight += _ENTRY
        # What the JSON parser makes is of these very types, each of which is told by one look.
        kind = type(node)
        if kind is str:
            weight += len(node)
        elif kind is dict:
            rest.extend(node.values())
            weight += _ENTRY * len(node)
        elif kind is list:
            rest.extend(node)
            weight += _ENTRY * len(node)
    return weight


def locate_error(error: BaseException) -> str:
    """Which error, and where in the code: for a log that must not hold what the error is about."""
    frames = traceback.extract_tb(error.__traceback__, limit=-1)
    place = f" at {PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return type(error).__name__ + place
