"""Keeps every object moving: which reconciler has which kind, and what they share.

Nothing here knows kopf. What the watches show is only filed, and marks keys; all work is done by the workers.
"""

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import aiohttp

from csr_operator.api.keys import Kind, ObjectKey, Raw, SecretKey
from csr_operator.api.request import CertificateRequest
from csr_operator.api.seal import Seal
from csr_operator.api.shards import shard_of
from csr_operator.challenges.responder import Challenges
from csr_operator.issuance.keymaker import KeyMaker
from csr_operator.issuance.performer import Performer
from csr_operator.kube.client import Kube
from csr_operator.kube.events import Events
from csr_operator.metrics import IssuerSample, RequestSample
from csr_operator.settings import Settings

from .actions import Actions
from .clock import watch_clock
from .filing import Filing
from .issuer_reconciler import IssuerReconciler
from .issuers import Issuers
from .journal import Journal
from .memory import Memory
from .paces import Paces
from .permission import Permission
from .queue import WorkQueue
from .reconciler import Key, Reconciler
from .renewal_advice import RenewalAdvice
from .repairs import Repairs
from .replica import Replica
from .reports import Reports
from .requests import RequestReconciler
from .revocations import Revocations
from .scope import Scope
from .secrets import SecretReconciler
from .situations import Situations
from .slots import Slots
from .store import Store
from .workers import Workers

_CALLS = 8
"""At most so many renewal questions, and order withdrawals, run at the same time."""


class Controller:
    """clock: the time now, in UTC. seal: has its keys before the first Secret is shown. session: for all backends.

    replica: what it is among several; when all was shown that it took, `filed` is to be called.
    """

    def __init__(
        self,
        settings: Settings,
        kube: Kube,
        clock: Callable[[], datetime],
        challenges: Challenges,
        seal: Seal,
        session: Callable[[], aiohttp.ClientSession],
        replica: Replica,
    ) -> None:
        self._settings, self._clock = settings, clock
        loop = asyncio.get_running_loop()
        self._queue: WorkQueue[Key] = WorkQueue(lambda key: key.namespace)
        wake = self._queue.add
        self._store = store = Store(changed=self._wake_request)
        self.scope = scope = Scope(replica, self._let_go)
        """What this replica works on: nothing, at first."""

        self._events, journal, memory = Events(kube.transport, clock), Journal(loop.time), Memory(store.knows)
        self._issuers = issuers = Issuers(
            kube,
            settings.cluster_resource_namespace,
            clock,
            self._wake_dependents,
            challenges,
            settings.dns_programs,
            session,
            scope,
        )
        self._cpu = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="signatures")
        permission = Permission(store, issuers, kube.namespaces)
        performer = Performer(kube, self._cpu, clock, seal, permission.check)
        slots, calls = Slots(wake=wake, later=loop.call_later, replica=replica), asyncio.Semaphore(_CALLS)
        paces, repairs = Paces(memory, seal, clock), Repairs()
        advice = RenewalAdvice(performer.secrets, self._events, store, memory, calls, clock)
        reports = Reports(kube.custom_objects, performer, self._events, journal, store, memory, paces, clock)
        revocations = Revocations(kube, performer.revoker, store, issuers, reports, self._events, journal, clock)
        situations = Situations(
            settings, kube.secrets, kube.namespaces, store, issuers, memory, paces, advice, seal, clock
        )
        actions = Actions(
            kube.custom_objects,
            performer,
            store,
            issuers,
            memory,
            situations,
            paces,
            advice,
            revocations,
            repairs,
            self._events,
            journal,
            wake,
            self._show_request,
            self._forget_request,
            clock,
        )
        self._requests = RequestReconciler(
            store,
            issuers,
            memory,
            situations,
            actions,
            advice,
            reports,
            revocations,
            slots,
            scope,
            KeyMaker(made=wake),
            repairs,
            journal,
            wake,
            clock,
        )
        secrets = SecretReconciler(
            kube.custom_objects, performer.staging, performer.revoker, store, issuers, scope, seal, calls, wake, clock
        )
        interval = timedelta(seconds=settings.issuer_check_interval)
        in_namespaces = IssuerReconciler(Kind.ISSUER, issuers, slots, journal, interval, wake)
        of_cluster = IssuerReconciler(Kind.CLUSTER_ISSUER, issuers, slots, journal, interval, wake)
        self._filings: list[Filing[Any]] = [self._requests.filing, in_namespaces.filing, of_cluster.filing]
        self.reconcilers: Mapping[Kind, Reconciler] = {
            Kind.SECRET: secrets,
            Kind.CERTIFICATE_REQUEST: self._requests,
            Kind.ISSUER: in_namespaces,
            Kind.CLUSTER_ISSUER: of_cluster,
        }
        """One for each kind that is watched."""

        self._workers = Workers(self._queue, self._of, scope)
        self._clock_watch: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to work; not before all Secrets and issuers have been listed."""
        self._workers.start(self._settings.workers)
        self._clock_watch = asyncio.create_task(watch_clock(self._clock, self._look_at_all), name="clock")

    def is_alive(self) -> bool:
        """False once it was stopped, or if a worker has ended, which none should."""
        return self._workers.is_alive() and not (self._clock_watch is not None and self._clock_watch.done())

    async def stop(self) -> None:
        """Give up what is under way; a restart takes it up again."""
        if self._clock_watch is not None:
            self._clock_watch.cancel()
            await asyncio.gather(self._clock_watch, return_exceptions=True)
        await self._workers.stop()
        await self._requests.stop()
        for filing in self._filings:
            await filing.stop()
        await self._events.drain()
        await self._issuers.close()
        self._cpu.shutdown(wait=False, cancel_futures=True)

    async def all_filed(self) -> None:
        """Return when all that was shown until now is filed."""
        for filing in self._filings:
            await filing.all_filed()

    def filed(self, takings: int) -> None:
        """All is filed of the shards that had been taken by then (as `scope.takings` was): work on them begins."""
        shards = self.scope.filed(takings)
        for key, _ in self._issuers.uids():
            if shard_of(key.namespace, key.name) in shards:
                self._queue.add(key)  # whoever had it may not have told how it is

    def samples(self) -> Iterator[RequestSample]:
        """For the metrics: each request as it stands now. Called in a thread, so nothing is changed here."""
        return self._requests.samples()

    def issuer_samples(self) -> Iterator[IssuerSample]:
        """The same of each issuer."""
        return self._issuers.samples()

    def _of(self, key: Key) -> Reconciler:
        return self.reconcilers[Kind.SECRET if isinstance(key, SecretKey) else key.kind]

    def _show_request(self, obj: Raw) -> None:
        self._requests.observe(obj)

    def _forget_request(self, request: CertificateRequest) -> None:
        self._requests.forget(request.key, request.uid, "")

    def _wake_request(self, key: ObjectKey) -> None:
        request = self._store.request(key)
        # Until the first check of an issuer is over nothing is decided; then all that name it are woken.
        if request is None or not any(map(self._issuers.is_unchecked, request.issuers)):
            self._queue.add(key)

    def _wake_dependents(self, issuer: ObjectKey) -> None:
        # Also those that are told that they may have meant this one, or may not any more.
        missing = (key for key in self._store.namesakes(issuer) if self._issuers.get(key) is None)
        for key in (issuer, *missing):
            for dependent in self._store.dependents(key):
                self._queue.add(dependent)

    def _let_go(self, shards: frozenset[int]) -> None:
        self._workers.cancel(shards)
        self._requests.let_go(self._store.let_go(shards))

    def _look_at_all(self) -> None:
        for request in self._store.requests():
            self._queue.add(request.key)
