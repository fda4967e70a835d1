"""CertificateRequests: decide, carry out, say so."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from csr_operator.api.keys import Kind, ObjectKey, Raw
from csr_operator.api.parse_request import parse_request
from csr_operator.api.reading import read_mapping, read_text
from csr_operator.api.reasons import Reason
from csr_operator.api.request import CertificateRequest, RotationPolicy
from csr_operator.api.shards import shard_of
from csr_operator.api.times import parse_time
from csr_operator.decisions.actions import (
    Action,
    Adopt,
    Consult,
    Guard,
    Hold,
    Issue,
    Release,
    Rest,
    Restore,
    Resume,
    Revoke,
)
from csr_operator.decisions.obstacles import hold_repair
from csr_operator.decisions.ownership import owns
from csr_operator.decisions.renewal import renewal_time
from csr_operator.decisions.serving import is_served
from csr_operator.decisions.world import Failure, World
from csr_operator.issuance.failures import Failed, Overtaken
from csr_operator.issuance.keymaker import KeyMaker, takes_long
from csr_operator.issuance.secret_body import staging_key
from csr_operator.issuance.signing_requests import NeedsKey
from csr_operator.metrics import SKIPPED_SAMPLES, RequestSample
from csr_operator.pki.keys import PrivateKey

from .actions import Actions
from .filing import Filing
from .issuers import Issuers, KnownIssuer
from .journal import Journal
from .memory import Memory
from .reconciler import Aside, Done, Gone, Key, Outcome, Retry
from .renewal_advice import RenewalAdvice
from .repairs import Repairs
from .reports import Reports
from .revocations import Revocations
from .scope import Scope
from .situations import Situations
from .slots import Slots
from .store import Store

logger = logging.getLogger(__name__)

_PATIENCE = 10.0
"""Seconds after which a user is told that a CA has not answered yet."""

_KEY_PATIENCE = timedelta(seconds=30)
"""After which a user is told that a key is not made yet."""

_CaAction = Issue | Resume | Revoke | Consult
_Call = tuple[CertificateRequest, _CaAction, KnownIssuer, World]


class RequestReconciler:
    """wake: called with what is to be looked at. clock: the time now, in UTC."""

    def __init__(
        self,
        store: Store,
        issuers: Issuers,
        memory: Memory,
        situations: Situations,
        actions: Actions,
        advice: RenewalAdvice,
        reports: Reports,
        revocations: Revocations,
        slots: Slots,
        scope: Scope,
        keys: KeyMaker,
        repairs: Repairs,
        journal: Journal,
        wake: Callable[[Key], None],
        clock: Callable[[], datetime],
    ) -> None:
        self._store, self._issuers, self._memory, self._situations = store, issuers, memory, situations
        self._actions, self._advice, self._reports, self._revocations = actions, advice, reports, revocations
        self._slots, self._scope, self._keys, self._repairs = slots, scope, keys, repairs
        self._wake, self._clock = wake, clock
        self._telling: set[asyncio.Task[None]] = set()
        self.filing: Filing[CertificateRequest] = Filing(parse_request, self._file, journal)

    # What the watch shows.

    def observe(self, obj: Raw) -> None:
        """One is there, or has changed."""
        metadata = obj["metadata"]
        key = ObjectKey(Kind.CERTIFICATE_REQUEST, metadata["namespace"], metadata["name"])
        if not self._is_of(key.namespace, read_text(read_mapping(obj, "spec"), "secretName")):
            # It may have been: where a definition lacks our rules, the name of its Secret can be changed.
            self.filing.forget(key, lambda: self._give_away(key))
        elif not self._store.has_seen(key, metadata["uid"], metadata["resourceVersion"]):
            self.filing.observe(key, obj)

    def _is_of(self, namespace: str, secret_name: str) -> bool:
        """It is this replica's."""
        return shard_of(namespace, secret_name) in self._scope

    def _file(self, request: CertificateRequest) -> None:
        # What took long to read may be another replica's by now.
        if request.shard in self._scope and not self._store.has_seen(
            request.key, request.uid, request.resource_version
        ):
            self._store.put_request(request)

    def forget(self, key: Key, uid: str, resource_version: str) -> None:
        """It is gone; another of its name may be there already."""
        assert isinstance(key, ObjectKey)
        self.filing.forget(key, lambda: self._forget(key, uid))

    def _forget(self, key: ObjectKey, uid: str) -> None:
        request = self._store.request(key)
        self._memory.forget(uid)
        if not self._store.drop_request(key, uid):
            return
        self._repairs.forget(key)
        self._wake(key)  # so that it leaves the lines in which it waits
        if request is None:
            return
        self._revocations.tell_what_stays_valid(request)
        # What it leaves behind, if Kubernetes was told to leave it, or somebody removed its finalizer.
        for left in (request.secret, staging_key(request)):
            if self._store.secret_at(left) is not None or self._store.staged_at(left) is not None:
                self._wake(left)

    def _give_away(self, key: ObjectKey) -> None:
        request = self._store.request(key)
        if request is not None and self._store.drop_request(key, request.uid):
            self.let_go([request])

    def let_go(self, requests: Iterable[CertificateRequest]) -> None:
        """They are another replica's, and not in the store any more."""
        for request in requests:
            self._memory.forget(request.uid)
            self._repairs.forget(request.key)
            self._wake(request.key)  # so that it leaves the lines in which it waits

    def shard(self, key: Key) -> int | None:
        """That of its Secret; None for one that is gone, which only leaves its lines."""
        assert isinstance(key, ObjectKey)
        request = self._store.request(key)
        return request.shard if request is not None else None

    def known(self, namespace: str) -> Mapping[Key, str]:
        """All, understood or not."""
        return self.filing.known(self._store.uids(), namespace)

    def samples(self) -> Iterator[RequestSample]:
        """For the metrics: each as it stands now. Called in a thread, so nothing is changed here."""
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
                (c.type, c.reason, c.status == "True")
                for c in request.status.conditions
                if c.type == "Renewing" or (c.status == "True" and c.type not in ("Ready", "Approved", "Denied"))
            ),
        )

    async def stop(self) -> None:
        """Give up what is under way."""
        for task in self._telling:
            task.cancel()
        await asyncio.gather(*self._telling, return_exceptions=True)

    # The work.

    async def reconcile(self, key: Key) -> Outcome:
        """Have the next thing done that there is to do."""
        assert isinstance(key, ObjectKey)
        made, wants_key = None, False
        outcome: Outcome | _Call = Retry()
        try:
            outcome = await self._next(key)
            if isinstance(outcome, tuple) and (wants_key := self._wants_key(outcome[0], outcome[1])):
                request, action, *_ = outcome
                made = self._keys.get(request, action.issuer)
                if made is None:  # woken when it is
                    outcome = await self._wait_for_key(request)
        finally:
            if not isinstance(outcome, tuple):
                self._slots.leave(key)
            if not wants_key:
                self._keys.drop(key)
        return await self._call(*outcome, made) if isinstance(outcome, tuple) else outcome

    async def _next(self, key: ObjectKey) -> Outcome | _Call:
        """What a CA is to do; whatever else there is to do is done."""
        request = self._store.request(key)
        if request is None:
            return Gone()
        decided = await self._situations.decide(request)
        if decided is None:
            return Done()
        world, action = decided
        self._reports.warn_of_forgery(request, world.secret)
        if isinstance(action, Rest):
            return Done(await self._reports.rest(request, action))
        if isinstance(action, Issue | Resume | Revoke | Consult):
            live = self._issuers.get(action.issuer)
            if live is None or live.backend is None:
                return Done()  # it went away just now, which wakes this request
            return request, action, live, world
        if isinstance(action, Restore | Adopt):
            now = asyncio.get_running_loop().time()
            if (wait := self._repairs.wait(key, now)) > 0:
                if isinstance(action, Restore) and world.secret is not None and not self._explains_repairs(request):
                    await self._reports.write_status(request, hold_repair(world.secret))
                return Done(timedelta(seconds=wait))
            if isinstance(action, Restore):  # of one that is not to be had, each failure is noted
                self._repairs.note(key, now)
        self._store.begin(request)
        try:
            return await self._carry_out(request, action, None, world)
        finally:
            self._store.end(request)

    def _explains_repairs(self, request: CertificateRequest) -> bool:
        """Something else than somebody who changes the Secret: another spec, or that the last repair failed."""
        failed = None in self._memory.recall(request).failures
        return failed or request.status.observed_generation != request.generation

    def _wants_key(self, request: CertificateRequest, action: _CaAction) -> bool:
        """It takes long to make one, so that it is made before anything else is taken."""
        wanted = request.spec.private_key
        if not isinstance(action, Issue) or not request.spec.key_is_ours or not takes_long(wanted.parameters):
            return False
        keeps = wanted.rotation_policy is RotationPolicy.NEVER and self._store.own_secret(request) is not None
        return not keeps or action.reason is Reason.REVOKED or request.key in self._keys

    async def _wait_for_key(self, request: CertificateRequest) -> Done:
        if self._keys.waited(request.key) >= _KEY_PATIENCE.total_seconds():
            message = "its RSA key is being generated, or is queued behind those of other requests"
            await self._reports.tell(request, Hold.of(Reason.ISSUING, message))
        return Done(_KEY_PATIENCE)

    async def _call(
        self, request: CertificateRequest, action: _CaAction, live: KnownIssuer, world: World, made: PrivateKey | None
    ) -> Outcome:
        """Begin, if it is its turn."""
        key = request.key
        if isinstance(action, Consult):
            self._slots.leave(key)
            return Aside(self._advice.ask(request, live))
        staged = self._store.staged(request)
        begun = isinstance(action, Resume) and staged is not None and bool(staged.handle)
        queued = self._slots.acquire(action.issuer, key, live.issuer.limits, counted=not begun)
        if queued is not None:
            if queued.message:
                await self._reports.write_status(request, Hold.of(Reason.QUEUED, queued.message))
            return Done(timedelta(seconds=queued.seconds))
        self._keys.drop(key)
        self._store.begin(request)
        return Aside(self._with_slot(request, action, live, world, made))

    async def _with_slot(
        self,
        request: CertificateRequest,
        action: Issue | Resume | Revoke,
        live: KnownIssuer,
        world: World,
        made: PrivateKey | None,
    ) -> Done | Retry:
        telling = asyncio.get_running_loop().call_later(_PATIENCE, self._tell_that_it_takes_long, request, action, live)
        try:
            return await self._carry_out(request, action, live, world, made)
        except NeedsKey:
            self._keys.get(request, action.issuer)
            return Done()  # woken when it is made
        finally:
            telling.cancel()
            self._store.end(request)
            self._slots.leave(request.key)

    def _tell_that_it_takes_long(self, request: CertificateRequest, action: Action, live: KnownIssuer) -> None:
        message = f"{live.issuer.key} was asked {_PATIENCE:.0f} s ago, and has not answered yet"
        reason = Reason.REVOCATION_PENDING if isinstance(action, Revoke) else Reason.ISSUING
        task = asyncio.create_task(self._reports.tell(request, Hold(reason, message, needs_user=False)))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _carry_out(
        self,
        request: CertificateRequest,
        action: Action,
        live: KnownIssuer | None,
        world: World,
        made: PrivateKey | None = None,
    ) -> Done | Retry:
        remembered, csr_pem = self._memory.recall(request), None
        if not self._is_as_decided_on(request, world):
            return Done(timedelta(0))
        try:
            csr_pem = await self._actions.perform(request, action, live, made)
            if isinstance(action, Revoke):
                remembered.unrevoked.pop(action.issuer, None)
            elif isinstance(action, Issue | Resume | Restore | Adopt):
                remembered.failures.clear()
            remembered.succeeded()
        except Overtaken as overtaken:
            new = overtaken.current is None or self._store.put_secret(overtaken.current)
            return Done(timedelta(0)) if new else Retry()  # what is there is known, and was decided on
        except Failed as failed:
            if failed.staged is not None:
                self._store.wrote_secret(failed.staged)
            self._note_failure(request, action, live, failed)
        else:
            if isinstance(action, Guard | Release) or (isinstance(action, Revoke) and action.current):
                return Done()  # request or Secret itself was written: the watch shows it as it is now
        if self._store.request(request.key) is not request:
            return Done(timedelta(0))  # it changed meanwhile: the newer one is another decision
        decided = await self._situations.decide(request)
        if decided is not None and isinstance(decided[1], Rest):
            return Done(await self._reports.rest(request, decided[1], csr_pem))
        return Done(timedelta(0))

    def _is_as_decided_on(self, request: CertificateRequest, world: World) -> bool:
        """No Secret has come, gone or changed since, in what is gone by: a watch may show one at any moment."""
        before = world.secret if world.secret is not None and owns(request, world.secret) else None
        secret, order = self._store.own_secret(request), self._store.staged(request)
        return (secret and secret.essence, order and order.essence) == (
            before and before.essence,
            world.staged and world.staged.essence,
        )

    def _note_failure(
        self, request: CertificateRequest, action: Action, live: KnownIssuer | None, failed: Failed
    ) -> None:
        remembered, now = self._memory.recall(request), self._clock()
        issuer = live.issuer.key if live is not None and failed.by_issuer else None
        version = live.state.version if issuer is not None and live is not None and live.state is not None else ""
        failure = Failure(
            reason=failed.reason,
            message=failed.message,
            issuer=issuer,
            generation=request.generation,
            wishes=request.wishes,
            version=version,
            retry_at=None if failed.permanent else now + remembered.count_failure(failed.after),
            needs_user=failed.needs_user,
            since=now,
            unplaced=failed.unplaced,
            names_issuer=failed.names_issuer,
        )
        if issuer is not None and isinstance(action, Revoke):
            remembered.unrevoked[issuer] = failure
        else:
            remembered.note_failure(failure, request.issuers)
        if issuer is not None and failed.reason is Reason.ISSUER_NOT_READY:
            self._wake(issuer)  # what it found, the issuer's own status should say
