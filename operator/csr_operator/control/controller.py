"""Keeps every request moving: decide, perform, one status patch.

Nothing here knows kopf. `observe` only files what came and marks keys; all work is done by the workers.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

import aiohttp
from cryptography import x509

from csr_operator.api.issuer import Issuer
from csr_operator.api.keys import Kind, ObjectKey, Raw, SecretKey, issuer_key, issuer_name
from csr_operator.api.names import REVOCATION_FINALIZER, STATE_KEY
from csr_operator.api.parse_issuer import parse_issuer
from csr_operator.api.parse_request import parse_request
from csr_operator.api.parse_secret import parse_secret_meta, parse_staged
from csr_operator.api.reasons import Reason
from csr_operator.api.request import CertificateRequest, RequestStatus, RotationPolicy
from csr_operator.api.seal import Seal
from csr_operator.api.secrets import Record, SecretMeta, Staged
from csr_operator.api.times import format_time, parse_time
from csr_operator.challenges.responder import Challenges
from csr_operator.control.clock import SKEW, watch_clock
from csr_operator.decisions.actions import (
    Action,
    Adopt,
    Consult,
    Discard,
    Forget,
    Guard,
    Hold,
    Issue,
    Keep,
    LetGo,
    Release,
    Rest,
    Restore,
    Resume,
    Revoke,
)
from csr_operator.decisions.decide import decide
from csr_operator.decisions.obstacles import forbidden, fought_over, namesake_of
from csr_operator.decisions.ownership import owns
from csr_operator.decisions.pace import Pace
from csr_operator.decisions.policy import key_violations, violations
from csr_operator.decisions.policy_facts import asked_for, consider
from csr_operator.decisions.renewal import fraction, renewal_time
from csr_operator.decisions.revocation import unrevocable
from csr_operator.decisions.serving import is_served
from csr_operator.decisions.status import request_status, status_body
from csr_operator.decisions.world import Failure, IssuerState, Waiting, World
from csr_operator.issuance.backend_calls import Ca
from csr_operator.issuance.failures import Failed, Overtaken
from csr_operator.issuance.keymaker import KeyMaker, takes_long
from csr_operator.issuance.performer import NeedsKey, Ordered, Performer, Written
from csr_operator.issuance.secret_body import staging_key
from csr_operator.kube.client import Kube
from csr_operator.kube.errors import KubeError, Unreachable
from csr_operator.kube.events import Events
from csr_operator.metrics import SKIPPED_SAMPLES, UNREADABLE, IssuerSample, RequestSample
from csr_operator.pki.csr import csr_digest
from csr_operator.pki.errors import quoted
from csr_operator.pki.fingerprint import serial_octets
from csr_operator.pki.keys import PrivateKey, parameters_of
from csr_operator.plugin.offload import LARGE, offload, weight_of, where
from csr_operator.settings import Settings

from .issuers import Issuers, Live
from .journal import Journal, issued_text
from .queue import WorkQueue
from .repairs import Repairs
from .slots import Slots
from .store import Store

T = TypeVar("T")

logger = logging.getLogger(__name__)

_PATIENCE = 10.0
"""Seconds after which a user is told that a CA has not answered yet."""

_SOON = timedelta(seconds=15)
"""A pending order that is looked at again so soon is not worth a write, unless it has been so for a while."""

_ORDERED = (Reason.PENDING, Reason.ACTION_REQUIRED)
"""The reasons of an order that is placed, and waits."""

_BRIEF = timedelta(seconds=20)
"""So long an order may take before its user is told what it waits for."""

_CONSULT_SPREAD = timedelta(hours=1)
"""After a start, CAs are asked within this time when they want certificates renewed, each once."""

_CONSULT_AGAIN = timedelta(hours=6)
"""Where the CA does not say when to ask again, or could not be asked."""

_CONSULTATIONS = 8
"""How many of those are under way at once; as many orders are taken back at once."""

_GIVE_UP = timedelta(hours=1)
"""How long a namespace may be kept from going because a CA, or a DNS server, does not take an order back."""

_REMIND = timedelta(hours=24)
"""How often a user is reminded of what waits for a person."""

_KEY_PATIENCE = 30.0
"""Seconds after which a user is told that a key is not made yet."""

_NOT_OURS = f"was written by somebody else, or Secret {STATE_KEY} of the operator's namespace has got another key since"
"""How it is told that the code of something does not verify."""


@dataclass(frozen=True, slots=True)
class _Look:
    """Where somebody else's Secret was looked for, what was found, and when; at: None if that is out of date."""

    secret: SecretKey
    found: SecretMeta | None
    at: datetime | None


_CaAction = Issue | Resume | Revoke | Consult
_Call = tuple[CertificateRequest, _CaAction, Live]


