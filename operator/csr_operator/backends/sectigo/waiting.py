"""How pending orders are watched with few calls: more and more rarely, and many of them by one list."""

import asyncio
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Self

from csr_operator.plugin.errors import Retryable
from csr_operator.plugin.schedule import Schedule, last_multiple

from .account import Choice
from .client import Client
from .order_states import State, ids_in
from .refusals import Refusal

_FIRST = timedelta(seconds=5)
_SCHEDULE = Schedule(_FIRST, longest=256 * _FIRST, young=10 * _FIRST)
"""About a tenth of its age: 5 s at first, twice as much each time that the age has doubled, at most 21 min."""
_FEW = 4
_PAGE = 200  # the most that the API gives at once
_MOST_PAGES = 50  # of each state
_BORNE = timedelta(hours=1)
_LISTED = (State.REQUESTED, State.APPROVED, State.APPLIED)
"""The states that orders are listed by. What is in none of these lists is asked for by itself."""


class OrderKind(StrEnum):
    """By which call an order was placed."""

    ENROLL = "enroll"
    RENEW = "renew"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True)
class Placed:
    """An order as its handle has it. id: its sslId; for REPLACE, of the certificate to be replaced. since: in UTC."""

    kind: OrderKind
    id: int
    since: datetime

    def handle(self) -> str:
        return f"{self.kind}/{self.id}/{int(self.since.timestamp())}"

    @classmethod
    def parse(cls, handle: str) -> Self:
        """Raises ValueError."""
        match = re.fullmatch(r"([a-z]{1,10})/([0-9]{1,18})/([0-9]{1,11})", handle)
        if match is None:
            raise ValueError("no handle of this backend")
        return cls(OrderKind(match[1]), int(match[2]), datetime.fromtimestamp(int(match[3]), UTC))

    def next_look(self, now: datetime) -> timedelta:
        """How long to wait for the next look: until a multiple of the interval, so that many are looked at together."""
        every = _SCHEDULE.every(now - self.since)
        wait = every - (now - last_multiple(now, every))
        return wait if wait >= every / 2 else wait + every

    def last_look(self, now: datetime) -> datetime:
        """When it was due for the last time: what is known since then is good enough."""
        return max(last_multiple(now, _SCHEDULE.every(now - self.since)), self.since)


class Waiting:
    """The states of pending orders, as they were last seen."""

    def __init__(self, client: Client, clock: Callable[[], datetime]) -> None:
        self._client, self._clock = client, clock
        self._looked: dict[int, datetime] = {}  # when somebody last asked for it
        self._seen: dict[int, tuple[datetime, State]] = {}
        self._listed_at = self._failed_at = datetime.min.replace(tzinfo=UTC)
        self._unlisted: Sequence[State] = ()  # the states that the last list left out
        self._missed = 0  # how many were in no list since then
        self._failure: Retryable | None = None
        self._listing = asyncio.Lock()

    def note(self, ssl_id: int, state: State) -> None:
        """It was seen to be in this state now."""
        self._seen[ssl_id] = (self._clock(), state)

    def done(self, ssl_id: int) -> None:
        """It is not waited for any more."""
        self._looked.pop(ssl_id, None)
        self._seen.pop(ssl_id, None)

    async def listed(self, placed: Placed, choice: Choice) -> State | None:
        """None where the order has to be looked at by itself. Raises Retryable, Misconfigured."""
        now = self._clock()
        self._looked[placed.id] = now
        if len(self._looked) <= _FEW:
            return None
        async with self._listing:
            if self._listed_at < placed.last_look(now) or now < self._listed_at:  # it was put back
                self._looked = {ssl_id: at for ssl_id, at in self._looked.items() if now - at <= _BORNE}
                kept = ((ssl_id, seen) for ssl_id, seen in self._seen.items() if ssl_id in self._looked)
                self._seen = {ssl_id: seen for ssl_id, seen in kept if seen[0] <= now}
                before = {state for _, state in self._seen.values()}
                first = [state for state in _LISTED if state in before or not before]
                await self._list(choice, first, now)
                self._unlisted, self._missed = tuple(state for state in _LISTED if state not in first), 0
            if (state := self._current(placed.id)) is None:
                self._missed += 1
                if self._unlisted and self._missed > _FEW:
                    await self._list(choice, self._unlisted, self._listed_at)
                    self._unlisted = ()
            return self._current(placed.id) if state is None else state

    def _current(self, ssl_id: int) -> State | None:
        """As it was listed, or looked at since."""
        seen = self._seen.get(ssl_id)
        return seen[1] if seen is not None and seen[0] >= self._listed_at else None

    def remembered(self, ssl_id: int) -> State | None:
        """While Sectigo does not answer, what was seen within the last hour is taken to be so still."""
        seen = self._seen.get(ssl_id)
        return seen[1] if seen is not None and self._clock() - seen[0] <= _BORNE else None

    async def _list(self, choice: Choice, states: Iterable[State], now: datetime) -> None:
        if self._failure is not None and self._failed_at <= now < self._failed_at + self._failure.after:
            raise self._failure  # all that wait would ask the same
        try:
            listed = await self._states(choice, states)
        except Refusal:
            listed = {}  # each is asked for by itself
        except Retryable as error:
            self._failed_at, self._failure = now, Retryable(str(error), max(error.after, _FIRST))
            raise
        self._failure, self._listed_at = None, now
        self._seen |= {ssl_id: (now, state) for ssl_id, state in listed.items()}

    async def _states(self, choice: Choice, states: Iterable[State]) -> dict[int, State]:
        """Of all orders that are in one of `states`. Raises Refusal as well."""
        state_by_id: dict[int, State] = {}
        scope = {"orgId": str(choice.organization), "sslTypeId": str(choice.profile), "size": str(_PAGE)}
        for state in states:
            for page in range(_MOST_PAGES):
                query = {**scope, "status": str(state), "position": str(page * _PAGE)}
                listed = ids_in(await self._client.get("/ssl/v1", query))
                state_by_id |= dict.fromkeys(listed, state)
                if len(listed) < _PAGE:
                    break
            else:
                raise Retryable(f"more than {_MOST_PAGES * _PAGE} orders are {state}, and no more are read")
        return state_by_id
