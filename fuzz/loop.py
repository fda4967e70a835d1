"""What is asynchronous, done without waiting for anything."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_RUNNER = asyncio.Runner()


def finish(work: Coroutine[Any, Any, T]) -> T:
    """What it returns."""
    return _RUNNER.run(work)