class Controller:
    """clock: the time now, in UTC. seal: has its keys before the first Secret is shown. session: for all backends."""

    def __init__(
        self,
        settings: Settings,
        kube: Kube,
        clock: Callable[[], datetime],
        challenges: Challenges,
        seal: Seal,
        session: Callable[[], aiohttp.ClientSession],
    ) -> None:
        self._settings, self._kube, self._clock, self._seal = settings, kube, clock, seal
        self._cpu = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="signatures")
        self._performer = Performer(kube, self._cpu, clock, seal, self._must_be_allowed)
        self._events = Events(kube.transport, clock)
        self._journal = Journal(asyncio.get_running_loop().time)
        self._queue: WorkQueue[ObjectKey | SecretKey] = WorkQueue(lambda key: key.namespace)
        self._store = Store(changed=self._queue.add)
        self._issuers = Issuers(
            kube,
            settings.cluster_resource_namespace,
            clock,
            self._wake_dependents,
            challenges,
            settings.dns_programs,
            session,
        )
        later = asyncio.get_running_loop().call_later
        self._slots = Slots(wake=self._queue.add, later=later)
        self._keys = KeyMaker(made=self._queue.add)
        self._repairs = Repairs()
        self._failures: dict[ObjectKey, dict[ObjectKey | None, Failure]] = {}
        self._unrevoked: dict[ObjectKey, dict[ObjectKey, Failure]] = {}
        self._waiting: dict[ObjectKey, Waiting] = {}
        self._consult: dict[ObjectKey, tuple[str, datetime]] = {}  # the reference, and when to ask about it
        self._looks: dict[ObjectKey, _Look] = {}  # for Secrets that no watch shows
        self._paces: dict[ObjectKey, Pace] = {}  # outlive the Secrets whose records have them
        self._warned: dict[ObjectKey, tuple[str, tuple[str, ...]]] = {}  # which forgeries its user was told of
        self._refused: dict[ObjectKey, RequestStatus] = {}  # what the API server does not take, without times
        self._unfiled: dict[ObjectKey, str] = {}  # what was seen and cannot be read, with its UID
        self._reading: dict[ObjectKey, asyncio.Task[None]] = {}  # what takes long to read, each after what came before
        self._gently = asyncio.Semaphore(_CONSULTATIONS)
        self._workers: list[asyncio.Task[None]] = []
        self._apart: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to work; not before all Secrets and issuers have been listed."""
        self._workers = [asyncio.create_task(self._work(), name=f"worker {n}") for n in range(self._settings.workers)]
        self._workers.append(asyncio.create_task(watch_clock(self._clock, self._look_at_all), name="clock"))

    def is_alive(self) -> bool:
        """False once it was stopped, or if a worker has ended, which none should."""
        return not any(worker.done() for worker in self._workers)

    async def stop(self) -> None:
        """Give up what is under way; a restart takes it up again."""
        tasks = [*self._workers, *self._apart, *self._reading.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._events.drain()
        await self._issuers.close()
        self._cpu.shutdown(wait=False, cancel_futures=True)

    # What the watches show.

    def observe(self, kind: Kind, obj: Raw) -> None:
        """A CertificateRequest, Issuer or ClusterIssuer is there, or has changed.

        Whatever is in it: one that cannot be filed is counted, told of in the log, and counts as seen. What takes long
        to read is filed later, and holds up nothing but what comes of the same object meanwhile.
        """
        metadata = obj["metadata"]
        key = ObjectKey(kind, metadata.get("namespace", ""), metadata["name"])
        uid, version = metadata["uid"], metadata["resourceVersion"]
        if kind is Kind.CERTIFICATE_REQUEST and self._store.has_seen(key, uid, version):
            return
        weight, before = weight_of([obj.get("spec"), obj.get("status")]), self._reading.get(key)
        if weight <= LARGE and before is None:
            self._file(key, uid, _parsed(kind, obj))
        else:
            self._read(key, self._file_later(key, obj, weight, before))

    def _read(self, key: ObjectKey, coroutine: Coroutine[Any, Any, None]) -> None:
        self._reading[key] = task = asyncio.create_task(coroutine)

        def over(_: asyncio.Task[None]) -> None:
            if self._reading.get(key) is task:
                del self._reading[key]

        task.add_done_callback(over)

    async def _file_later(self, key: ObjectKey, obj: Raw, weight: int, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        parsed = await offload(weight, _parsed, key.kind, obj)
        self._file(key, obj["metadata"]["uid"], parsed)

    async def _forget_later(self, key: ObjectKey, uid: str, before: asyncio.Task[None]) -> None:
        await asyncio.wait([before])
        self._forget(key, uid)

    def _file(self, key: ObjectKey, uid: str, parsed: CertificateRequest | Issuer | Exception) -> None:
        try:
            match parsed:
                case CertificateRequest():
                    if not self._store.has_seen(key, parsed.uid, parsed.resource_version):
                        self._store.put_request(parsed)
                case Issuer():
                    if self._issuers.observe(parsed):
                        self._queue.add(key)
                case _:
                    raise parsed
            self._unfiled.pop(key, None)
        except Exception as error:
            self._unfiled[key] = uid
            UNREADABLE.labels(key.kind).inc()
            self._journal.say(logging.ERROR, key, f"cannot be read, and is left alone: {where(error)}")

    async def all_filed(self) -> None:
        """Return when all that was shown until now is filed."""
        if self._reading:
            await asyncio.wait([*self._reading.values()])

    def observe_secret(self, obj: Raw) -> None:
        """The metadata of one of the operator's own Secrets that is there, or has changed.

        What is not understood is filed as a Secret of somebody else, which is never written to.
        """
        meta = self._understood(obj, lambda: parse_staged(obj, self._seal) or parse_secret_meta(obj, self._seal))
        self._store.saw_secret(meta)
        if isinstance(meta, Staged):
            if (meta.deleted and meta.leaves_traces) or not self._store.knows(meta.owner_uid):
                self._queue.add(meta.key)
        elif meta.deleted and meta.guarded:
            self._queue.add(meta.key)
        self._wake_readers(meta.key)

    def _understood(self, obj: Raw, parse: Callable[[], T]) -> T | SecretMeta:
        try:
            return parse()
        except Exception as error:
            meta = _not_understood(obj)
            UNREADABLE.labels("Secret").inc()
            logger.warning("Secret %s/%s cannot be read, and is left alone: %s", *meta.key, where(error))
            return meta

    def forget_secret(self, key: SecretKey, resource_version: str) -> None:
        """It is gone, or no longer the operator's, since that resource version."""
        self._store.saw_no_secret(key, resource_version)
        self._wake_readers(key)

    def forget(self, key: ObjectKey, uid: str) -> None:
        """The object is gone; another of its name may be there already."""
        if (before := self._reading.get(key)) is not None:
            self._read(key, self._forget_later(key, uid, before))
        else:
            self._forget(key, uid)

    def _forget(self, key: ObjectKey, uid: str) -> None:
        self._journal.forget(key)
        self._unfiled.pop(key, None)
        request = self._store.request(key)
        if key.kind is not Kind.CERTIFICATE_REQUEST:
            if self._issuers.forget(key, uid):
                self._queue.forget(key)
                self._slots.forget(key)
        elif self._store.drop_request(key, uid):
            if request is not None:
                self._tell_what_stays_valid(request)
            self._failures.pop(key, None)
            self._unrevoked.pop(key, None)
            self._waiting.pop(key, None)
            self._consult.pop(key, None)
            self._paces.pop(key, None)
            self._looks.pop(key, None)
            self._warned.pop(key, None)
            self._repairs.forget(key)
            self._refused.pop(key, None)
            self._queue.forget(key)
            self._queue.add(key)  # so that it leaves the lines in which it waits
            if request is not None:
                # What it leaves behind, if Kubernetes was told to leave it, or somebody removed its finalizer.
                for left in (request.secret, staging_key(request)):
                    if self._store.secret_at(left) is not None or self._store.staged_at(left) is not None:
                        self._queue.add(left)

    def known(self, kind: Kind) -> dict[ObjectKey, str]:
        """All of one kind that were seen, understood or not, with their UIDs."""
        unfiled = {key: uid for key, uid in self._unfiled.items() if key.kind is kind}
        if kind is Kind.CERTIFICATE_REQUEST:
            return {**unfiled, **{request.key: request.uid for request in self._store.requests()}}
        return {**unfiled, **{key: uid for key, uid in self._issuers.uids() if key.kind is kind}}

    def known_secrets(self, namespace: str) -> set[SecretKey]:
        """Those in `namespace`; empty: all."""
        return self._store.secret_keys(namespace)

    def samples(self) -> Iterator[RequestSample]:
        """For the metrics: each request as it stands now. Called in a thread, so nothing is changed here."""
        now = self._clock()
        for request in list(self._store.requests()):
            try:
                yield self._sample(request, now)
            except Exception:
                SKIPPED_SAMPLES.inc()  # one that shows nothing hides no other
                logger.debug("%s: no sample", request.key, exc_info=True)

    def _sample(self, request: CertificateRequest, now: datetime) -> RequestSample:
        secret, staged = self._store.own_secret(request), self._store.staged(request)
        record = secret.record if secret is not None else None
        return RequestSample(
            request.namespace,
            request.name,
            is_served(request, secret, now),
            parse_time(record.not_after).timestamp() if record else None,
            renewal_time(request, record).timestamp() if record else None,
            parse_time(staged.created).timestamp() if staged else None,
            tuple(
                (c.type, c.reason)
                for c in request.status.conditions
                if c.status == "True" and c.type not in ("Ready", "Approved", "Denied")
            ),
        )

    def issuer_samples(self) -> Iterator[IssuerSample]:
        return self._issuers.samples()

    def _wake_readers(self, secret: SecretKey) -> None:
        for issuer in self._issuers.readers(secret):
            self._queue.add(issuer)

    def _wake_dependents(self, issuer: ObjectKey) -> None:
        # Also those that are told that they may have meant this one, or may not any more.
        missing = (key for key in self._store.namesakes(issuer) if self._issuers.get(key) is None)
        for key in (issuer, *missing):
            for dependent in self._store.dependents(key):
                self._queue.add(dependent)

    # The work.

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            if isinstance(key, SecretKey):
                self._set_apart(self._guarded(key, self._abandon(key)))
            elif key.kind is Kind.CERTIFICATE_REQUEST:
                await self._guarded(key, self._reconcile(key))
            else:
                self._set_apart(self._guarded(key, self._check(key)))

    def _set_apart(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run it beside the workers: a CA that hangs must not keep one."""
        task = asyncio.create_task(coroutine)
        self._apart.add(task)
        task.add_done_callback(self._apart.discard)

    async def _guarded(self, key: ObjectKey | SecretKey, work: Coroutine[Any, Any, bool]) -> None:
        """Do `work` on `key`, and give the key back, unless `work` returns that somebody else will."""
        handed_on = False
        try:
            handed_on = await work
        except (Unreachable, KubeError) as error:
            wait = self._queue.retry(key)
            logger.warning("%s: the API server: %s; trying again in %.0f s", key, error, wait)
        except Exception:
            # A bug, and no reason to leave this object, or any other, alone for good.
            wait = self._queue.retry(key)
            logger.exception("%s: unexpected; trying again in %.0f s", key, wait)
        finally:
            if not handed_on:
                self._queue.done(key)

    def _look_at_all(self) -> None:
        for request in self._store.requests():
            self._queue.add(request.key)

    async def _check(self, key: ObjectKey) -> bool:
        await self._issuers.check(key)
        self._queue.add_after(key, self._settings.issuer_check_interval)
        self._queue.succeeded(key)
        return False

    async def _abandon(self, key: SecretKey) -> bool:
        """Take an order back whose staging Secret is to go, for whatever reason, and let the Secret go."""
        staged = self._store.staged_at(key)
        if staged is None:
            return await self._let_go(key)
        if not staged.deleted:
            if staged.authentic and await self._is_bereft(staged):
                # Kubernetes deletes it later, or never; then its order is taken back.
                await self._performer.discard(staged)
            return False
        issuer = issuer_key(key.namespace, staged.issuer) if staged.authentic else None
        live = self._issuers.get(issuer) if issuer is not None else None
        try:
            if live is not None and live.backend is not None:
                async with self._gently:
                    await self._performer.abandon(staged, live.ca)
        except Failed as failed:
            if not failed.permanent and self._clock() - parse_time(staged.deleted) < _GIVE_UP:
                wait = self._queue.backoff(key, at_least=failed.after.total_seconds())
                logger.info("%s: the order is not taken back yet: %s; again in %.0f s", key.name, failed.message, wait)
                self._queue.add_after(key, wait)
                return False
            logger.warning("%s: the order of %s is not taken back: %s", key.name, staged.issuer, failed.message)
        await self._performer.release(staged)
        self._store.finish(staged)
        self._queue.succeeded(key)
        return False

    async def _is_bereft(self, staged: Staged) -> bool:
        """The request of an order is gone."""
        if self._store.knows(staged.owner_uid):
            return False
        if not staged.owner:
            return True
        # It may be one that another operator works on, and that the watch is about to show.
        there = await self._kube.custom_objects.get(ObjectKey(Kind.CERTIFICATE_REQUEST, staged.namespace, staged.owner))
        return there is None or there["metadata"]["uid"] != staged.owner_uid

    async def _let_go(self, key: SecretKey) -> bool:
        """Let a Secret go that was deleted, and that waits for a request which is gone itself."""
        secret = self._store.secret_at(key)
        if secret is None or not secret.deleted or not secret.guarded or self._store.knows(secret.owner_uid):
            return False
        kind, _, name = secret.owner.partition(" ")
        if kind == Kind.CERTIFICATE_REQUEST:
            there = await self._kube.custom_objects.get(ObjectKey(Kind.CERTIFICATE_REQUEST, key.namespace, name))
            if there is not None and there["metadata"]["uid"] == secret.owner_uid:
                self._queue.retry(key)  # the watch is about to show it
                return False
        elif any(owns(request, secret) for request in self._store.of_secret(key)):
            return False
        logger.warning("Secret %s/%s: its request is gone, so that it is let go: nothing in it is revoked", *key)
        await self._performer.guard(secret, guarded=False)
        self._queue.succeeded(key)
        return False

    async def _reconcile(self, key: ObjectKey) -> bool:
        call, made, wants_key = None, None, False
        try:
            call = await self._next_call(key)
            if call is not None and (wants_key := self._wants_key(call[0], call[1])):
                request, action, _ = call
                made = self._keys.get(request, action.issuer)
                if made is None:  # woken when it is
                    await self._wait_for_key(request)
                    call = None
        finally:
            if call is None:
                self._slots.leave(key)
            if not wants_key:
                self._keys.drop(key)
        return call is not None and await self._call(*call, made)

    async def _next_call(self, key: ObjectKey) -> _Call | None:
        """What a CA is to do; whatever else there is to do is done, and None then."""
        request = self._store.request(key)
        if request is None:
            return None
        decided = await self._decided(request)
        if decided is None:
            return None
        world, action = decided
        self._warn_of_forgery(request, world)
        if isinstance(action, Rest):
            await self._rest(request, action)
            return None
        if isinstance(action, Issue | Resume | Revoke | Consult):
            live = self._issuers.get(action.issuer)
            if live is None or live.backend is None:
                return None  # it went away just now, which wakes this request
            return request, action, live
        if isinstance(action, Restore | Adopt):
            now = asyncio.get_running_loop().time()
            if (wait := self._repairs.wait(key, now)) > 0:
                self._queue.add_after(key, wait)
                if isinstance(action, Restore) and world.secret is not None and not self._explains_repairs(request):
                    await self._write_status(request, fought_over(world.secret), None)
                return None
            if isinstance(action, Restore):  # of one that is not to be had, each failure is noted
                self._repairs.note(key, now)
        self._store.begin(request)
        try:
            await self._carry_out(request, action, None)
        finally:
            self._store.end(request)
        return None

    def _explains_repairs(self, request: CertificateRequest) -> bool:
        """Something else than somebody who changes the Secret: another spec, or that the last repair failed."""
        return request.status.observed_generation != request.generation or None in self._failures.get(request.key, {})

    def _wants_key(self, request: CertificateRequest, action: _CaAction) -> bool:
        """It takes long to make one, so that it is made before anything else is taken."""
        wanted = request.spec.private_key
        if not isinstance(action, Issue) or not request.spec.key_is_ours or not takes_long(wanted.parameters):
            return False
        keeps = wanted.rotation_policy is RotationPolicy.NEVER and self._store.own_secret(request) is not None
        return not keeps or action.reason is Reason.REVOKED or request.key in self._keys

    async def _wait_for_key(self, request: CertificateRequest) -> None:
        self._queue.add_after(request.key, _KEY_PATIENCE)
        if self._keys.waited(request.key) >= _KEY_PATIENCE:
            message = "its RSA key is being generated, or is queued behind those of other requests"
            await self._tell(request, Hold.of(Reason.ISSUING, message))

    async def _call(self, request: CertificateRequest, action: _CaAction, live: Live, made: PrivateKey | None) -> bool:
        """Begin, if it is its turn; returns whether."""
        key = request.key
        if isinstance(action, Consult):
            self._slots.leave(key)
            self._set_apart(self._guarded(key, self._ask_for_renewal(request, live)))
            return True
        staged = self._store.staged(request)
        begun = isinstance(action, Resume) and staged is not None and bool(staged.handle)
        queued = self._slots.acquire(action.issuer, key, live.issuer.limits, counted=not begun)
        if queued is not None:
            if queued.message:
                await self._write_status(request, Hold.of(Reason.QUEUED, queued.message), None)
            self._queue.add_after(key, queued.seconds)
            return False
        self._keys.drop(key)
        self._store.begin(request)
        self._set_apart(self._guarded(key, self._with_slot(request, action, live, made)))
        return True

    async def _with_slot(
        self, request: CertificateRequest, action: Issue | Resume | Revoke, live: Live, made: PrivateKey | None
    ) -> bool:
        telling = asyncio.get_running_loop().call_later(_PATIENCE, self._tell_that_it_takes_long, request, action, live)
        try:
            await self._carry_out(request, action, live, made)
        except NeedsKey:
            self._keys.get(request, action.issuer)
        finally:
            telling.cancel()
            self._store.end(request)
            self._slots.leave(request.key)
        return False

    async def _ask_for_renewal(self, request: CertificateRequest, live: Live) -> bool:
        """Ask the CA when it wants the certificate renewed, and keep what it said."""
        reference, _ = self._consult.get(request.key, ("", None))
        if not reference:
            return False  # the request went away just now
        again = _CONSULT_AGAIN
        try:
            async with self._gently:
                renewal = await live.ca.suggest_renewal(reference)
            if renewal is not None:
                again = renewal.ask_after
            meta = await self._performer.note_renewal(request, renewal)
            if meta is not None:
                self._store.wrote_secret(meta)
                if renewal is not None and renewal.explanation:
                    when = f"between {format_time(renewal.start)} and {format_time(renewal.end)}"
                    text = f"{live.issuer.key} asks to renew the certificate {when}: {renewal.explanation}"
                    self._events.normal(request, Reason.RENEWAL_SUGGESTED, text)
        except Failed as failed:
            again = min(again, max(failed.after, timedelta(minutes=10)))
            logger.info("%s: %s does not say when to renew: %s", request.key, live.issuer.key, failed.message)
        self._consult[request.key] = (reference, self._clock() + again)
        self._queue.add(request.key)
        return False

    def _tell_that_it_takes_long(self, request: CertificateRequest, action: Action, live: Live) -> None:
        message = f"{live.issuer.key} was asked {_PATIENCE:.0f} s ago, and has not answered yet"
        reason = Reason.REVOCATION_PENDING if isinstance(action, Revoke) else Reason.ISSUING
        self._set_apart(self._tell(request, Hold(reason, message, needs_user=False)))

    async def _tell(self, request: CertificateRequest, hold: Hold) -> None:
        try:
            await self._write_status(request, hold, None)
        except (Unreachable, KubeError) as error:
            logger.info("%s: %s: the API server: %s", request.key, hold.message, error)

    async def _carry_out(
        self, request: CertificateRequest, action: Action, live: Live | None, made: PrivateKey | None = None
    ) -> None:
        key = request.key
        csr_pem = None
        try:
            csr_pem = await self._perform(request, action, live, made)
            if isinstance(action, Revoke):
                self._unrevoked.get(key, {}).pop(action.issuer, None)
            elif isinstance(action, Issue | Resume | Restore | Adopt):
                self._failures.pop(key, None)
            self._queue.succeeded(key)
        except Overtaken as overtaken:
            if overtaken.found is None or self._store.put_secret(overtaken.found):
                self._queue.add(key)
            else:
                self._queue.retry(key)  # what is there is known, and was decided on
            return
        except Failed as failed:
            if failed.staged is not None:
                self._store.wrote_secret(failed.staged)
            self._note_failure(request, action, live, failed)
        else:
            if isinstance(action, Guard | Release) or (isinstance(action, Revoke) and action.current):
                return  # request or Secret itself was written: the watch shows it as it is now
        if self._store.request(key) is not request:
            self._queue.add(key)  # it changed meanwhile: the newer one is another decision
            return
        decided = await self._decided(request)
        if decided is not None and isinstance(decided[1], Rest):
            await self._rest(request, decided[1], csr_pem)
        else:
            self._queue.add(key)

    async def _decided(self, request: CertificateRequest) -> tuple[World, Action] | None:
        """None while an issuer's first check is under way, which wakes what depends on it."""
        world = await self._world(request)
        if world is None:
            return None
        action = decide(request, world)
        if isinstance(action, Hold) and self._may_have_one(request, world) and await self._look(request) is not None:
            return await self._decided(request)
        waits = isinstance(action, Hold) and action.reason is Reason.REVOCATION_PENDING and request.being_deleted
        if waits and await self._kube.namespaces.is_going(request.namespace):
            return world, decide(request, replace(world, leaving=True))
        return world, action

    async def _world(self, request: CertificateRequest) -> World | None:
        """None while an issuer's first check is under way, which wakes what depends on it."""
        states = {}
        labels: Mapping[str, str] | None = None
        for key in request.issuers:
            live = self._issuers.get(key)
            if live is None:
                continue
            if live.state is None:
                return None
            states[key] = live.state
            if live.state.policy is not None and live.state.policy.needs_labels and labels is None:
                labels = await self._kube.namespaces.get_labels(request.namespace)
        # Whose Secret it is, that counts.
        unshown = await self._unshown(request) if self._may_be_unshown(request) else None
        secret = self._store.secret(request) or unshown
        for key in _creditors(request, secret) - states.keys():
            if (live := self._issuers.get(key)) is not None:
                states[key] = live.state or IssuerState(False, "it is being checked", "", revokes=True)
        policies = [state.policy for state in states.values() if state.policy is not None]
        await offload(request.spec.weight, consider, request, policies, labels or {})
        return World(
            now=self._clock(),
            rotation_spread=timedelta(seconds=self._settings.rotation_spread),
            issuers=states,
            secret=secret,
            staged=self._store.staged(request),
            waiting=self._waiting.get(request.key),
            failures=self._failures.get(request.key),
            unrevoked=self._unrevoked.get(request.key),
            rival=self._store.rival(request),  # after all that was waited for: it may be at work since
            labels=labels,
            recheck=timedelta(seconds=self._settings.issuer_check_interval),
            consult_at=self._consult_at(request, secret, states),
            pace=self._pace(request, secret),
            namesakes=frozenset(
                other
                for key in request.issuers
                if key not in states and self._issuers.get(other := namesake_of(request, key)) is not None
            ),
        )

    def _pace(self, request: CertificateRequest, secret: SecretMeta | None) -> Pace | None:
        """By the last certificate that is known of: its record may be gone with the Secret, or have been stripped."""
        record = secret.record if secret is not None and owns(request, secret) else None
        known = (
            Pace.of(record) if record is not None else None,
            self._paces.get(request.key) or Pace.read(request, self._seal),
        )
        # What was stored later than now was so by a clock that was wrong, and is right now.
        now = self._clock() + SKEW
        pace = max((one for one in known if one is not None and one.stored <= now), key=_stored, default=None)
        if pace is not None:
            self._paces[request.key] = pace
        return pace

    def _warn_of_forgery(self, request: CertificateRequest, world: World) -> None:
        secret = world.secret
        if secret is None or not secret.forged or not owns(request, secret):
            return
        seen = (secret.uid, secret.forged)
        if self._warned.get(request.key) != seen:
            self._warned[request.key] = seen
            names = " and ".join(secret.forged)
            text = f"a part of Secret {secret.name} {_NOT_OURS}, and is ignored: {names}"
            self._events.warning(request, Reason.STATE_NOT_AUTHENTIC, text)

    async def _must_be_allowed(self, request: CertificateRequest, ca: Ca, csr: x509.CertificateSigningRequest) -> None:
        """Policy and approval, of the very CSR that is about to be sent, at this moment. Raises Failed, Overtaken."""
        there = self._store.request(request.key)
        if there is None or (there.uid, there.generation, there.being_deleted) != (
            request.uid,
            request.generation,
            request.being_deleted,
        ):
            raise Overtaken
        key = request.issuer_key(ca.issuer)
        live = self._issuers.get(key) if key is not None else None
        if key is None or live is None or live.state is None or live.ca.backend is not ca.backend:
            raise Overtaken
        policy = live.state.policy
        needs_labels = policy is not None and policy.needs_labels
        labels = await self._kube.namespaces.get_labels(request.namespace) if needs_labels else {}
        if policy is not None:
            what = await offload(request.spec.weight, asked_for, csr, request)
            denials = await offload(request.spec.weight, violations, policy, what, request.namespace, labels)
        else:
            denials = key_violations(parameters_of(csr.public_key()))
        hold = forbidden(there, key, live.state, denials)
        if hold is not None:
            raise Failed(hold.reason, hold.message, names_issuer=hold.names_issuer)

    def _consult_at(
        self, request: CertificateRequest, secret: SecretMeta | None, states: Mapping[ObjectKey, IssuerState]
    ) -> datetime | None:
        record = secret.record if secret is not None else None
        if record is None or not record.reference:
            return None
        issuer = request.issuer_key(record.issuer)
        if issuer is None or issuer not in states or not states[issuer].suggests:
            return None
        known = self._consult.get(request.key)
        if known is None or known[0] != record.reference:
            known = (record.reference, self._clock() + _CONSULT_SPREAD * fraction(request.uid))
            self._consult[request.key] = known
        return known[1]

    async def _perform(
        self, request: CertificateRequest, action: Action, live: Live | None, made: PrivateKey | None
    ) -> str | None:
        """Returns the CSR (PEM) that belongs to what was written."""
        secret, staged = self._store.own_secret(request), self._store.staged(request)
        done: Written | Ordered | None = None
        match action:
            case Issue():
                assert live is not None
                if secret is None and await self._look(request) is not None:
                    return None  # that is decided on first: nothing is signed that cannot be stored
                if secret is None and self._had_one(request) and not await self._is_still_wanted(request):
                    return None
                done = await self._performer.issue(
                    request,
                    action.revision,
                    secret,
                    live.ca,
                    revoke_old=action.revoke_old,
                    hurries=action.hurries,
                    new_key=action.reason is Reason.REVOKED,
                    made=made,
                )
            case Resume():
                assert live is not None
                assert staged is not None
                done = await self._performer.resume(request, secret, staged, live.ca, revoke_old=action.revoke_old)
                if isinstance(done, Written):
                    self._store.finish(staged)
                elif done is None:
                    self._drop(staged)
            case Discard():
                assert staged is not None
                if not staged.authentic:
                    text = f"Secret {staged.name} {_NOT_OURS}: the order in it is abandoned; the next has another CSR"
                    self._events.warning(request, Reason.STATE_NOT_AUTHENTIC, text)
                await self._performer.discard(staged)
                self._drop(staged)
                self._waiting.pop(request.key, None)
            case Restore():
                assert secret is not None
                pace = self._pace(request, secret)
                done = await self._performer.restore(
                    request, action.revision, secret, pace, self._signer(request, secret)
                )
                if done is None:
                    self._store.spoil(secret)
            case Adopt():
                if (look := self._looks.get(request.key)) is not None:
                    self._looks[request.key] = replace(look, at=None)
                done = await self._performer.adopt(request, self._ready(request), self._pace(request, None))
                self._repairs.note(request.key, asyncio.get_running_loop().time())
            case Revoke():
                assert live is not None
                await self._revoke(request, action, live)
            case Forget():
                written, forgotten = await self._performer.forget(request)
                self._store.wrote_secret(written)
                for one in forgotten:
                    ends = format_time(one.certificate.not_valid_after_utc)
                    why = self._unrevocable(request, one.issuer, ends)
                    if why and not request.wishes.abandon_revocation:
                        self._tell_unrevoked(request, serial_octets(one.certificate), why)
            case Guard():
                if not request.is_guarded:
                    await self._finalize(request, add=True)
                elif secret is not None and (meta := await self._performer.guard(secret, guarded=True)) is not None:
                    self._store.wrote_secret(meta)
            case LetGo():
                assert secret is not None
                await self._let_secret_go(request, secret)
            case Release():
                await self._release(request, action.unrevoked)
        return self._note_done(request, action, live, done, secret.record if secret is not None else None)

    def _drop(self, staged: Staged) -> None:
        """Its Secret was deleted, and stays only if the order has to be taken back."""
        if staged.leaves_traces:
            self._store.abandon(staged, format_time(self._clock()))
        else:
            self._store.drop_staged(staged)

    def _note_done(
        self,
        request: CertificateRequest,
        action: Action,
        live: Live | None,
        done: Written | Ordered | None,
        before: Record | None,
    ) -> str | None:
        """before: of the certificate that another one replaced."""
        if isinstance(done, Ordered):
            self._store.wrote_secret(done.staged)
            now = self._clock()
            self._waiting[request.key] = Waiting(
                uid=done.staged.uid,
                message=done.pending.message,
                poll_at=now + done.pending.poll_after,
                imported=request.wishes.imported,
                remind_at=_next_reminder(done.staged, now) if done.pending.by_user else None,
                since=now,
            )
            return done.csr_pem
        self._waiting.pop(request.key, None)
        if done is None:
            return None
        self._store.wrote_secret(done.secret)
        if done.renewal is not None and done.secret.record is not None:
            self._consult[request.key] = (done.secret.record.reference, self._clock() + done.renewal.ask_after)
        self._wake_readers(request.secret)  # the watch shows nothing newer
        if done.lost:
            self._tell_unrevoked(request, done.lost, f"Secret {request.secret.name} no longer holds it")
        if isinstance(action, Issue | Resume) and before is not None and not action.revoke_old:
            wanted = request.spec.revocation.on_rotation or request.wishes.revoke == before.serial_number
            if wanted and (why := self._unrevocable(request, before.issuer, before.not_after)):
                self._tell_unrevoked(request, before.serial_number, why)
        if isinstance(action, Adopt) and done.secret.record is not None:
            text = f"Secret {request.spec.secret_name} with its certificate {done.secret.record.serial_number}"
            text += " was there already, and was taken over"
            self._events.normal(request, Reason.ADOPTED, text)
            self._journal.say(logging.INFO, request.key, f"adopted: {text}")
        if isinstance(action, Issue | Resume) and done.secret.record is not None:
            again = action.revision > 1
            reason = action.reason if again else None
            self._journal.say(logging.INFO, request.key, issued_text(request, done.secret.record, reason))
            if again:
                why = f", because of {reason}" if reason else ""
                if reason is Reason.RENEWAL and before is not None and before.window is not None:
                    why += ", at the time that the CA asks for (renewal information, RFC 9773)"
                self._events.normal(request, Reason.ISSUED, f"revision {action.revision}{why}", because=reason)
            elif (
                live is not None and live.backend is not None and live.backend.traits.costs and _shows_trouble(request)
            ):
                self._events.normal(request, Reason.ISSUED, "revision 1")  # else the trouble would have the last word
        return done.csr_pem

    async def _is_still_wanted(self, request: CertificateRequest) -> bool:
        """Its Secret is gone, which may be because it is to go itself: the watches tell of that in any order."""
        there = await self._kube.custom_objects.get(request.key)
        if there is None or there["metadata"]["uid"] != request.uid:
            self.forget(request.key, request.uid)
            return False
        if "deletionTimestamp" not in there["metadata"]:
            return True
        self.observe(Kind.CERTIFICATE_REQUEST, there)
        return False

    async def _let_secret_go(self, request: CertificateRequest, secret: SecretMeta) -> None:
        if secret.deleted:
            if not await self._is_still_wanted(request):
                return
            if await self._kube.namespaces.is_going(request.namespace):
                # So is the request, soon, and then the certificate is revoked if that can be done.
                raise KubeError(409, "", f"namespace {request.namespace} is being deleted")
            for serial_number in await self._performer.owed_serials(request) if secret.owed else ():
                why = f"Secret {secret.name}, which recorded the revocation, was deleted"
                self._tell_unrevoked(request, serial_number, why)
        meta = await self._performer.guard(secret, guarded=False)
        if meta is None:
            raise KubeError(404, "NotFound", f"Secret {secret.name} is gone")  # as the watch is about to show
        self._store.wrote_secret(meta)

    async def _release(self, request: CertificateRequest, unrevoked: str = "") -> None:
        """The request first: should this end in between, its Secret is known to wait for nobody."""
        if not await self._finalize(request, add=False):
            return
        await self._performer.let_go(request)
        if unrevoked:
            self._note_unrevoked(request, unrevoked)

    def _tell_unrevoked(self, request: CertificateRequest, serial_number: str, why: str) -> None:
        self._note_unrevoked(request, f"the certificate {serial_number} was not revoked: {why}")

    def _note_unrevoked(self, request: CertificateRequest, note: str) -> None:
        self._journal.say(logging.WARNING, request.key, note)  # there may be no events any more where it was
        self._events.warning(request, Reason.NOT_REVOKED, note)

    def _tell_what_stays_valid(self, request: CertificateRequest) -> None:
        """It is gone. Where its CA cannot revoke, no finalizer kept it for that."""
        secret, status = self._store.own_secret(request), request.status
        record = secret.record if secret is not None else None
        if not request.spec.revocation.on_delete:
            return
        if record is not None:
            number, why = record.serial_number, self._unrevocable(request, record.issuer, record.not_after)
        else:  # the Secret went first, as it does with `--cascade=foreground`
            number, first = status.serial_number, issuer_name(request.issuers[0])
            why = self._unrevocable(request, first, status.not_after) if number else ""
        if why:
            self._tell_unrevoked(request, number, why)

    def _unrevocable(self, request: CertificateRequest, issuer: str, not_after: str) -> str:
        key = request.issuer_key(issuer)
        live = self._issuers.get(key) if key is not None else None
        try:
            return unrevocable(key, not_after, live.state if live is not None else None, self._clock())
        except ValueError:
            return ""  # from a status, where anything may stand

    def _last_look(self, request: CertificateRequest) -> _Look | None:
        look = self._looks.get(request.key)
        return look if look is not None and look.secret == request.secret else None

    def _may_be_unshown(self, request: CertificateRequest) -> bool:
        """There may be a Secret that no watch shows, and it matters before a certificate is to be issued."""
        if self._store.secret(request) is not None:
            self._looks.pop(request.key, None)
            return False
        if self._store.rival(request):
            return True
        if request.being_deleted:
            return request.is_guarded
        look = self._last_look(request)
        known = look is not None and look.found is not None
        return known and not request.problem and self._store.staged(request) is None

    def _may_have_one(self, request: CertificateRequest, world: World) -> bool:
        """What holds it up, such as an approval, does not keep it from having a Secret that is there already, and that
        nobody has looked for: its own, or, if an issuer is ready, one to take over."""
        if request.problem or request.being_deleted or self._last_look(request) is not None:
            return False
        ready = any(world.issuers[key].ready for key in request.issuers if key in world.issuers)
        return (ready or self._had_one(request)) and world.secret is None and world.staged is None

    def _had_one(self, request: CertificateRequest) -> bool:
        return request.status.revision > 0 or self._store.is_bereft(request)

    async def _unshown(self, request: CertificateRequest) -> SecretMeta | None:
        """As `_look`, if the last one was too long ago."""
        now, recheck = self._clock(), timedelta(seconds=self._settings.issuer_check_interval)
        look = self._last_look(request)
        if look is not None and look.at is not None and look.at <= now < look.at + recheck:
            return look.found
        return await self._look(request)

    async def _look(self, request: CertificateRequest) -> SecretMeta | None:
        """The Secret that no watch shows: somebody else's, or the request's own that lost its label."""
        obj = await self._kube.secrets.get_metadata(request.secret)
        found = None if obj is None else self._understood(obj, lambda: parse_secret_meta(obj, self._seal))
        if found is not None and owns(request, found):
            self._store.put_secret(found)
        else:
            self._looks[request.key] = _Look(request.secret, found, self._clock())
        return found

    def _signer(self, request: CertificateRequest, secret: SecretMeta) -> Ca | None:
        """The CA of the certificate on record, if it can be asked now."""
        key = request.issuer_key(secret.record.issuer) if secret.record is not None else None
        live = self._issuers.get(key) if key is not None else None
        return live.ca if live is not None and live.backend is not None and live.is_ready else None

    def _ready(self, request: CertificateRequest) -> list[Ca]:
        """The CAs that the request names, as far as they can be asked now."""
        found = [self._issuers.get(key) for key in request.issuers]
        return [live.ca for live in found if live is not None and live.backend is not None and live.is_ready]

    async def _revoke(self, request: CertificateRequest, action: Revoke, live: Live) -> None:
        meta = None
        if action.current:
            done = await self._performer.revoke_current(request, live.ca)
        else:
            done, meta = await self._performer.revoke_owed(request, live.ca)
        for serial_number in done.revoked:
            text = f"{live.ca.issuer} revoked the certificate {serial_number}"
            self._events.normal(request, Reason.REVOKED, text)
            self._journal.say(logging.INFO, request.key, text)
        for serial_number, why in done.refused.items():
            self._tell_unrevoked(request, serial_number, why)
        if meta is None:
            await self._release(request)
        else:
            self._store.wrote_secret(meta)

    def _note_failure(self, request: CertificateRequest, action: Action, live: Live | None, failed: Failed) -> None:
        there = self._store.request(request.key)
        if there is None or there.uid != request.uid:
            return  # it is gone, and one that is made anew under its name starts afresh
        issuer = live.issuer.key if live is not None and failed.by_issuer else None
        version = live.state.version if issuer is not None and live is not None and live.state is not None else ""
        wait = None if failed.permanent else self._queue.backoff(request.key, at_least=failed.after.total_seconds())
        now = self._clock()
        failure = Failure(
            reason=failed.reason,
            message=failed.message,
            issuer=issuer,
            generation=request.generation,
            wishes=request.wishes,
            version=version,
            retry_at=None if wait is None else now + timedelta(seconds=wait),
            needs_user=failed.needs_user,
            since=now,
            unplaced=failed.unplaced,
            names_issuer=failed.names_issuer,
        )
        if issuer is not None and isinstance(action, Revoke):
            self._unrevoked.setdefault(request.key, {})[issuer] = failure
        else:
            self._failures.setdefault(request.key, {})[issuer] = failure
        if issuer is not None and failed.reason is Reason.ISSUER_NOT_READY:
            self._queue.add(issuer)  # what it found, the issuer's own status should say

    async def _finalize(self, request: CertificateRequest, *, add: bool) -> bool:
        """False if it has changed, and is looked at anew, or is gone."""
        finalizers = [f for f in request.finalizers if f != REVOCATION_FINALIZER]
        if add:
            finalizers.append(REVOCATION_FINALIZER)
        try:
            await self._kube.custom_objects.patch_finalizers(request.key, request.resource_version, finalizers)
        except KubeError as error:
            if error.status not in (404, 409):
                raise
            return False
        return True

    async def _rest(self, request: CertificateRequest, rest: Rest, csr_pem: str | None = None) -> None:
        if request.being_deleted and isinstance(rest, Keep):
            return  # it is as good as gone: nothing is to be said of it
        until, now = rest.until, self._clock()
        waiting, staged = self._waiting.get(request.key), self._store.staged(request)
        if _shows_trouble(request) or not self._is_brief(rest, staged, now):
            await self._write_status(request, rest, csr_pem)
        remind_at = waiting.remind_at if waiting is not None else None
        if waiting is not None and remind_at is not None and staged is not None and until is not None:
            if now >= remind_at:
                self._events.warning(request, Reason.STILL_PENDING, f"since {staged.created}: {waiting.message}")
                remind_at = _next_reminder(staged, now)
                self._waiting[request.key] = replace(waiting, remind_at=remind_at)
            until = min(until, remind_at)
        if until is not None:
            # Looked at again at least hourly, in case the wall clock was set.
            self._queue.add_after(request.key, min((until - now).total_seconds(), 3600.0))

    def _pace_text(self, request: CertificateRequest, secret: SecretMeta | None) -> str:
        pace = self._pace(request, secret)
        if pace is None:
            return ""
        # By a key that was rotated, it is as good.
        return request.status.pace if Pace.read(request, self._seal) == pace else pace.written(request, self._seal)

    def _is_routine(self, hold: Hold) -> bool:
        """It goes on by itself, and soon: the condition says enough."""
        soon = hold.until is not None and hold.until - self._clock() <= _SOON
        return hold.reason in (Reason.QUEUED, Reason.ISSUING) or (hold.reason is Reason.PENDING and soon)

    def _is_brief(self, rest: Rest, staged: Staged | None, now: datetime) -> bool:
        """It waits for a CA that has usually answered before anybody has read that."""
        if not isinstance(rest, Hold) or rest.reason not in _ORDERED or rest.until is None or staged is None:
            return False
        return rest.until - now <= _SOON and now - parse_time(staged.created) < _BRIEF

    async def _write_status(self, request: CertificateRequest, rest: Rest, csr_pem: str | None) -> None:
        secret = self._store.own_secret(request)
        record = secret.record if secret is not None else None
        old = request.status
        staged = self._store.staged(request)
        if csr_pem is None and old.csr_digest != _csr_of(staged, record):
            csr_pem = await self._performer.csr_pem(request, staged, record)
        status = request_status(request, secret, rest, self._clock(), self._pace_text(request, secret))
        if csr_pem is not None:
            status = replace(status, csr_digest=csr_digest(csr_pem))
        if status == old:
            return
        if status.csr_digest == old.csr_digest:
            csr_pem = None
        said = status.without_times()
        if self._refused.get(request.key) == said:
            return  # it would be refused again
        try:
            body = status_body(status, csr_pem)
            answer = await self._kube.custom_objects.patch_status(request.key, request.resource_version, body)
        except KubeError as error:
            if error.status in (404, 409):
                return  # gone, or newer: the watch shows it
            if error.status == 422:
                self._refused[request.key] = said
                logger.warning(
                    "%s: the API server refuses its status, which stays as it is: %s", request.key, quoted(error, 500)
                )
                return
            raise
        self._refused.pop(request.key, None)
        self._store.wrote_request(request, answer["metadata"]["resourceVersion"], status)
        news = [c for c in status.conditions if not any(c.says_the_same(o) for o in old.conditions)]
        if isinstance(rest, Hold) and news and not self._is_routine(rest):
            self._events.warning(request, news[-1].reason, news[-1].message)
            level = logging.WARNING if rest.needs_user else logging.INFO
            self._journal.say(level, request.key, f"{news[-1].reason}: {news[-1].message}")


def _parsed(kind: Kind, obj: Raw) -> CertificateRequest | Issuer | Exception:
    """Or the error, if it cannot be read."""
    try:
        return parse_request(obj) if kind is Kind.CERTIFICATE_REQUEST else parse_issuer(obj)
    except Exception as error:
        return error


def _shows_trouble(request: CertificateRequest) -> bool:
    """What stands in its status is that something is wrong, or lacking."""
    ready = request.status.condition("Ready")
    return (
        ready is not None and ready.status != "True" and ready.reason not in (Reason.QUEUED, Reason.ISSUING, *_ORDERED)
    )


def _not_understood(obj: Raw) -> SecretMeta:
    """As if nobody had written anything to it."""
    metadata = obj["metadata"]
    return SecretMeta(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        owner_uid="",
        owner="",
        intact_data=frozenset(),
        template_digest="",
        record=None,
    )


def _creditors(request: CertificateRequest, secret: SecretMeta | None) -> set[ObjectKey]:
    """The issuers that have, or may have, to revoke something."""
    if secret is None:
        return set()
    names = {debt.issuer for debt in secret.owed}
    if secret.record is not None:
        names.add(secret.record.issuer)
    return {key for name in names if (key := request.issuer_key(name)) is not None}


def _stored(pace: Pace) -> datetime:
    return pace.stored


def _csr_of(staged: Staged | None, record: Record | None) -> str:
    """The digest of the CSR that status should show."""
    if staged is not None:
        return staged.csr
    return "" if record is None else record.csr


def _next_reminder(staged: Staged, now: datetime) -> datetime:
    """At whole multiples of the interval from the order's beginning, so that a restart reminds nobody."""
    begun = parse_time(staged.created)
    return begun + _REMIND * ((now - begun) // _REMIND + 1)
