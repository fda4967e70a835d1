"""How a request stands, from its status alone: pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any

from csr_operator.api.conditions import Condition
from csr_operator.api.reasons import Reason
from csr_operator.api.request import CertificateRequest

from .output import span, when
from .reasons import Unsaid

_LATE = timedelta(minutes=15)
"""A renewal that is due for longer, without a word of the operator, is one that it does not work on."""


class Rank(IntEnum):
    """How much a request needs somebody, most first."""

    STALLED = 0
    WAITING = 1
    STALLED_BUT_SERVING = 2
    WAITING_BUT_SERVING = 3
    WELL = 4


@dataclass(frozen=True, slots=True)
class State:
    """ready: the certificate is what the spec asks for, and serves.

    reason, message: why not, or why it will not stay so; else those of Ready. since: RFC 3339, or empty.
    """

    rank: Rank
    ready: bool
    reason: str
    message: str
    since: str = ""


def state_of(request: CertificateRequest, now: datetime) -> State:
    """How the request stands at `now`, as far as its status tells."""
    status = request.status
    ready, held = status.condition("Ready"), held_by(request)
    if request.being_deleted:
        return State(
            Rank.WAITING,
            False,
            held.reason if held is not None else Unsaid.BEING_DELETED,
            held.message if held is not None else "it is being deleted",
        )
    if ready is None:
        return State(Rank.WAITING, False, Unsaid.UNSEEN, "the operator has not looked at it yet")
    serves = ready.status == "True"
    if serves and status.not_after and now >= moment(status.not_after):
        return State(Rank.STALLED, False, Reason.EXPIRED, f"expired at {status.not_after}", status.not_after)
    if status.observed_generation < request.generation:
        return State(Rank.WAITING, False, Unsaid.OUTDATED, "the operator has not looked at the newest spec yet")
    if held is not None:
        stalled = needs_somebody(held)
        if serves:
            rank = Rank.STALLED_BUT_SERVING if stalled else Rank.WAITING_BUT_SERVING
            return State(rank, True, held.reason, held.message, held.last_transition_time)
        rank = Rank.STALLED if stalled or ready.reason == Reason.EXPIRED else Rank.WAITING
        return State(rank, False, ready.reason, ready.message, ready.last_transition_time)
    if serves and status.renewal_time and now > moment(status.renewal_time) + _LATE:
        message = f"the renewal was due at {status.renewal_time}"
        return State(Rank.WAITING_BUT_SERVING, True, Unsaid.LATE, message, status.renewal_time)
    rank = Rank.WELL if serves else Rank.WAITING
    return State(rank, serves, ready.reason, ready.message, ready.last_transition_time)


def held_by(request: CertificateRequest) -> Condition | None:
    """What keeps the operator from going on: the condition Stalled, Reconciling or, True or False, Renewing."""
    for kind in ("Stalled", "Reconciling", "Renewing"):
        condition = request.status.condition(kind)
        if condition is not None and (condition.status == "True" or (kind, condition.status) == ("Renewing", "False")):
            return condition
    return None


def needs_somebody(held: Condition) -> bool:
    """What `held_by` found goes on only when somebody has changed something, or is urgent."""
    return held.type == "Stalled" or (held.type == "Renewing" and held.status == "False")


def headline(state: State, now: datetime) -> str:
    """The state in a few words, with how long it has been so."""
    begun = f", for {span(now - moment(state.since))}" if state.since else ""
    if state.rank is Rank.WELL:
        return f"Ready{begun}"
    return f"Ready, but {state.reason}{begun}" if state.ready else f"Not ready: {state.reason}{begun}"


def summary(request: CertificateRequest, now: datetime) -> dict[str, Any]:
    """For programs. inTrouble: it is not ready, or will not stay so by itself."""
    state, status = state_of(request, now), request.status
    return {
        "namespace": request.namespace,
        "name": request.name,
        "ready": state.ready,
        "inTrouble": state.rank is not Rank.WELL,
        "reason": state.reason,
        "message": state.message,
        "issuerRefs": [{"kind": str(key.kind), "name": key.name} for key in request.issuers],
        "secretName": request.spec.secret_name,
        "revision": status.revision or None,
        "notAfter": status.not_after or None,
        "renewalTime": status.renewal_time or None,
    }


def moment(text: str) -> datetime:
    """RFC 3339, with fractions or without, as anybody may have written it."""
    return datetime.fromisoformat(text)


def distance(text: str, now: datetime) -> str:
    """`in 89d`, or `3h ago`."""
    return when(moment(text) - now)
