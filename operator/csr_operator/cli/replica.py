"""Which replica of the operator works on a request: pure, from the Leases by which the replicas agree."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from csr_operator.api.keys import Raw
from csr_operator.api.reading import read_mapping, read_text
from csr_operator.api.replicas import NOBODY, Process, read_assignment, read_group, read_process
from csr_operator.api.request import CertificateRequest
from csr_operator.api.shards import SHARDS

from .state import distance, moment

_SILENT = timedelta(minutes=1)
"""A Lease that was not renewed for so long is told of; it is renewed every few seconds, by another machine's clock."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has the shard of a request."""

    shard: int
    lease: str = NOBODY
    """The name of its Lease; NOBODY if the shard was given up."""
    is_there: bool = False
    """Its Lease is."""
    process: Process | None = None
    """None if the Lease does not say."""
    renewed: str = ""
    """When the Lease last was; empty if it does not say."""


def holder_of(request: CertificateRequest, leases: Iterable[Raw]) -> Holder | None:
    """None if no assignment says so. leases: those of all replicas in the operator's namespace."""
    by_name = {lease["metadata"]["name"]: lease for lease in leases}
    holders = list(_holders(request, by_name))
    # What an operator with other arguments left behind is no match for one that runs.
    return next((holder for holder in holders if holder.is_there), holders[0] if holders else None)


def _holders(request: CertificateRequest, leases: Mapping[str, Raw]) -> Iterator[Holder]:
    for name, assignment in leases.items():
        group = read_group(assignment)
        if name != group.assignment_name or (group.namespaces and request.namespace not in group.namespaces):
            continue
        with suppress(ValueError):
            holder = read_assignment(assignment).holders[request.shard]
            yield _holder(request.shard, holder, leases.get(holder))


def _holder(shard: int, name: str, lease: Raw | None) -> Holder:
    if lease is None:
        return Holder(shard, name)
    return Holder(shard, name, True, read_process(lease), read_text(read_mapping(lease, "spec"), "renewTime"))


def replica_words(holder: Holder, now: datetime) -> str:
    """For people, by whom a human can find it."""
    shard = f"shard {holder.shard} of {SHARDS}"
    if not holder.lease:
        return f"none now ({shard}): does the operator run?"
    if not holder.is_there:
        return f"none now ({shard}): {holder.lease} is gone, and another one is to take over"
    name = holder.process.description if holder.process is not None else f"Lease {holder.lease}"
    return f"{name} ({shard}){_silence(holder.renewed, now)}"


def replica_details(holder: Holder) -> dict[str, Any]:
    """For programs."""
    process = holder.process
    return {
        "shard": holder.shard,
        "lease": holder.lease or None,
        "pod": (process.pod or None) if process is not None else None,
        "host": process.host if process is not None else None,
        "renewed": holder.renewed or None,
    }


def _silence(renewed: str, now: datetime) -> str:
    try:
        is_silent = now - moment(renewed) > _SILENT
    except (ValueError, TypeError):
        return ""
    return f", which has not been heard of since {renewed} ({distance(renewed, now)})" if is_silent else ""
