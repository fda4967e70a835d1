"""Sets up what proves the names of an order to the CA, has the CA look, and takes it back."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from csr_acme import AcmeClient, Authorization, Identifier, Order, Refused
from csr_operator.plugin.errors import BackendError, Rejected, Retryable
from csr_operator.plugin.text import redact

from .identifiers import is_asked
from .refusals import is_of_the_account
from .solvers import Proof, Prover, Solver, Solvers, find_missing, name_of

T = TypeVar("T")

logger = logging.getLogger(__name__)

_AT_ONCE = 8
"""Of one order's names, how many are worked on at the same time."""

_MOST_LEFT = 1000
"""Responses that could not be removed: of more, where nothing can be removed, the earliest are given up."""

_TELL_AGAIN = timedelta(minutes=5)
"""A CA is told of a challenge once: each time more has it look once more, and count what it does not see (Let's
Encrypt's own software leaves a challenge `pending` while it looks). Still pending after this, it may not have heard."""


@dataclass(frozen=True, slots=True)
class _Trace:
    """What is, or may be, set up for an order of these names, by authorization; and until when the CA, which was told
    of a challenge, has time to look."""

    identifiers: frozenset[Identifier]
    pairs: dict[str, tuple[Solver, Proof]] = field(default_factory=dict)
    told: dict[str, tuple[datetime, datetime]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Progress:
    """unseen: by name, what is missing for the CA to be told to look. by_user: some of that is a person's to set up."""

    authorizations: Sequence[Authorization]
    unseen: dict[str, str] = field(default_factory=dict)
    by_user: bool = False

    @property
    def waiting(self) -> list[Authorization]:
        return [authorization for authorization in self.authorizations if authorization.status == "pending"]

    @property
    def failed(self) -> list[Authorization]:
        return [
            authorization for authorization in self.authorizations if authorization.status not in ("pending", "valid")
        ]


class Proving:
    """Orders are known by their URLs. identifiers: the names that were asked for, which no CA adds to."""

    def __init__(self, solvers: Solvers, clock: Callable[[], datetime]) -> None:
        self._solvers, self._clock = solvers, clock
        self._traces: dict[str, _Trace] = {}  # by order
        self._set_up: set[str] = set()  # authorizations, by this process
        self._left: list[tuple[Solver, Proof]] = []  # could not be removed so far

    def knows(self, url: str) -> bool:
        return url in self._traces

    def begin(self, url: str, identifiers: Iterable[Identifier]) -> None:
        """The order was placed just now: nothing is set up for it, unless it is one that is worked on already."""
        self._traces.setdefault(url, _Trace(frozenset(identifiers)))

    def forget(self, url: str) -> None:
        trace = self._traces.pop(url, None)
        self._set_up.difference_update(trace.pairs if trace is not None else ())

    async def recall(self, client: AcmeClient, order: Order, identifiers: Iterable[Identifier]) -> None:
        """Find out what another process may have set up for it."""
        if order.url in self._traces:
            return
        trace, prover = _Trace(frozenset(identifiers)), await _prover(client)
        for authorization in await self.authorizations(client, order, trace.identifiers):
            try:
                pair = self._solvers.choose(authorization, prover)
            except Rejected:
                continue
            if pair is not None:
                trace.pairs[authorization.url] = pair
        self._traces[order.url] = trace

    async def authorizations(
        self, client: AcmeClient, order: Order, identifiers: Iterable[Identifier]
    ) -> list[Authorization]:
        """Those of the names that were asked for, as far as the CA knows them, also of an order that does not tell them
        any more."""
        trace, wanted = self._traces.get(order.url), frozenset(identifiers)
        urls = order.authorizations or (trace.pairs if trace is not None else ())

        async def read(url: str) -> Authorization | None:
            try:
                return await client.authorization(url)
            except Refused as error:
                if is_of_the_account(error):
                    raise
                return None  # it has expired

        return [
            authorization
            for authorization in await gather_bounded(urls, read)
            if authorization is not None and is_asked(authorization, wanted)
        ]

    async def go_on(self, client: AcmeClient, order: Order) -> Progress:
        """Set up what is not yet, and have the CA look at what can be seen. Raises BackendError.

        Rejected, before anything is set up, if the CA wants a name proven that was not asked for.
        """
        wanted = self._traces[order.url].identifiers
        progress = Progress(await gather_bounded(order.authorizations, client.authorization))
        for authorization in progress.authorizations:
            if not is_asked(authorization, wanted):
                raise Rejected(
                    f"the CA asks for proof of control over {redact(name_of(authorization), ())}, which the request "
                    "does not name, and gets none: check that spec.acme.server is the CA that you mean"
                )
        if progress.failed or not progress.waiting:
            return progress
        trace, now, prover = self._traces[order.url], self._clock(), await _prover(client)
        pairs = []
        for authorization in progress.waiting:
            if not authorization.challenges:  # which RFC 8555, section 7.1.4, does not allow: it may have been a fault
                raise Retryable(
                    f"{redact(name_of(authorization), ())}: the CA names no challenge by which to prove control of it"
                )
            pair = self._solvers.choose(authorization, prover)
            if pair is None:
                raise Rejected(self._solvers.not_offered(authorization))
            if pair[1].challenge.status == "pending" and self._is_to_be_told(trace, authorization, now):
                pairs.append(pair)

        async def present(pair: tuple[Solver, Proof]) -> None:
            url = pair[1].authorization.url
            if url not in self._set_up:
                trace.pairs[url] = pair  # before, as it may fail half-way
                await pair[0].present(pair[1])
                self._set_up.add(url)

        async def tell(pair: tuple[Solver, Proof]) -> None:
            try:
                await client.respond(pair[1].challenge)
            except Refused as error:
                if is_of_the_account(error):
                    raise
                # It looks already, or has looked: the authorization says what came of it.
                logger.info("%s: told of the challenge, the CA says: %s", pair[1].name, redact(str(error)))
            trace.told[pair[1].authorization.url] = now, now + _TELL_AGAIN

        await gather_bounded((pair for pair in pairs if not pair[0].exclusive), present)
        # The last, as others may wait for them; in one order for all, as two could wait for each other.
        for pair in sorted((pair for pair in pairs if pair[0].exclusive), key=lambda pair: pair[1].identifier.value):
            await present(pair)
        unseen = await find_missing(pairs) if pairs else {}
        told = [pair for pair in pairs if pair[1].name not in unseen]
        by_user = any(solver.by_hand and proof.name in unseen for solver, proof in pairs)
        await gather_bounded(told, tell)
        if not told:
            return Progress(progress.authorizations, unseen, by_user)
        # Some CAs have looked before the answer is read.
        return Progress(await gather_bounded(order.authorizations, client.authorization), unseen, by_user)

    def _is_to_be_told(self, trace: _Trace, authorization: Authorization, now: datetime) -> bool:
        """retry_after is as old as the authorization, which was read just now: it puts the next time off."""
        told = trace.told.get(authorization.url)
        if told is None:
            return True
        at, until = told
        if authorization.retry_after is not None and now < until:
            trace.told[authorization.url] = at, max(until, now + timedelta(seconds=authorization.retry_after))
        # A clock that was put back is no reason to be silent.
        return not at <= now < until

    async def clean_up(self, url: str) -> None:
        """Take back what was set up. What cannot be, now, delays no certificate: see `clean_up_rest`."""
        trace = self._traces.get(url)
        if trace is None:
            return
        for pair in trace.pairs.values():
            if not await self._withdrawn(pair):
                self._left.append(pair)
        for _, proof in self._left[:-_MOST_LEFT]:
            self._set_up.discard(proof.authorization.url)
        del self._left[:-_MOST_LEFT]
        self._traces[url] = _Trace(trace.identifiers, told=trace.told)

    async def clean_up_rest(self) -> None:
        """Try again what could not be taken back."""
        for pair in list(self._left):
            if await self._withdrawn(pair):
                with suppress(ValueError):  # it had to make room
                    self._left.remove(pair)

    async def take_back(self, url: str, identifiers: Iterable[Identifier]) -> None:
        """As `clean_up`, of an order for just these names, and raises BackendError if something stays."""
        trace = self._traces.get(url)
        if trace is not None and trace.identifiers == frozenset(identifiers):
            await gather_bounded(trace.pairs.values(), lambda pair: pair[0].withdraw(pair[1]))
            self.forget(url)

    async def _withdrawn(self, pair: tuple[Solver, Proof]) -> bool:
        solver, proof = pair
        try:
            await solver.withdraw(proof)
        except BackendError as error:
            logger.warning("%s: the response to its challenge is not removed yet: %s", proof.name, error)
            return False
        self._set_up.discard(proof.authorization.url)
        return True


async def _prover(client: AcmeClient) -> Prover:
    own = client.origin.has(client.account_url)
    return Prover(client.account_url, client.key, own, (await client.directory()).caa_identities)


async def gather_bounded(items: Iterable[Any], work: Callable[[Any], Awaitable[T]]) -> list[T]:
    """`work` on all, a few at once; the first error after all have ended."""
    free = asyncio.Semaphore(_AT_ONCE)

    async def work_on(item: Any) -> T:
        async with free:
            return await work(item)

    results = await asyncio.gather(*(work_on(item) for item in items), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]
