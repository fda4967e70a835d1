"""What this process remembers of each request, and forgets with it: all of it can be lost at any moment.

What has to outlive a restart stands in Secrets and, sealed, in the status. What is seen of other objects is in the
`Store`.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from csr_operator.api.keys import ObjectKey, SecretKey
from csr_operator.api.request import CertificateRequest, RequestStatus
from csr_operator.api.secrets import SecretMeta
from csr_operator.decisions.pace import Pace
from csr_operator.decisions.world import Failure, Waiting

from .queue import retry_wait


@dataclass(frozen=True, slots=True)
class Look:
    """A look at a Secret that no watch shows."""

    secret: SecretKey
    """Where."""

    meta: SecretMeta | None
    """What was there."""

    at: datetime | None
    """When; None if that is out of date."""


@dataclass(frozen=True, slots=True)
class Consultation:
    """When the CA of a certificate is asked when it wants it renewed."""

    reference: str
    """What the CA calls the certificate."""

    at: datetime

    since: datetime
    """When that was said: before that, the clock was put back."""


@dataclass(slots=True)
class Remembered:
    """Of one request."""

    failures: dict[ObjectKey | None, Failure] = field(default_factory=dict)
    """The last one at each issuer; None: of the request itself."""

    unrevoked: dict[ObjectKey, Failure] = field(default_factory=dict)
    """The last one of a revocation at each issuer."""

    attempts: int = 0
    """Failures in a row."""

    waiting: Waiting | None = None
    """Its order."""

    moves: tuple[datetime, ...] = ()
    """When the CA last told something else of the order."""

    consultation: Consultation | None = None
    look: Look | None = None
    pace: Pace | None = None
    """By the last certificate: it outlives the Secret whose record has it."""

    warned: tuple[str, tuple[str, ...]] | None = None
    """Of which forgeries in which Secret (UID) the user was told."""

    refused: RequestStatus | None = None
    """The status that the API server does not take, without times."""

    def note_failure(self, failure: Failure, named: Collection[ObjectKey]) -> None:
        """The last one of its issuer. named: the request's issuers; of those that it named before, none counts."""
        for other in self.failures.keys() - {None, *named}:
            del self.failures[other]
        self.failures[failure.issuer] = failure

    def count_failure(self, at_least: timedelta) -> timedelta:
        """One more in a row; returns how long to wait."""
        wait = timedelta(seconds=retry_wait(self.attempts))
        self.attempts += 1
        return max(at_least, wait)

    def succeeded(self) -> None:
        """None is in a row any more."""
        self.attempts = 0


class Memory:
    """exists: whether there is a request of this UID. What is noted of one that is gone is lost at once."""

    def __init__(self, exists: Callable[[str], bool]) -> None:
        self._exists = exists
        self._records: dict[str, Remembered] = {}

    def recall(self, request: CertificateRequest) -> Remembered:
        """The one record of this request, to read and to change."""
        record = self._records.get(request.uid)
        if record is None:
            record = Remembered()
            if self._exists(request.uid):
                self._records[request.uid] = record
        return record

    def forget(self, uid: str) -> None:
        """The request is gone."""
        self._records.pop(uid, None)

    def __len__(self) -> int:
        return len(self._records)
