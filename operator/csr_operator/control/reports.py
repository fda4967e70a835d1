"""What the user of a request is told: its status, events, a reminder once a day, and lines in the log."""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from csr_operator.api.names import STATE_KEY
from csr_operator.api.reasons import Reason
from csr_operator.api.request import CertificateRequest
from csr_operator.api.secrets import Record, SecretMeta, Staged
from csr_operator.api.times import parse_time
from csr_operator.decisions.actions import Hold, Keep, Rest
from csr_operator.decisions.ownership import owns
from csr_operator.decisions.status import request_status, status_body
from csr_operator.fence import Fenced
from csr_operator.issuance.performer import Performer
from csr_operator.kube.custom_objects import CustomObjects
from csr_operator.kube.errors import KubeError, Unreachable
from csr_operator.kube.events import Events
from csr_operator.pki.csr import csr_digest
from csr_operator.pki.errors import quoted

from .journal import Journal
from .memory import Memory
from .paces import Paces
from .store import Store

logger = logging.getLogger(__name__)

_SOON = timedelta(seconds=15)
_BRIEF = timedelta(seconds=20)
"""A look at an order that is due within `_SOON` is not written to the status during the order's first `_BRIEF`."""

_ORDERED = (Reason.PENDING, Reason.ACTION_REQUIRED)
"""The reasons of an order that is placed, and waits."""

_REMIND = timedelta(hours=24)
"""How often a user is reminded of what waits for a person."""

_OVERTAKEN = timedelta(seconds=1)
"""After which a status that was not written is looked at again."""

_LONGEST_REST = timedelta(hours=1)
"""Looked at again at least so often, in case the wall clock was set."""

NOT_OURS = f"was written by somebody else, or Secret {STATE_KEY} of the operator's namespace has got another key since"
"""How it is told that the code of something does not verify."""


