"""An Issuer or ClusterIssuer as frozen values."""

from dataclasses import dataclass, field

from .conditions import Condition
from .keys import IssuerKind, ObjectKey, Raw
from .policy import Policy


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of one issuer's CA is used."""

    concurrent: int = 32
    """How many requests may be at it at once."""
    per_minute: int | None = None
    """How many may begin in `seconds`; None for any number."""
    seconds: float = 60.0

    def share(self, rank: int, count: int) -> "Limits":
        """What the one with `rank`, from 0, of `count` replicas may use, so that all together keep to the whole.

        Where there are fewer to begin in a minute than replicas, each has one in as many minutes as that takes. Of what
        may be at it at once each has one at least: more than the whole, where that is less than one for each.
        """
        if count < 2:
            return self
        concurrent = max(_part(self.concurrent, rank, count), 1)
        if self.per_minute is None:
            return Limits(concurrent)
        if self.per_minute < count:
            return Limits(concurrent, 1, self.seconds * count / self.per_minute)
        return Limits(concurrent, _part(self.per_minute, rank, count), self.seconds)


def _part(whole: int, rank: int, count: int) -> int:
    return whole // count + (rank < whole % count)


@dataclass(frozen=True, slots=True)
class Issuer:
    """An Issuer or ClusterIssuer as the watch shows it."""

    kind: IssuerKind
    namespace: str
    """Empty for a ClusterIssuer."""
    name: str
    uid: str
    resource_version: str
    generation: int
    backend: str
    """The name of the backend whose field the spec has."""
    config: Raw
    """The part of the spec that belongs to the backend."""
    policy: Policy | None = None
    """What may be asked of it; None for anything."""
    needs_approval: bool = False
    """Each request has to be approved by somebody who may."""
    limits: Limits = field(default_factory=Limits)
    conditions: tuple[Condition, ...] = ()
    """Those of its status."""
    problem: str = ""
    """Why `spec` could not be read, where admission let it through; `backend` is then empty."""

    @property
    def key(self) -> ObjectKey:
        """What others name it by."""
        return ObjectKey(self.kind, self.namespace, self.name)
