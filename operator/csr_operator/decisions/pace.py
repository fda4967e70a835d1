"""The brake on certificates that replace one another: pure.

Whatever keeps a loop going (a CA that dates back, renewal information that always says now, a Secret that is deleted or
damaged again and again), it goes by what the operator wrote itself.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from csr_operator.api.request import CertificateRequest
from csr_operator.api.seal import Seal
from csr_operator.api.secrets import Record
from csr_operator.api.times import format_time, parse_time

SETTLE = timedelta(seconds=30)
"""A certificate is not renewed sooner after it was stored: a CA that grants minutes must not make a loop."""

EARLY = 10
"""What comes due before this part of a certificate's life has passed since it was stored, is early."""

_PAUSES = (
    timedelta(minutes=1),
    timedelta(minutes=10),
    timedelta(hours=1),
    timedelta(hours=6),
    timedelta(days=1),
)
"""After one early replacement, and after each further one in a row."""

_SHORTEST = timedelta(minutes=5)
"""The shortest life that may be asked for (`spec.duration`)."""


def pause_after(times: int) -> timedelta:
    """How long to wait before what came to nothing so many times is done again; not at all before the first time."""
    return _PAUSES[min(times, len(_PAUSES)) - 1] if times else timedelta()


_ORDER_PAUSES = (
    timedelta(),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=1),
    timedelta(hours=6),
    timedelta(days=1),
)
"""After the first order that came to nothing, and after each further one for the same CSR: as CAs advise, soon, then
within hours, then once a day (https://letsencrypt.org/docs/integration-guide/)."""


def order_pause(lapses: int) -> timedelta:
    """How long to wait at least after an order that came to nothing, of which there were `lapses` before."""
    return _ORDER_PAUSES[min(lapses, len(_ORDER_PAUSES) - 1)]


def cause_of(renew: str, version: str) -> str:
    """A digest of what, besides the spec, an order that came to nothing depended on: `wish_of` each of both, in turn.

    renew: the annotation by which its user asks for another one; version: of the issuer.
    """
    return wish_of(renew) + wish_of(version)


def wish_of(renew: str) -> str:
    """A digest of the annotation by which a user asks for a renewal: 16 hex digits."""
    return hashlib.sha256(renew.encode(errors="replace")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Pace:
    """The brake on certificates that replace one another, whatever keeps it going."""

    stored: datetime
    """When the operator stored the last one, by its own clock, which no CA and no tenant sets."""
    not_before: datetime
    """Of the last one."""
    not_after: datetime
    """Of the last one."""
    hurries: int
    """How many in a row were replaced early to get there."""
    wish: str
    """What the user had asked for by then (`wish_of`)."""

    @classmethod
    def of(cls, record: Record) -> "Pace":
        """As the record of the last certificate says."""
        not_before, not_after = parse_time(record.not_before), parse_time(record.not_after)
        return cls(parse_time(record.stored), not_before, not_after, record.hurries, wish_of(record.renew))

    @property
    def calm(self) -> datetime:
        """What comes due before this is early."""
        return self.stored + max((self.not_after - max(self.not_before, self.stored)) / EARLY, SETTLE)

    @property
    def next(self) -> datetime:
        """When an early replacement may be made."""
        after = self.stored + pause_after(self.hurries)
        if self.not_after - self.not_before < _SHORTEST:
            return after  # nobody asked for so little: it would go on for ever
        # What serves somebody until it expires is not let expire.
        return min(after, max(self.calm, self.stored + (self.not_after - self.stored) * 2 / 3))

    def written(self, request: CertificateRequest, seal: Seal) -> str:
        """For `status.pace`, where it outlives the Secret: sealed, as others may write a status."""
        times = " ".join(map(format_time, (self.stored, self.not_before, self.not_after)))
        text = f"{times} {self.hurries} {self.wish}"
        return f"{text} {seal.code('pace', request.namespace, request.name, request.uid, text)}"

    @classmethod
    def read(cls, written: str, namespace: str, name: str, uid: str, seal: Seal) -> "Pace | None":
        """What the `status.pace` of this request says; None if the operator did not write it."""
        text, _, code = written.rpartition(" ")
        if not text or not seal.verifies(code, "pace", namespace, name, uid, text):
            return None
        stored, not_before, not_after, hurries, wish = text.split(" ")
        return cls(parse_time(stored), parse_time(not_before), parse_time(not_after), int(hurries), wish)