class Reports:
    """clock: the time now, in UTC."""

    def __init__(
        self,
        objects: CustomObjects,
        performer: Performer,
        events: Events,
        journal: Journal,
        store: Store,
        memory: Memory,
        paces: Paces,
        clock: Callable[[], datetime],
    ) -> None:
        self._objects, self._performer, self._events, self._journal = objects, performer, events, journal
        self._store, self._memory, self._paces, self._clock = store, memory, paces, clock

    async def rest(self, request: CertificateRequest, rest: Rest, csr_pem: str | None = None) -> timedelta | None:
        """There is nothing to do: say so where that is news, and return when there may be. Raises KubeError,
        Unreachable.

        csr_pem: the CSR of what was done just now; None for whatever it is.
        """
        if request.being_deleted and isinstance(rest, Keep):
            return None  # it is as good as gone: nothing is to be said of it
        remembered = self._memory.recall(request)
        until, now, staged = rest.until, self._clock(), self._store.staged(request)
        waiting = remembered.waiting
        shown = True
        if shows_trouble(request) or not _is_brief(rest, staged, now):
            shown = await self.write_status(request, rest, csr_pem)
        remind_at = waiting.remind_at if waiting is not None else None
        if waiting is not None and remind_at is not None and staged is not None and until is not None:
            if now >= remind_at:
                self._events.warning(request, Reason.STILL_PENDING, f"since {staged.created}: {waiting.message}")
                remind_at = next_reminder(staged, now)
                remembered.waiting = replace(waiting, remind_at=remind_at)
            until = min(until, remind_at)
        if not shown:
            return _OVERTAKEN
        return None if until is None else max(min(until - now, _LONGEST_REST), timedelta(0))

    async def tell(self, request: CertificateRequest, hold: Hold) -> None:
        """Say it in the status, if the API server takes it now."""
        try:
            await self.write_status(request, hold)
        except (Unreachable, KubeError) as error:
            logger.info("%s: %s: the API server: %s", request.key, hold.message, error)
        except Fenced:
            pass  # who has it now tells

    async def write_status(self, request: CertificateRequest, rest: Rest, csr_pem: str | None = None) -> bool:
        """Write what is news, with an event where it is trouble. Raises KubeError, Unreachable.

        False if the request is another one since `request`, or gone, and nothing was written.
        """
        secret, staged, old = self._store.own_secret(request), self._store.staged(request), request.status
        record = secret.record if secret is not None else None
        if csr_pem is None and old.csr_digest != _digest_to_show(staged, record):
            csr_pem = await self._performer.csr_pem(request, staged, record)
        status = request_status(request, secret, rest, self._clock(), self._paces.text(request, secret))
        if csr_pem is not None:
            status = replace(status, csr_digest=csr_digest(csr_pem))
        if status == old:
            return True
        if status.csr_digest == old.csr_digest:
            csr_pem = None
        remembered, wanted = self._memory.recall(request), status.without_times()
        if remembered.refused == wanted:
            return True  # it would be refused again
        try:
            body = status_body(status, csr_pem)
            answer = await self._objects.patch_status(request.key, request.resource_version, body)
        except KubeError as error:
            if error.status == 409 or error.is_not_found:
                return False  # the watch shows it, unless it was our own word that the CA takes long
            if error.status == 422:
                remembered.refused = wanted
                logger.warning(
                    "%s: the API server refuses its status, which stays as it is: %s", request.key, quoted(error, 500)
                )
                return True
            raise
        remembered.refused = None
        self._store.wrote_request(request, answer["metadata"]["resourceVersion"], status)
        news = [c for c in status.conditions if not any(c.says_the_same(o) for o in old.conditions)]
        if isinstance(rest, Hold) and news and not self._is_routine(rest):
            self._events.warning(request, news[-1].reason, news[-1].message)
            level = logging.WARNING if rest.needs_user else logging.INFO
            self._journal.say(level, request.key, f"{news[-1].reason}: {news[-1].message}")
        return True

    def warn_of_forgery(self, request: CertificateRequest, secret: SecretMeta | None) -> None:
        """Tell, once, what of its Secret does not verify."""
        if secret is None or not secret.forged or not owns(request, secret):
            return
        remembered, seen = self._memory.recall(request), (secret.uid, secret.forged)
        if remembered.warned != seen:
            remembered.warned = seen
            names = " and ".join(secret.forged)
            text = f"a part of Secret {secret.name} {NOT_OURS}, and is ignored: {names}"
            self._events.warning(request, Reason.STATE_NOT_AUTHENTIC, text)

    def note_unrevoked(self, request: CertificateRequest, note: str) -> None:
        """Something was to be revoked, and stays valid."""
        self._journal.say(logging.WARNING, request.key, note)  # there may be no events any more where it was
        self._events.warning(request, Reason.NOT_REVOKED, note)

    def _is_routine(self, hold: Hold) -> bool:
        """It goes on by itself, and soon: the condition says enough."""
        soon = hold.until is not None and hold.until - self._clock() <= _SOON
        return hold.reason in (Reason.QUEUED, Reason.ISSUING) or (hold.reason is Reason.PENDING and soon)


def shows_trouble(request: CertificateRequest) -> bool:
    """What stands in its status is that something is wrong, or lacking."""
    ready = request.status.condition("Ready")
    return (
        ready is not None and ready.status != "True" and ready.reason not in (Reason.QUEUED, Reason.ISSUING, *_ORDERED)
    )


def next_reminder(staged: Staged, now: datetime) -> datetime:
    """At whole multiples of the interval from the order's beginning, so that a restart reminds nobody."""
    begun = parse_time(staged.created)
    return begun + _REMIND * ((now - begun) // _REMIND + 1)


def _is_brief(rest: Rest, staged: Staged | None, now: datetime) -> bool:
    """It waits for a CA that has usually answered before anybody has read that."""
    if not isinstance(rest, Hold) or rest.reason not in _ORDERED or rest.until is None or staged is None:
        return False
    return rest.until - now <= _SOON and now - parse_time(staged.created) < _BRIEF


def _digest_to_show(staged: Staged | None, record: Record | None) -> str:
    """That of the CSR that status should show."""
    if staged is not None:
        return staged.csr
    return "" if record is None else record.csr
