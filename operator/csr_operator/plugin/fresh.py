"""What a CA said of an account, such as which products it has: good for an hour, unless the credentials are others."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

T = TypeVar("T")

_GOOD_FOR = timedelta(hours=1)


class Fresh(Generic[T]):
    """Issuers are checked far more often than accounts change.

    look: asks the CA. credentials: reads what it is asked with, to be compared. clock: in UTC.
    """

    def __init__(
        self,
        look: Callable[[], Awaitable[T]],
        credentials: Callable[[], Awaitable[object]],
        clock: Callable[[], datetime],
    ) -> None:
        self._look, self._credentials, self._clock = look, credentials, clock
        self._kept: tuple[object, datetime, T] | None = None
        self._looking = asyncio.Lock()

    @property
    def known(self) -> T | None:
        """As the CA said it last, however long ago that was."""
        return None if self._kept is None else self._kept[2]

    def forget(self) -> None:
        """Something has changed: the CA is asked at the next use."""
        self._kept = None

    async def found(self) -> T:
        """One look serves all who ask meanwhile. Raises what `look` and `credentials` raise."""
        async with self._looking:
            credentials, now, before = await self._credentials(), self._clock(), self._kept
            # A clock that was set back is a reason to ask as well.
            if before is not None and before[0] == credentials and timedelta(0) <= now - before[1] < _GOOD_FOR:
                return before[2]
            value = await self._look()
            self._kept = (credentials, now, value)
            return value
