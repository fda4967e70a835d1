"""The Leases of the members, and that of the assignment: how they are written, and who of them is alive."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from csr_operator.api.names import LEAVING_ANNOTATION, NAMESPACES_ANNOTATION, REPLICAS_LABEL, SHARDS_ANNOTATION
from csr_operator.api.replicas import Assignment, Group, read_assignment, read_group, read_process
from csr_operator.kube.objects import Object

from .fencing import HOLDS, LEASE
from .identity import has_ended


def new_lease(name: str, group: Group, identity: str, now: datetime) -> Object:
    """The Lease with which a member joins. now: for who looks at it; no member goes by another's clock."""
    spec = {**_held_by(identity, now), "acquireTime": _micro_time(now)}
    return _lease({"name": name, "labels": {REPLICAS_LABEL: group.name}}, spec)


def renewed_lease(lease: Object, identity: str, now: datetime, *, leaving: bool) -> Object:
    """The same, renewed, and put right where somebody changed it. leaving: the others are to take its shards."""
    annotations = {**(lease["metadata"].get("annotations") or {})}
    annotations.pop(LEAVING_ANNOTATION, None)
    if leaving:
        annotations[LEAVING_ANNOTATION] = "true"
    spec = {**(lease.get("spec") or {}), **_held_by(identity, now)}
    return {**lease, "metadata": {**lease["metadata"], "annotations": annotations}, "spec": spec}


def is_same(lease: Object, other: Object) -> bool:
    """It is that Lease, whoever changed something of it meanwhile."""
    return bool(lease["metadata"]["uid"] == other["metadata"]["uid"])


def is_held_by(lease: Object, identity: str) -> bool:
    """That process joined with it."""
    return bool((lease.get("spec") or {}).get("holderIdentity") == identity)


def assignment_lease(group: Group, assignment: Assignment, before: Object | None) -> Object:
    """That Lease, with the assignment in an annotation and its epoch as the number of transitions."""
    metadata: Object = {
        "name": group.assignment_name,
        "labels": {REPLICAS_LABEL: group.name},
        "annotations": {SHARDS_ANNOTATION: assignment.text},
    }
    if group.namespaces:
        metadata["annotations"][NAMESPACES_ANNOTATION] = ",".join(group.namespaces)
    if before is not None:
        metadata["resourceVersion"] = before["metadata"]["resourceVersion"]
    return _lease(metadata, {"leaseTransitions": assignment.epoch})


@dataclass(slots=True)
class _Sight:
    """When a Lease was first seen as it is."""

    version: tuple[str, str]
    since: float


@dataclass(slots=True)
class Members:
    """The Leases of one group, and of others, as they were last listed. clock: seconds, as those of
    `fencing.boot_time`."""

    group: Group
    clock: Callable[[], float]
    leases: dict[str, Object] = field(default_factory=dict)
    """Of the members, by name."""
    assignment: Object | None = None
    """The Lease of the assignment; None if there is none."""
    others: dict[str, Object] = field(default_factory=dict)
    """Of all other groups, by name."""
    _sights: dict[str, _Sight] = field(default_factory=dict)
    _vanished: dict[str, float] = field(default_factory=dict)
    """When it was seen that the Lease of a member had gone."""
    _listed: float = float("-inf")

    def saw(self, leases: Iterable[Object]) -> None:
        """A list shows all that there are, of whatever group."""
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
        self.others = {name: lease for name, lease in seen.items() if _group_name(lease) != self.group.name}
        for name in self.others:
            del seen[name]
        self.assignment = seen.pop(self.group.assignment_name, None)
        vanished = self._vanished | dict.fromkeys(self.leases.keys() - seen.keys(), now)
        self._vanished = {name: since for name, since in vanished.items() if name not in seen and now - since < HOLDS}
        self.leases = seen

    def gone(self, name: str) -> None:
        """A Lease was deleted, and nobody acts by it any more."""
        self.leases.pop(name, None)
        self._vanished.pop(name, None)

    @property
    def acting(self) -> set[str]:
        """The members that may act. One whose Lease somebody else deleted does until it notices."""
        return {*self.leases, *self._vanished}

    def dead(self, me: str, identity: str) -> list[str]:
        """The members whose Lease nobody renews any more. identity: of the process of `me`, who joined before if there
        are other Leases of it."""
        return [
            name
            for name, lease in self.leases.items()
            if name != me and (is_held_by(lease, identity) or self._is_dead(name, lease))
        ]

    def rival(self) -> Group | None:
        """Another group that is at work in a namespace of this one, and comes first; None if there is none.

        Such as the one that is to be replaced, where the arguments were changed. If both are at work, which only
        happens when they began in the same moment, one of them is first.
        """
        works = self._works(self.assignment, self.leases)
        for lease in self.others.values():
            group = read_group(lease)
            is_assignment = lease["metadata"]["name"] == group.assignment_name
            if not is_assignment or not group.overlaps(self.group) or not self._works(lease, self.others):
                continue
            if not works or group.name < self.group.name:
                return group
        return None

    def _works(self, assignment: Object | None, leases: Mapping[str, Object]) -> bool:
        """One of these Leases has a shard, and lives."""
        try:
            holders = {*read_assignment(assignment).holders} if assignment is not None else set()
        except ValueError:
            return False
        return any(name in leases and not self._is_dead(name, leases[name]) for name in holders)

    def _is_dead(self, name: str, lease: Object) -> bool:
        process = read_process(lease)
        return (process is not None and has_ended(process)) or self.unchanged(name) >= LEASE

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


def _group_name(lease: Object) -> str:
    return str((lease["metadata"].get("labels") or {}).get(REPLICAS_LABEL, ""))


def _held_by(identity: str, now: datetime) -> Object:
    return {"holderIdentity": identity, "leaseDurationSeconds": int(LEASE), "renewTime": _micro_time(now)}


def _lease(metadata: Object, spec: Object) -> Object:
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}


def _micro_time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
