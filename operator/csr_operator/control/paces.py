"""How fast the certificates of a request replaced one another, as far as it is known."""

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache

from csr_operator.api.request import CertificateRequest
from csr_operator.api.seal import Seal
from csr_operator.api.secrets import SecretMeta
from csr_operator.decisions.ownership import owns
from csr_operator.decisions.pace import Pace

from .clock import SKEW
from .memory import Memory


class Paces:
    """clock: the time now, in UTC."""

    def __init__(self, memory: Memory, seal: Seal, clock: Callable[[], datetime]) -> None:
        self._memory, self._seal, self._clock = memory, seal, clock
        # One look at a request asks for it twice.
        self._read = lru_cache(maxsize=64)(self._read_anew)

    def of(self, request: CertificateRequest, secret: SecretMeta | None) -> Pace | None:
        """By the last certificate that is known of: its record may be gone with the Secret, or have been stripped."""
        remembered = self._memory.recall(request)
        record = secret.record if secret is not None and owns(request, secret) else None
        known = (
            Pace.of(record) if record is not None else None,
            remembered.pace or self._shown(request),
        )
        # What was stored later than now was so by a clock that was wrong, and is right now.
        now = self._clock() + SKEW
        stored = [kept for kept in known if kept is not None and kept.stored <= now]
        pace = max(stored, key=_stored, default=None)
        if pace is not None:
            remembered.pace = pace
        return pace

    def text(self, request: CertificateRequest, secret: SecretMeta | None) -> str:
        """As the status keeps it, sealed; empty if there is none."""
        pace = self.of(request, secret)
        if pace is None:
            return ""
        # By a key that was rotated, it is as good.
        return request.status.pace if self._shown(request) == pace else pace.written(request, self._seal)

    def _shown(self, request: CertificateRequest) -> Pace | None:
        """What its status says, if that is the operator's own word."""
        return self._read(request.status.pace, request.namespace, request.name, request.uid)

    def _read_anew(self, text: str, namespace: str, name: str, uid: str) -> Pace | None:
        return Pace.read(text, namespace, name, uid, self._seal)


def _stored(pace: Pace) -> datetime:
    return pace.stored
