"""An Issuer or ClusterIssuer as frozen values."""

from dataclasses import dataclass, field

from .conditions import Condition
from .keys import Kind, ObjectKey, Raw
from .policy import Policy


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of one issuer's CA is used at once. per_minute: None for any number."""

    concurrent: int = 32
    per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class Issuer:
    """An Issuer or ClusterIssuer; `config` is the part of the spec that belongs to its backend."""

    kind: Kind
    namespace: str
    name: str
    uid: str
    resource_version: str
    generation: int
    backend: str
    config: Raw
    policy: Policy | None = None
    needs_approval: bool = False
    limits: Limits = field(default_factory=Limits)
    conditions: tuple[Condition, ...] = ()
    problem: str = ""
    """Why `spec` could not be read, where admission let it through; `backend` is then empty."""

    @property
    def key(self) -> ObjectKey:
        """What others name it by."""
        return ObjectKey(self.kind, self.namespace, self.name)
