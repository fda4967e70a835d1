"""How pending orders are watched with few calls: more and more rarely, and many of them by one list."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Self

from csr_operator.backends.base import Retryable

from .account import Choice
from .client import Client
from .words import Refusal, State

_FIRST, _LAST = timedelta(seconds=5), timedelta(minutes=15)
_FEW = 4
_PAGE = 200  # the most that the API gives at once
_MOST_PAGES = 50
_LISTED = (State.REQUESTED, State.APPROVED, State.APPLIED)
"""The states that orders are listed by. What is in none of these lists is asked for by itself."""


class Kind(StrEnum):
    ENROLL = "enroll"
    RENEW = "renew"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True)
class Placed:
    """An order as its handle has it. id: its sslId; for REPLACE, of the certificate to be replaced. since: in UTC."""

    kind: Kind
    id: int
    since: datetime

    def handle(self) -> str:
        return f"{self.kind}/{self.id}/{int(self.since.timestamp())}"

    @classmethod
    def parse(cls, handle: str) -> Self:
        kind, number, since = handle.split("/")
        return cls(Kind(kind), int(number), datetime.fromtimestamp(int(since), UTC))

    def interval(self, now: datetime) -> timedelta:
        """How long to wait for the next look: a tenth of its age, between 5 s and 15 min."""
        return min(max((now - self.since) / 10, _FIRST), _LAST)


class Waiting:
    """The states of pending orders, as of the last time that they were listed."""

    def __init__(self, client: Client, clock: Callable[[], datetime]) -> None:
        self._client, self._clock = client, clock
        self._looked: dict[int, datetime] = {}
        self._states: dict[int, State] = {}
        self._listed_at: datetime | None = None
        self._failed: tuple[datetime, Retryable] | None = None
        self._listing = asyncio.Lock()

    def done(self, ssl_id: int) -> None:
        """It is not waited for any more."""
        self._looked.pop(ssl_id, None)

    async def state(self, placed: Placed, choice: Choice) -> State | None:
        """None where the order has to be looked at by itself. Raises Retryable, Misconfigured."""
        now = self._clock()
        self._looked[placed.id] = now
        if len(self._looked) <= _FEW:
            return None
        async with self._listing:
            if self._is_stale(placed, now):
                await self._list(choice)
            return self._states.get(placed.id)

    def _is_stale(self, placed: Placed, now: datetime) -> bool:
        """Half the interval, so that an order never waits for much longer than that."""
        if self._listed_at is None or self._listed_at <= placed.since:
            return True
        return now - self._listed_at > max(placed.interval(now) / 2, _FIRST)

    async def _list(self, choice: Choice) -> None:
        now = self._clock()
        if self._failed is not None and now < self._failed[0]:
            raise self._failed[1]  # all that wait would ask the same
        self._looked = {one: at for one, at in self._looked.items() if now - at <= 4 * _LAST}
        states: dict[int, State] = {}
        try:
            for state in _LISTED:
                query = {
                    "orgId": str(choice.organization),
                    "sslTypeId": str(choice.profile),
                    "status": str(state),
                    "size": str(_PAGE),
                }
                for page in range(_MOST_PAGES):
                    listed = await self._client.get("/ssl/v1", {**query, "position": str(page * _PAGE)})
                    states |= {int(one["sslId"]): state for one in listed}
                    if len(listed) < _PAGE:
                        break
        except Refusal:
            states = {}  # each is asked for by itself
        except (KeyError, TypeError, ValueError):
            raise Retryable("Sectigo's list of orders is not as documented") from None
        except Retryable as error:
            self._failed = (now + max(timedelta(seconds=error.after), _FIRST), error)
            raise
        self._states, self._listed_at, self._failed = states, now, None
