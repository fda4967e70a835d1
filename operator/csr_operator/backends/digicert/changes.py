"""How orders stand, asked for all of them at once.

All pending orders of an issuer share the answers: each is looked at when the clock passes a multiple of its interval,
which depends on its age, so that one call serves all that are due then.
"""

import asyncio
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from csr_operator.plugin.errors import BackendError, Misconfigured, Retryable
from csr_operator.plugin.recent import Recent
from csr_operator.plugin.schedule import Schedule

from .answers import number_of
from .client import Client

WAITING = frozenset({"needs_approval", "pending", "reissue_pending", "processing", "waiting_pickup", "submitted"})
"""Statuses of orders that something is still to happen to (Services API, Glossary, "Order status")."""

_FIRST, _NEW = timedelta(seconds=10), timedelta(minutes=2)
_LATER = Schedule(first=timedelta(minutes=1), longest=timedelta(minutes=32), young=timedelta(minutes=10))
_WINDOW = timedelta(days=7)  # the most that status-changes takes
_OVERLAP = timedelta(minutes=2)  # for clocks that differ, and changes that show late
_TOLERATED = timedelta(hours=1)
_PAGE, _MOST_SHOWN = 1000, 50
_MOST_KNOWN = 100_000
"""Orders of the account; any other is asked for by itself."""


def interval(age: timedelta) -> timedelta:
    """How often to look at an order of this age: at first each 10 seconds, from 2 minutes on each minute, from 20
    minutes on each 2, and so on up to 32.
    """
    return _FIRST if age < _NEW else _LATER.every(age)


class Changes:
    """Of the orders that are pending, and those that were asked for. After a restart, all pending ones of the account
    are listed once.
    """

    def __init__(self, client: Client, clock: Callable[[], datetime]) -> None:
        self._client, self._clock = client, clock
        self._lock = asyncio.Lock()
        self._known: Recent[int, str] = Recent(_MOST_KNOWN)
        self._updated = self._tried = datetime.min.replace(tzinfo=UTC)  # successfully, and at all
        self._failure: BackendError | None = None

    def note(self, order: int, status: str) -> None:
        """Remember what an answer about the order itself said."""
        self._known[order] = status

    def forget(self, order: int) -> None:
        self._known.pop(order, None)

    async def status(self, order: int, since: datetime) -> str:
        """As it was at `since` or later; empty if only the order itself can be asked.

        While DigiCert does not answer, it is taken to be as before, for an hour. Raises Retryable after that, and
        Misconfigured.
        """
        async with self._lock:
            if self._tried < since or self._clock() < self._tried:  # it was put back
                await self._ask()
        if self._failure is not None and (
            isinstance(self._failure, Misconfigured) or not timedelta(0) <= self._clock() - self._updated <= _TOLERATED
        ):
            raise self._failure
        return self._known.get(order, "")

    async def _ask(self) -> None:
        now = self._clock()
        self._tried = now
        try:
            if not timedelta(0) <= now - self._updated <= _WINDOW - _OVERLAP:
                query = {f"filters[status][{n}]": status for n, status in enumerate(sorted(WAITING))}
                statuses = await self._pages("order/certificate", "id", query)
                for order in self._known.keys() - statuses.keys():
                    del self._known[order]
                self._known.update(statuses)
            else:
                seconds = math.ceil((now - self._updated + _OVERLAP).total_seconds())
                query = {"seconds": str(seconds)}
                statuses = await self._pages("order/certificate/status-changes", "order_id", query)
                self._known.update({order: status for order, status in statuses.items() if order in self._known})
        except (Retryable, Misconfigured) as error:
            self._failure = error
            return
        except BackendError as error:
            self._failure = Retryable(str(error))  # no fault of the orders
            return
        self._updated, self._failure = now, None

    async def _pages(self, path: str, id_field: str, query: dict[str, str]) -> dict[int, str]:
        """Status by order; raises as `Client.get` does."""
        statuses: dict[int, str] = {}
        async for page in self._client.pages(path, "orders", query, _PAGE):
            try:
                statuses |= {number_of(entry[id_field]): str(entry["status"])[:_MOST_SHOWN] for entry in page}
            except (KeyError, TypeError, ValueError):
                raise Retryable(f"DigiCert's answer about {path} is not of the published form") from None
        return statuses
