"""An access token that a server gives out for credentials: kept until it is nearly over, or they are others."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class Token:
    """until: when another one is to be fetched, in UTC."""

    text: str = field(repr=False)
    until: datetime


class Tokens(Generic[C]):
    """fetch: gets another one for these credentials. clock: in UTC."""

    def __init__(self, fetch: Callable[[C], Awaitable[Token]], clock: Callable[[], datetime]) -> None:
        self._fetch, self._clock = fetch, clock
        self._kept: tuple[C, Token] | None = None
        self._fetching = asyncio.Lock()

    async def current(self, credentials: C) -> str:
        """One fetch serves all who ask meanwhile. Raises what `fetch` raises."""
        async with self._fetching:
            kept = self._kept
            if kept is None or kept[0] != credentials or self._clock() >= kept[1].until:
                kept = self._kept = (credentials, await self._fetch(credentials))
            return kept[1].text

    def forget(self, text: str) -> None:
        """That one was refused. If there is another one by now, it stays."""
        if self._kept is not None and self._kept[1].text == text:
            self._kept = None
