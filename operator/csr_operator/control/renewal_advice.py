"""Asks CAs when they want their certificates renewed (such as ARI, RFC 9773)."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from csr_operator.api.keys import ObjectKey
from csr_operator.api.reasons import Reason
from csr_operator.api.request import CertificateRequest
from csr_operator.api.secrets import SecretMeta
from csr_operator.api.times import format_time
from csr_operator.decisions.renewal import fraction
from csr_operator.decisions.world import IssuerState
from csr_operator.issuance.failures import Failed
from csr_operator.issuance.issued_secrets import IssuedSecrets
from csr_operator.kube.events import Events

from .issuers import KnownIssuer
from .memory import Consultation, Memory
from .reconciler import Done
from .store import Store

logger = logging.getLogger(__name__)

_SPREAD = timedelta(hours=1)
"""After a start, CAs are asked within this time, for each certificate once."""

_AGAIN = timedelta(hours=6)
"""Where the CA does not say when to ask again, or could not be asked."""

_SOONEST = timedelta(minutes=10)
"""After a call that failed."""


_LEAST = timedelta(minutes=1)
"""After any call, whatever the CA says (RFC 9773, section 4.3.2): each other window that it suggests is a write."""


class RenewalAdvice:
    """calls: how many of those run at the same time. clock: the time now, in UTC."""

    def __init__(
        self,
        secrets: IssuedSecrets,
        events: Events,
        store: Store,
        memory: Memory,
        calls: asyncio.Semaphore,
        clock: Callable[[], datetime],
    ) -> None:
        self._secrets, self._events, self._store, self._memory = secrets, events, store, memory
        self._calls, self._clock = calls, clock

    def due(
        self, request: CertificateRequest, secret: SecretMeta | None, states: Mapping[ObjectKey, IssuerState]
    ) -> datetime | None:
        """When to ask about the certificate in `secret`; None if its CA has no say in that, or cannot be asked."""
        record = secret.record if secret is not None else None
        if record is None or not record.reference:
            return None
        issuer = request.issuer_key(record.issuer)
        if issuer is None or issuer not in states or not states[issuer].suggests:
            return None
        remembered = self._memory.recall(request)
        known, now = remembered.consultation, self._clock()
        if known is None or known.reference != record.reference or now < known.since:
            known = Consultation(record.reference, now + _SPREAD * fraction(request.uid), now)
            remembered.consultation = known
        return known.at

    def note(self, request: CertificateRequest, reference: str, after: timedelta) -> None:
        """The CA was asked just now, and is to be asked again then, in a minute at the earliest."""
        now = self._clock()
        self._memory.recall(request).consultation = Consultation(reference, now + max(after, _LEAST), now)

    async def ask(self, request: CertificateRequest, live: KnownIssuer) -> Done:
        """Ask, and keep what was said. Raises KubeError, Unreachable."""
        known = self._memory.recall(request).consultation
        if known is None:
            return Done()  # the request went away just now
        again = _AGAIN
        try:
            async with self._calls:
                renewal = await live.ca.suggest_renewal(known.reference)
            if renewal is not None:
                again = renewal.ask_after
            meta = await self._secrets.note_renewal(request, renewal)
            if meta is not None:
                self._store.wrote_secret(meta)
                if renewal is not None and renewal.explanation:
                    when = f"between {format_time(renewal.start)} and {format_time(renewal.end)}"
                    text = f"{live.issuer.key} asks to renew the certificate {when}: {renewal.explanation}"
                    self._events.normal(request, Reason.RENEWAL_SUGGESTED, text)
        except Failed as failed:
            again = min(again, max(failed.after, _SOONEST))
            logger.info("%s: %s does not say when to renew: %s", request.key, live.issuer.key, failed.message)
        self.note(request, known.reference, again)
        return Done(timedelta(0))
