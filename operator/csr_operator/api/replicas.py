"""The Leases by which several replicas agree, as values: who shares the work, and which shards each of them has."""

import hashlib
import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from .keys import Raw
from .names import MANAGER, NAMESPACES_ANNOTATION, SHARDS_ANNOTATION
from .reading import read_mapping, read_text
from .shards import SHARDS

NOBODY = ""


@dataclass(frozen=True, slots=True)
class Group:
    """The replicas that share their work: those that watch the same namespaces."""

    namespaces: tuple[str, ...] = ()
    """Each once, in order; none: all."""

    @classmethod
    def of(cls, namespaces: Collection[str]) -> "Group":
        """Those that watch these."""
        return cls(tuple(sorted({*namespaces})))

    @property
    def name(self) -> str:
        """The value of their label."""
        if not self.namespaces:
            return "all"
        return hashlib.sha256(" ".join(self.namespaces).encode()).hexdigest()[:16]

    def overlaps(self, other: "Group") -> bool:
        """There is a namespace that both watch."""
        if not (self.namespaces and other.namespaces):
            return True
        return not {*self.namespaces}.isdisjoint(other.namespaces)

    @property
    def assignment_name(self) -> str:
        """Of the Lease that says who has which shard. No pod has that name."""
        return f"{MANAGER}-shards.{self.name}"


@dataclass(frozen=True, slots=True)
class Assignment:
    """Who has each shard. It changes when members come or go, and not otherwise."""

    epoch: int = 0
    """How many have been before it."""
    holders: tuple[str, ...] = (NOBODY,) * SHARDS
    """The name of a member for each shard; NOBODY for one that was given up."""

    @classmethod
    def read(cls, epoch: int, text: str) -> "Assignment":
        """As `text` is written. Raises ValueError for anything else."""
        try:
            shards_of = json.loads(text)
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error
        if not isinstance(shards_of, dict):
            raise ValueError("no members")
        holders = [NOBODY] * SHARDS
        for member, shards in shards_of.items():
            for shard in shards if isinstance(shards, list) else [None]:
                if type(shard) is not int or not 0 <= shard < SHARDS:
                    raise ValueError(f"{shard!r} is no shard: they are counted from 0 to {SHARDS - 1}")
                if holders[shard]:
                    raise ValueError(f"shard {shard} has two members")
                holders[shard] = member
        return cls(epoch, tuple(holders))

    @property
    def text(self) -> str:
        """JSON: the shards of each member."""
        members = sorted({*self.holders} - {NOBODY})
        return json.dumps({member: sorted(self.held_by(member)) for member in members})

    def held_by(self, member: str) -> frozenset[int]:
        """The shards that `member` has."""
        return frozenset(shard for shard, holder in enumerate(self.holders) if holder == member)

    def having(self, shards: Iterable[int], holders: tuple[str, ...]) -> "Assignment":
        """The next one, in which `shards` are with who has them in `holders`."""
        changed = list(self.holders)
        for shard in shards:
            changed[shard] = holders[shard]
        return Assignment(self.epoch + 1, tuple(changed))


class Process(NamedTuple):
    """Which process a member is, of all that ever were: `spec.holderIdentity` of its Lease, between slashes."""

    pod: str
    """Its name; empty outside of a pod, or where the pod does not tell it."""
    pod_uid: str
    host: str
    """The name of the machine; in a pod mostly the pod's."""
    boot: str
    pids: str
    """The namespace in which `pid` means it."""
    pid: str
    started: str
    """In clock ticks since the boot."""

    @classmethod
    def read(cls, identity: str) -> "Process | None":
        """None for what no member wrote, of this version at least."""
        parts = identity.split("/")
        return cls(*parts) if len(parts) == len(cls._fields) else None

    @property
    def identity(self) -> str:
        """As `read` reads it."""
        return "/".join(self)

    @property
    def description(self) -> str:
        """By which a person finds it."""
        return f"pod {self.pod}" if self.pod else f"process {self.pid} on host {self.host}"


def read_assignment(lease: Raw) -> Assignment:
    """Raises ValueError if it says nothing that can be gone by."""
    epoch = read_mapping(lease, "spec").get("leaseTransitions")
    text = _annotations(lease).get(SHARDS_ANNOTATION)
    if not isinstance(epoch, int) or not isinstance(text, str):
        raise ValueError("it has no shards, or no epoch")
    return Assignment.read(epoch, text)


def read_group(assignment: Raw) -> Group:
    """Of the Lease that says who has which shard."""
    namespaces = read_text(_annotations(assignment), NAMESPACES_ANNOTATION)
    return Group.of([name for name in namespaces.split(",") if name])


def read_process(lease: Raw) -> Process | None:
    """Which process that member is; None if the Lease does not say."""
    return Process.read(read_text(read_mapping(lease, "spec"), "holderIdentity"))


def _annotations(lease: Raw) -> Raw:
    return read_mapping(read_mapping(lease, "metadata"), "annotations")
