"""What this process remembers of each request, besides what the watches show.

All of it is lost with a restart, and none of it has to outlast one. Work on a request takes its time, and the request
may be gone when that is done, or another one may have its name: what is to be remembered then is dropped here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from .decide import Failure, Waiting
from .model import CertificateRequest, ObjectKey, RequestStatus, SecretKey, SecretMeta
from .pace import Pace
from .repairs import Repairs

_NONE: Mapping[Any, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Look:
    """Where somebody else's Secret was looked for, what was found, and when; at: None if that is out of date."""

    secret: SecretKey
    found: SecretMeta | None
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Remembered:
    """Of one request."""

    failures: Mapping[ObjectKey | None, Failure] = field(default_factory=lambda: _NONE)
    """The last one by issuer; None: of the request itself."""
    unrevoked: Mapping[ObjectKey, Failure] = field(default_factory=lambda: _NONE)
    """The same for revocations."""
    waiting: Waiting | None = None
    """For the order under way."""
    consult: tuple[str, datetime] | None = None
    """The reference of a certificate, and when to ask its CA when it wants that renewed."""
    look: Look | None = None
    """For a Secret that no watch shows."""
    pace: Pace | None = None
    """It outlives the Secret whose record has it."""
    warned: tuple[str, tuple[str, ...]] | None = None
    """Of which forgeries its user was told: the UID of the Secret, and what is forged."""
    refused: RequestStatus | None = None
    """The status that the API server does not take, without times."""
    repairs: Repairs = field(default_factory=Repairs)


_NOTHING = Remembered()


class Memory:
    """knows: whether there is a request with this UID."""

    def __init__(self, knows: Callable[[str], bool]) -> None:
        self._knows = knows
        self._kept: dict[ObjectKey, tuple[str, Remembered]] = {}  # with the UID

    def recall(self, request: CertificateRequest) -> Remembered:
        uid, remembered = self._kept.get(request.key, ("", _NOTHING))
        return remembered if uid == request.uid else _NOTHING

    def keep(self, request: CertificateRequest, **changes: Any) -> None:
        """Remember these fields of `Remembered` so, if the request is still there."""
        before = self.recall(request)
        after = replace(before, **changes)
        if after != before and self._knows(request.uid):
            self._kept[request.key] = request.uid, after

    def forget(self, request: ObjectKey) -> None:
        """It is gone."""
        self._kept.pop(request, None)

    def __len__(self) -> int:
        """Requests of which anything is remembered."""
        return len(self._kept)
