"""Tasks that a backend begins: what would end the whole process there ends the task alone.

asyncio lets SystemExit and KeyboardInterrupt out of any task, and with it out of the event loop: also where a backend
awaits that task, as it does in `asyncio.wait_for`, `gather` and a TaskGroup.
"""

import asyncio
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar
from typing import Any, TypeVar

T = TypeVar("T")

_BY_BACKEND = ContextVar("by a backend", default=False)


class Exited(Exception):
    """A backend, or a library that it uses, meant to end the process."""


@contextmanager
def in_backend() -> Iterator[None]:
    """Whatever task is begun in here is a backend's, and those that it begins are as well."""
    before = _BY_BACKEND.set(True)
    try:
        yield
    finally:
        _BY_BACKEND.reset(before)


def make_task(
    loop: asyncio.AbstractEventLoop,
    coroutine: Coroutine[Any, Any, T] | Generator[Any, None, T],
    /,
    *,
    context: Context | None = None,
    **more: Any,
) -> asyncio.Task[T]:
    """For `loop.set_task_factory`."""
    by_backend = _BY_BACKEND.get() if context is None else context.get(_BY_BACKEND, False)
    if by_backend and isinstance(coroutine, Coroutine):
        coroutine = _Contained(coroutine)
    return asyncio.Task(coroutine, loop=loop, context=context, **more)


class _Contained(Coroutine[Any, Any, T]):
    """Goes on as the other one does. No coroutine around it, which a task that is cancelled at once never begins."""

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._coroutine = coroutine

    def send(self, value: Any, /) -> Any:
        return _call(self._coroutine.send, value)

    def throw(self, *error: Any) -> Any:
        return _call(self._coroutine.throw, *error)

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self) -> Generator[Any, None, T]:
        return self._coroutine.__await__()


def _call(step: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return step(*arguments)
    except (SystemExit, KeyboardInterrupt) as error:
        raise Exited(type(error).__name__) from None
