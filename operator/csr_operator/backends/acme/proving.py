"""Sets up what proves the names of an order to the CA, has the CA look, and takes it back."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from csr_acme import AcmeClient, Authorization, Order
from csr_operator.backends.base import BackendError, Rejected

from .solvers import Proof, Solver, Solvers, missing

T = TypeVar("T")

logger = logging.getLogger(__name__)

_AT_ONCE = 8
"""Of one order's names, how many are worked on at the same time."""

_Pairs = dict[str, tuple[Solver, Proof]]
"""What is, or may be, set up for an order, by authorization."""


@dataclass(frozen=True, slots=True)
class Progress:
    """unseen: by name, what is missing for the CA to be told to look."""

    authorizations: Sequence[Authorization]
    unseen: dict[str, str] = field(default_factory=dict)

    @property
    def waiting(self) -> list[Authorization]:
        return [one for one in self.authorizations if one.status == "pending"]

    @property
    def failed(self) -> list[Authorization]:
        return [one for one in self.authorizations if one.status not in ("pending", "valid")]


class Proving:
    """Orders are known by their URLs."""

    def __init__(self, solvers: Solvers) -> None:
        self._solvers = solvers
        self._traces: dict[str, _Pairs] = {}  # by order
        self._set_up: set[str] = set()  # authorizations, by this process
        self._left: list[tuple[Solver, Proof]] = []  # could not be removed so far

    def knows(self, url: str) -> bool:
        return url in self._traces

    def begin(self, url: str) -> None:
        """The order was placed just now: nothing is set up for it."""
        self._traces[url] = {}

    def forget(self, url: str) -> None:
        for authorization in self._traces.pop(url, {}):
            self._set_up.discard(authorization)

    async def recall(self, client: AcmeClient, order: Order) -> None:
        """Find out what another process may have set up for it."""
        if order.url in self._traces:
            return
        traces: _Pairs = {}
        for one in await each(order.authorizations, client.authorization):
            try:
                pair = self._solvers.choose(one, client.account_url, client.key)
            except Rejected:
                continue
            if pair is not None:
                traces[one.url] = pair
        self._traces[order.url] = traces

    def authorizations(self, order: Order) -> Iterable[str]:
        """Their URLs, also of an order that does not tell them any more."""
        return order.authorizations or self._traces.get(order.url, {})

    async def go_on(self, client: AcmeClient, order: Order) -> Progress:
        """Set up what is not yet, and have the CA look at what can be seen. Raises BackendError."""
        progress = Progress(await each(order.authorizations, client.authorization))
        if progress.failed or not progress.waiting:
            return progress
        pairs = []
        for one in progress.waiting:
            pair = self._solvers.choose(one, client.account_url, client.key)
            if pair is None:
                raise Rejected(self._solvers.not_offered(one))
            if pair[1].challenge.status == "pending":
                pairs.append(pair)

        async def present(pair: tuple[Solver, Proof]) -> None:
            url = pair[1].authorization.url
            if url not in self._set_up:
                self._traces[order.url][url] = pair  # before, as it may fail half-way
                await pair[0].present(pair[1])
                self._set_up.add(url)

        await each(pairs, present)
        unseen = await missing(pairs)
        told = [pair for pair in pairs if pair[1].name not in unseen]
        await each(told, lambda pair: client.respond(pair[1].challenge))
        if not told:
            return Progress(progress.authorizations, unseen)
        # Some CAs have looked before the answer is read.
        return Progress(await each(order.authorizations, client.authorization), unseen)

    async def clean_up(self, url: str) -> None:
        """Take back what was set up. What cannot be, now, delays no certificate: see `clean_up_rest`."""
        for pair in self._traces.get(url, {}).values():
            if not await self._withdrawn(pair):
                self._left.append(pair)
        self._traces[url] = {}

    async def clean_up_rest(self) -> None:
        """Try again what could not be taken back."""
        self._left = [pair for pair in self._left if not await self._withdrawn(pair)]

    async def take_back(self, url: str) -> None:
        """As `clean_up`, and raises BackendError if something stays."""
        await each(self._traces.get(url, {}).values(), lambda pair: pair[0].withdraw(pair[1]))

    async def _withdrawn(self, pair: tuple[Solver, Proof]) -> bool:
        solver, proof = pair
        try:
            await solver.withdraw(proof)
        except BackendError as error:
            logger.warning("%s: what proved it to the CA is not removed yet: %s", proof.name, error)
            return False
        self._set_up.discard(proof.authorization.url)
        return True


async def each(items: Iterable[Any], work: Callable[[Any], Awaitable[T]]) -> list[T]:
    """`work` on all, a few at once; the first error after all have ended."""
    free = asyncio.Semaphore(_AT_ONCE)

    async def one(item: Any) -> T:
        async with free:
            return await work(item)

    results = await asyncio.gather(*(one(item) for item in items), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]
