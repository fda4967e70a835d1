"""The Leases of the members, and that of the assignment: how they are written, and who of them is alive."""

import hashlib
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from csr_operator.api.names import LEAVING_ANNOTATION, MANAGER, REPLICAS_LABEL, SHARDS_ANNOTATION
from csr_operator.kube.objects import Object

from .assignment import Assignment
from .fencing import HOLDS, LEASE
from .identity import has_ended


def group_of(namespaces: Collection[str]) -> str:
    """The replicas that share their work: those that watch the same namespaces (none: all)."""
    if not namespaces:
        return "all"
    return hashlib.sha256(" ".join(sorted({*namespaces})).encode()).hexdigest()[:16]


def selector(group: str) -> str:
    """Of all Leases of one installation."""
    return f"{REPLICAS_LABEL}={group}"


def new_lease(name: str, group: str, identity: str, now: datetime) -> Object:
    """The Lease with which a member joins. now: for who looks at it; no member goes by another's clock."""
    spec = {
        "holderIdentity": identity,
        "leaseDurationSeconds": int(LEASE),
        "acquireTime": _micro_time(now),
        "renewTime": _micro_time(now),
    }
    return _lease({"name": name, "labels": {REPLICAS_LABEL: group}}, spec)


def renewed_lease(lease: Object, now: datetime, *, leaving: bool) -> Object:
    """The same, renewed. leaving: the others are to take its shards."""
    annotations = {**(lease["metadata"].get("annotations") or {})}
    if leaving:
        annotations[LEAVING_ANNOTATION] = "true"
    spec = {**lease["spec"], "renewTime": _micro_time(now)}
    return {**lease, "metadata": {**lease["metadata"], "annotations": annotations}, "spec": spec}


def is_same(lease: Object, other: Object) -> bool:
    """It is that Lease, whoever changed something of it meanwhile."""
    return bool(lease["metadata"]["uid"] == other["metadata"]["uid"])


def assignment_name(group: str) -> str:
    """Of the Lease that says who has which shard. No pod has that name."""
    return f"{MANAGER}-shards.{group}"


def assignment_lease(group: str, assignment: Assignment, before: Object | None) -> Object:
    """That Lease, with the assignment in an annotation and its epoch as the number of transitions."""
    metadata: Object = {
        "name": assignment_name(group),
        "labels": {REPLICAS_LABEL: group},
        "annotations": {SHARDS_ANNOTATION: assignment.text},
    }
    if before is not None:
        metadata["resourceVersion"] = before["metadata"]["resourceVersion"]
    return _lease(metadata, {"leaseTransitions": assignment.epoch})


def read_assignment(lease: Object) -> Assignment:
    """Raises ValueError if it says nothing that can be gone by."""
    epoch = (lease.get("spec") or {}).get("leaseTransitions")
    text = (lease["metadata"].get("annotations") or {}).get(SHARDS_ANNOTATION)
    if not isinstance(epoch, int) or not isinstance(text, str):
        raise ValueError("it has no shards, or no epoch")
    return Assignment.read(epoch, text)


@dataclass(slots=True)
class _Sight:
    """When a Lease was first seen as it is."""

    version: tuple[str, str]
    since: float


@dataclass(slots=True)
class Members:
    """The Leases of one group as they were last listed. clock: seconds, as those of `fencing.boot_time`."""

    group: str
    clock: Callable[[], float]
    leases: dict[str, Object] = field(default_factory=dict)
    """Of the members, by name."""
    assignment: Object | None = None
    """The Lease of the assignment; None if there is none."""
    _sights: dict[str, _Sight] = field(default_factory=dict)
    _listed: float = float("-inf")

    def saw(self, leases: Iterable[Object]) -> None:
        """A list shows all of them."""
        seen = {lease["metadata"]["name"]: lease for lease in leases}
        now, sights = self.clock(), {}
        if now - self._listed > HOLDS:
            # Who could not look, such as while the API server was away, does not know what they did meanwhile.
            self._sights = {}
        self._listed = now
        for name, lease in seen.items():
            version = (lease["metadata"]["uid"], lease["metadata"]["resourceVersion"])
            before = self._sights.get(name)
            sights[name] = before if before is not None and before.version == version else _Sight(version, now)
        self._sights = sights
        self.assignment = seen.pop(assignment_name(self.group), None)
        self.leases = seen

    def gone(self, name: str) -> None:
        """A Lease was deleted."""
        self.leases.pop(name, None)

    def dead(self, me: str, identity: str) -> list[str]:
        """The members whose Lease nobody renews any more. identity: of the process of `me`, who joined before if there
        are other Leases of it."""
        dead = []
        for name, lease in self.leases.items():
            holder = (lease.get("spec") or {}).get("holderIdentity") or ""
            if name != me and (holder == identity or self.unchanged(name) >= LEASE or has_ended(holder)):
                dead.append(name)
        return dead

    def staying(self) -> set[str]:
        """The members that are not about to end."""
        return {
            name
            for name, lease in self.leases.items()
            if (lease["metadata"].get("annotations") or {}).get(LEAVING_ANNOTATION) != "true"
        }

    def unchanged(self, name: str) -> float:
        """Seconds for which that Lease was seen as it is now."""
        sight = self._sights.get(name)
        return self.clock() - sight.since if sight is not None else 0.0


def _lease(metadata: Object, spec: Object) -> Object:
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}


def _micro_time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
