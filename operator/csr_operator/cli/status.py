"""`status`: how requests stand."""

import asyncio
from datetime import datetime

from csr_operator.api.issuer import Issuer
from csr_operator.api.keys import ObjectKey
from csr_operator.api.parse_issuer import parse_issuer
from csr_operator.api.parse_request import parse_request
from csr_operator.api.parse_secret import parse_secret_meta, parse_staged
from csr_operator.api.request import CertificateRequest
from csr_operator.decisions.ownership import owns
from csr_operator.issuance.secret_body import staging_key

from . import describe
from .cluster import Cluster, Reader
from .explain import Finding, Happening, Seen, event_words, findings, is_contested, is_nobodys
from .output import Report, facts, one_line, span, table
from .replica import holder_of
from .review import last_change
from .state import Rank, State, headline, moment, state_of, summary

_EVENTS = 5


async def status_of(cluster: Cluster, name: str, now: datetime) -> Report:
    """All about the request `name`, with findings and remedies. Raises CommandFailed."""
    seen = await _look(cluster, name)
    request, explained = seen.request, tuple(findings(seen, now))
    state = state_of(request, now)
    data = summary(request, now) | {
        "since": state.since or None,
        "findings": [
            {"reason": f.reason, "meaning": f.meaning, "message": f.message or None, "remedy": f.remedy or None}
            for f in explained
        ],
        **describe.details(seen),
    }
    parts = [
        f"CertificateRequest {request.namespace}/{request.name}: {headline(state, now)}",
        facts(describe.facts(seen, now), indent="  "),
        *map(_paragraph, explained),
    ]
    if seen.events:
        parts.append("Events:\n" + "\n".join(f"  {one_line(event_words(event, now))}" for event in seen.events))
    # That Secrets stay closed to most users is as it should be, and stands among the facts.
    if told := [text for text in seen.unread if text not in seen.closed]:
        parts.append("\n".join(f"({one_line(text)})" for text in told))
    return Report(data, "\n\n".join(parts))


async def status_of_all(cluster: Cluster, selector: str, now: datetime, *, everywhere: bool) -> Report:
    """A line for each request that `selector` selects, in one namespace or everywhere, the most urgent first.

    Raises CommandFailed.
    """
    requests = [parse_request(obj) for obj in await cluster.list_requests(selector, everywhere=everywhere)]
    states = [(request, state_of(request, now)) for request in requests]
    states.sort(key=lambda pair: (pair[1].rank, pair[0].status.not_after, pair[0].namespace, pair[0].name))
    data = {"items": [summary(request, now) for request, _ in states]}
    if not states:
        where = "any namespace" if everywhere else f"namespace {cluster.namespace}"
        return Report(data, f"No certificate requests found in {where}.")
    head: tuple[str, ...] = ("NAMESPACE", "NAME", "READY", "REASON", "ISSUER", "EXPIRES", "RENEWAL", "MESSAGE")
    rows: list[tuple[str, ...]] = [_row(request, state, now) for request, state in states]
    if not everywhere:
        head, rows = head[1:], [row[1:] for row in rows]
    return Report(data, table(head, rows))


def _row(request: CertificateRequest, state: State, now: datetime) -> tuple[str, ...]:
    status = request.status
    return (
        request.namespace,
        request.name,
        str(state.ready),
        state.reason,
        ",".join(key.name for key in request.issuers),
        _left(status.not_after, now),
        _left(status.renewal_time, now),
        "" if state.rank is Rank.WELL else state.message,
    )


def _left(text: str, now: datetime) -> str:
    if not text:
        return ""
    left = moment(text) - now
    return span(left) if left.total_seconds() >= 0 else f"-{span(left)}"


def _paragraph(finding: Finding) -> str:
    lines = [f"{finding.reason}: {finding.meaning}"]
    if finding.message:
        lines.append(f"  Message: {one_line(finding.message)}")
    if finding.remedy:
        lines.append(f"  What to do: {finding.remedy}")
    return "\n".join(lines)


async def _look(cluster: Cluster, name: str) -> Seen:
    obj = await cluster.get(cluster.key(name))
    request = parse_request(obj)
    # Rights to the operator's own namespace are nothing that a user has to have: nothing is said of it.
    reader, closed, unsaid = Reader(), Reader(), Reader()
    issuers, (secret_read, secret), (_, events), (_, leases) = await asyncio.gather(
        _issuers(cluster, reader, request),
        closed.try_to(f"Secret {request.spec.secret_name}", cluster.secret_metadata(request.secret)),
        reader.try_to("events", cluster.events(request.key, request.uid)),
        unsaid.try_to("Leases", cluster.replica_leases()),
    )
    order = None
    if secret_read:  # else it is said already that Secrets cannot be read
        _, order = await reader.try_to("the order's Secret", cluster.secret_metadata(staging_key(request)))
    meta = parse_secret_meta(secret, None) if secret is not None else None
    staged = parse_staged(order, None) if order is not None else None
    contested = False
    if meta is not None and is_nobodys(meta) and not owns(request, meta):
        others = cluster.list_requests("", secret_name=request.spec.secret_name)
        listed, objects = await reader.try_to("other requests for this Secret", others)
        contested = not listed or is_contested(request, meta, map(parse_request, objects or ()))
    return Seen(
        request=request,
        change=last_change(obj),
        issuers=issuers,
        secret=meta,
        secret_read=secret_read,
        contested=contested or (order is not None and staged is None),
        staged=staged,
        events=tuple(
            Happening(
                event["eventTime"],
                event.get("type", ""),
                event.get("reason", ""),
                event.get("note", ""),
                event.get("action", ""),
            )
            for event in (events or ())[-_EVENTS:]
            if event.get("eventTime")
        ),
        unread=(*closed.unread, *reader.unread),
        closed=tuple(closed.unread),
        holder=holder_of(request, leases or ()),
    )


async def _issuers(cluster: Cluster, reader: Reader, request: CertificateRequest) -> dict[ObjectKey, Issuer | None]:
    issuers: dict[ObjectKey, Issuer | None] = {}
    for key in request.issuers:
        read, obj = await reader.issuer(cluster, key)
        if read:
            issuers[key] = parse_issuer(obj) if obj is not None else None
    return issuers
