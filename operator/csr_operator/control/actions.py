"""Where a decision meets what carries it out: performer, store and reports, once for each action."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from csr_operator.api.keys import Raw
from csr_operator.api.reasons import Reason
from csr_operator.api.request import CertificateRequest
from csr_operator.api.secrets import Record, SecretMeta, Staged
from csr_operator.api.times import format_time
from csr_operator.decisions.actions import (
    Action,
    Adopt,
    Discard,
    Forget,
    Guard,
    Issue,
    LetGo,
    Release,
    Restore,
    Resume,
    Revoke,
)
from csr_operator.decisions.world import Waiting
from csr_operator.issuance.attempt import Ordered, Written
from csr_operator.issuance.backend_calls import GuardedBackend
from csr_operator.issuance.performer import Performer
from csr_operator.kube.custom_objects import CustomObjects
from csr_operator.kube.events import Events
from csr_operator.pki.keys import PrivateKey

from .issuers import Issuers, KnownIssuer
from .journal import Journal, issued_text
from .memory import Memory
from .paces import Paces
from .reconciler import Key
from .renewal_advice import RenewalAdvice
from .repairs import Repairs
from .reports import NOT_OURS, next_reminder, shows_trouble
from .revocations import Revocations
from .situations import Situations
from .store import Store

_RECENT, _MOVES = timedelta(minutes=10), 20
"""So often within this time an order may move, which Secret and status tell of each time. From then on it is looked at
no more often than that."""


class Actions:
    """wake: called with what is to be looked at. shown, gone: called with a request that is not as the watch showed it,
    and with one that is gone. clock: the time now, in UTC."""

    def __init__(
        self,
        objects: CustomObjects,
        performer: Performer,
        store: Store,
        issuers: Issuers,
        memory: Memory,
        situations: Situations,
        paces: Paces,
        advice: RenewalAdvice,
        revocations: Revocations,
        repairs: Repairs,
        events: Events,
        journal: Journal,
        wake: Callable[[Key], None],
        shown: Callable[[Raw], None],
        gone: Callable[[CertificateRequest], None],
        clock: Callable[[], datetime],
    ) -> None:
        self._objects, self._performer, self._store, self._issuers = objects, performer, store, issuers
        self._memory, self._situations, self._paces, self._advice = memory, situations, paces, advice
        self._revocations, self._repairs, self._events, self._journal = revocations, repairs, events, journal
        self._wake, self._shown, self._gone, self._clock = wake, shown, gone, clock

    async def perform(
        self, request: CertificateRequest, action: Action, live: KnownIssuer | None, made: PrivateKey | None
    ) -> str | None:
        """Carry one out; returns the CSR (PEM) that belongs to what was written, if a certificate was.

        live: the issuer that the action names. made: a key that was made beforehand. Raises Failed, Overtaken,
        NeedsKey, KubeError, Unreachable.
        """
        secret, staged = self._store.own_secret(request), self._store.staged(request)
        done: Written | Ordered | None = None
        match action:
            case Issue():
                assert live is not None
                if secret is None and await self._situations.look(request) is not None:
                    return None  # that is decided on first: nothing is signed that cannot be stored
                if secret is None and self._situations.had_one(request) and not await self._is_still_wanted(request):
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
                if done is None:
                    self._drop(staged)
            case Discard():
                assert staged is not None
                if not staged.authentic:
                    text = f"Secret {staged.name} {NOT_OURS}: the order in it is abandoned; the next has another CSR"
                    self._events.warning(request, Reason.STATE_NOT_AUTHENTIC, text)
                await self._performer.staging.discard(staged)
                self._drop(staged)
            case Restore():
                assert secret is not None
                pace, signer = self._paces.of(request, secret), self._signer(request, secret)
                done = await self._performer.restorer.restore(request, action.revision, secret, pace, signer)
                if done is None:
                    self._store.spoil(secret)
            case Adopt():
                self._situations.outdate_look(request)
                done = await self._performer.takeover.adopt(
                    request, self._ready(request), self._paces.of(request, None)
                )
                self._repairs.note(request.key, asyncio.get_running_loop().time())
            case Revoke():
                assert live is not None
                await self._revocations.revoke(request, action, live)
            case Forget():
                await self._revocations.forget(request)
            case Guard():
                await self._revocations.guard(request, secret)
            case LetGo():
                assert secret is not None
                if not secret.deleted or await self._is_still_wanted(request):
                    await self._revocations.release_secret(request, secret)
            case Release():
                await self._revocations.release(request, action.unrevoked)
        if isinstance(done, Ordered):
            self._note_order(request, done, staged)
            return done.csr_pem
        self._memory.recall(request).waiting = None
        if done is None:
            return None
        self._note_written(request, done)
        self._tell(request, action, live, done, secret.record if secret is not None else None)
        return done.csr_pem

    def _drop(self, staged: Staged) -> None:
        """Its Secret was deleted, and stays only if the order has to be taken back."""
        if staged.leaves_traces:
            self._store.abandon(staged, format_time(self._clock()))
        else:
            self._store.drop_staged(staged)

    def _signer(self, request: CertificateRequest, secret: SecretMeta) -> GuardedBackend | None:
        """The CA of the certificate on record, if it can be asked now."""
        key = request.issuer_key(secret.record.issuer) if secret.record is not None else None
        live = self._issuers.get(key) if key is not None else None
        return live.ca if live is not None and live.backend is not None and live.is_ready else None

    def _ready(self, request: CertificateRequest) -> list[GuardedBackend]:
        """The CAs that the request names, as far as they can be asked now."""
        known = [self._issuers.get(key) for key in request.issuers]
        return [live.ca for live in known if live is not None and live.backend is not None and live.is_ready]

    async def _is_still_wanted(self, request: CertificateRequest) -> bool:
        """Its Secret is gone, which may be because it is to go itself: the watches tell of that in any order."""
        there = await self._objects.get(request.key)
        if there is None or there["metadata"]["uid"] != request.uid:
            self._gone(request)
            return False
        if "deletionTimestamp" not in there["metadata"]:
            return True
        self._shown(there)
        return False

    def _note_order(self, request: CertificateRequest, done: Ordered, before: Staged | None) -> None:
        """before: the order as it was kept until now."""
        self._store.wrote_secret(done.staged)
        now, remembered = self._clock(), self._memory.recall(request)
        pause, waiting = done.pending.poll_after, remembered.waiting
        is_same = before is not None and before.handle == done.staged.handle
        if not is_same or waiting is None or waiting.message != done.pending.message:
            remembered.moves = (*(at for at in remembered.moves if timedelta(0) <= now - at < _RECENT), now)
            if len(remembered.moves) > _MOVES:
                pause = max(pause, _RECENT / _MOVES)
        remembered.waiting = Waiting(
            uid=done.staged.uid,
            message=done.pending.message,
            poll_at=now + pause,
            imported=request.wishes.imported,
            remind_at=next_reminder(done.staged, now) if done.pending.by_user else None,
            since=now,
        )

    def _note_written(self, request: CertificateRequest, done: Written) -> None:
        self._store.wrote_secret(done.secret)
        if done.finished is not None:
            self._store.finish(done.finished)
        if done.renewal is not None and done.secret.record is not None:
            self._advice.note(request, done.secret.record.reference, done.renewal.ask_after)
        for issuer in self._issuers.readers(request.secret):  # the watch shows nothing newer
            self._wake(issuer)

    def _tell(
        self,
        request: CertificateRequest,
        action: Action,
        live: KnownIssuer | None,
        done: Written,
        before: Record | None,
    ) -> None:
        """before: of the certificate that another one replaced."""
        if done.lost:
            why = f"Secret {request.secret.name} no longer holds it"
            self._revocations.tell_unrevoked(request, done.lost, why)
        if isinstance(action, Issue | Resume) and before is not None and not action.revoke_old:
            self._revocations.tell_of_replaced(request, before)
        record = done.secret.record
        if isinstance(action, Adopt) and record is not None:
            text = f"Secret {request.spec.secret_name} with its certificate {record.serial_number}"
            text += " was there already, and was taken over"
            self._events.normal(request, Reason.ADOPTED, text)
            self._journal.say(logging.INFO, request.key, f"adopted: {text}")
        if isinstance(action, Issue | Resume) and record is not None:
            self._tell_issued(request, action, live, record, before)

    def _tell_issued(
        self,
        request: CertificateRequest,
        action: Issue | Resume,
        live: KnownIssuer | None,
        record: Record,
        before: Record | None,
    ) -> None:
        again = action.revision > 1
        reason = action.reason if again else None
        self._journal.say(logging.INFO, request.key, issued_text(request, record, reason))
        costs = live is not None and live.backend is not None and live.backend.traits.costs
        if again:
            why = f", because of {reason}" if reason else ""
            if reason is Reason.RENEWAL and before is not None and before.window is not None:
                why += ", at the time that the CA asks for (renewal information, RFC 9773)"
            self._events.normal(request, Reason.ISSUED, f"revision {action.revision}{why}", because=reason)
        elif costs and shows_trouble(request):
            self._events.normal(request, Reason.ISSUED, "revision 1")  # else the trouble would have the last word
