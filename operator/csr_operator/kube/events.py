"""Kubernetes Events for what is looked for in `kubectl describe`: transitions and failures only.

Best effort: an event that the API server does not take is lost, and nothing waits for it.
"""

import asyncio
import logging
import os
import uuid
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus

from csr_operator.api.fit import fit
from csr_operator.api.names import API_VERSION, GROUP
from csr_operator.api.reasons import Reason
from csr_operator.api.request import CertificateRequest
from csr_operator.fence import Fenced

from .errors import KubeError, Unreachable
from .objects import Object
from .resources import EVENTS
from .transport import METADATA, Transport

logger = logging.getLogger(__name__)

# Bytes; events.k8s.io/v1 refuses what is longer (ValidateEventCreate of k8s.io/kubernetes).
_NOTE_LIMIT = 1024
_WORD_LIMIT = 128
_WAITING_LIMIT = 200
"""Of one namespace: what goes beyond is lost, and nobody else's."""
_LAST_WORDS = 2.0

_ACTION = "Reconcile"
"""What was done, where nothing else is to be said of it."""


class Events:
    """Kubernetes events, sent in the background: to lose one holds up nothing.

    clock: the time now, in UTC.
    """

    def __init__(self, transport: Transport, clock: Callable[[], datetime]) -> None:
        self._transport, self._clock = transport, clock
        self._instance = fit(os.environ.get("HOSTNAME") or "csr-operator", _WORD_LIMIT)
        self._sending: dict[asyncio.Task[None], str] = {}
        self._waiting: Counter[str] = Counter()  # by namespace

    def normal(self, request: CertificateRequest, reason: Reason, note: str, *, because: Reason | None = None) -> None:
        """because: why another certificate was issued, for programs."""
        self._post(_regarding(request), "Normal", reason, note, because or _ACTION)

    def warning(self, request: CertificateRequest, reason: str, note: str) -> None:
        """reason: mostly that of a condition."""
        self._post(_regarding(request), "Warning", reason, note, _ACTION)

    def warn_once(self, regarding: Object, reason: Reason, note: str, uid: str) -> None:
        """About another object than a request. uid: what this event is about alone; there is one event about that,
        however many processes want to make it."""
        self._post(regarding, "Warning", reason, note, _ACTION, uid.replace("-", ""))

    async def drain(self) -> None:
        """Wait a moment for what is under way to be sent."""
        if self._sending:
            _, late = await asyncio.wait(self._sending, timeout=_LAST_WORDS)
            for task in late:
                task.cancel()

    def _post(self, regarding: Object, kind: str, reason: str, note: str, action: str, suffix: str = "") -> None:
        namespace = regarding["namespace"]
        if self._waiting[namespace] >= _WAITING_LIMIT:
            return
        prefix = regarding["name"][:200].rstrip("-.")  # each part of a name ends in a letter or digit
        body: Object = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": f"{prefix}.{suffix or uuid.uuid4().hex[:16]}", "namespace": namespace},
            "eventTime": self._clock().strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "reportingController": GROUP,
            "reportingInstance": self._instance,
            "action": action,
            "type": kind,
            "reason": fit(reason, _WORD_LIMIT),
            "note": fit(note, _NOTE_LIMIT),
            "regarding": regarding,
        }
        task = asyncio.create_task(self._send(namespace, body))
        self._sending[task] = namespace
        self._waiting[namespace] += 1
        task.add_done_callback(self._sent)

    def _sent(self, task: asyncio.Task[None]) -> None:
        namespace = self._sending.pop(task)
        self._waiting[namespace] -= 1
        if not self._waiting[namespace]:
            del self._waiting[namespace]

    async def _send(self, namespace: str, body: Object) -> None:
        try:
            await self._transport.call(
                "create", "POST", EVENTS.plural, EVENTS.path(namespace), body=body, accept=METADATA
            )
        except (KubeError, Unreachable, Fenced) as error:
            if not isinstance(error, KubeError) or error.status != HTTPStatus.CONFLICT:  # there is one of its name
                logger.info("an event was lost: %s", error)


def _regarding(request: CertificateRequest) -> Object:
    return {
        "apiVersion": API_VERSION,
        "kind": "CertificateRequest",
        "namespace": request.namespace,
        "name": request.name,
        "uid": request.uid,
        "resourceVersion": request.resource_version,
    }
