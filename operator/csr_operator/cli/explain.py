"""Why a request stands as it does, and what to do about it: pure, from what was read."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from csr_operator.api.conditions import Condition
from csr_operator.api.issuer import Issuer
from csr_operator.api.keys import ObjectKey
from csr_operator.api.names import REVOCATION_FINALIZER
from csr_operator.api.reasons import Reason
from csr_operator.api.request import CertificateRequest
from csr_operator.api.secrets import SecretMeta, Staged
from csr_operator.decisions.ownership import precedence
from csr_operator.decisions.status import validity

from . import reasons
from .output import when
from .reasons import Advice, Unsaid
from .replica import Holder
from .review import Change
from .state import distance, held_by, moment, state_of


@dataclass(frozen=True, slots=True)
class Happening:
    """An event. time: RFC 3339 with fractions. action: of another certificate, why it was issued."""

    time: str
    kind: str
    reason: str
    note: str
    action: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """What could be read about a request.

    issuers: None for one that does not exist; absent if it could not be read. secret_read: whether `secret` is
    what there is. staged: the order under way. unread: what could not be read, and why; closed: what of
    that is the Secret. change: of the spec, the last one. contested: the Secret is, or may be, to be another request's,
    or it is the Secret of the order that somebody else has. holder: the replica that works on it; None if that cannot
    be told, as for most users, who may not read the operator's Leases.
    """

    request: CertificateRequest
    issuers: Mapping[ObjectKey, Issuer | None]
    secret: SecretMeta | None = None
    secret_read: bool = True
    staged: Staged | None = None
    events: tuple[Happening, ...] = ()
    unread: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()
    contested: bool = False
    change: Change | None = None
    holder: Holder | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """message: in the words of the operator, a CA or a person. remedy: what to do."""

    reason: str
    meaning: str
    message: str = ""
    remedy: str = ""


def findings(seen: Seen, now: datetime) -> Iterator[Finding]:
    """What there is to know, the most pressing first."""
    request, status = seen.request, seen.request.status
    state, held = state_of(request, now), held_by(request)
    if request.being_deleted:
        yield _unsaid(seen, Unsaid.BEING_DELETED)
        if REVOCATION_FINALIZER in request.finalizers and held is not None:
            yield _finding(seen, held.reason, _advice(held.reason), held.message)
        return
    match state.reason:
        case Unsaid.UNSEEN:
            yield _unsaid(seen, Unsaid.UNSEEN)
            return
        case Unsaid.OUTDATED:
            yield _unsaid(seen, Unsaid.OUTDATED)
        case Reason.EXPIRED:
            yield _finding(seen, state.reason, _advice(state.reason), f"expired at {status.not_after}")
        case Unsaid.LATE:
            yield _unsaid(seen, Unsaid.LATE, state.message)
    if held is not None:
        yield _finding(seen, held.reason, _advice_here(seen, held.reason), held.message)
        if held.reason == Reason.ISSUER_NOT_READY:
            yield from _issuer_findings(seen)
        if state.ready:
            left = f"{status.not_after}, {distance(status.not_after, now)}"
            yield Finding(Reason.ISSUED, f"The certificate that is there goes on serving until it expires ({left}).")
    elif state.reason == Reason.EXPIRED:
        yield _unsaid(seen, Unsaid.LATE)
    elif state.reason == Reason.ISSUED and (missing := tuple(_missing_issuers(seen))):
        yield from missing
    elif state.reason in (Reason.ISSUED, Reason.ISSUING):
        advice = _advice(state.reason)
        if state.reason == Reason.ISSUED and state.message != validity(status.not_after):
            advice = Advice(advice.meaning, "Nothing, unless the message asks for something.")
            yield _finding(seen, state.reason, advice, state.message)
        else:
            yield _finding(seen, state.reason, advice)
    yield from _decision_without_effect(seen)


def event_words(event: Happening, now: datetime) -> str:
    """When, what, and why a certificate took another's place."""
    text = f"{when(moment(event.time) - now)}: {event.reason}: {event.note}"
    why = reasons.REISSUED.get(event.action) if event.reason == Reason.ISSUED else None
    return f"{text}: {why}" if why is not None else text


def ready_condition(issuer: Issuer) -> Condition | None:
    """The condition Ready of an issuer; None if it has none yet."""
    return next((c for c in issuer.conditions if c.type == "Ready"), None)


def issuer_argument(key: ObjectKey) -> str:
    """As kubectl takes it, also where cert-manager has an `issuer` of its own: `csrissuer ca -n shop`."""
    return f"csr{key.kind.lower()} {key.name}" + (f" -n {key.namespace}" if key.namespace else "")


def _advice(reason: str) -> Advice:
    unknown = Advice(f"{reason} is a reason that this version of kubectl-csr does not know.", "See the message.")
    return reasons.REQUEST.get(reason, unknown)


def is_nobodys(secret: SecretMeta) -> bool:
    """As far as the Secret itself says."""
    return not secret.owner_uid and not secret.retained_for


def is_contested(request: CertificateRequest, secret: SecretMeta, others: Iterable[CertificateRequest]) -> bool:
    """One of `others` that name this Secret is to have it before `request`."""
    mine = precedence(request, secret)
    return any(precedence(other, secret) < mine for other in others if other.uid != request.uid)


def _advice_here(seen: Seen, reason: str) -> Advice:
    """A Secret that nobody else owns, or is about to have, can be had, or be deleted."""
    advice, secret = _advice(reason), seen.secret
    if secret is None or not is_nobodys(secret) or seen.contested or reason not in reasons.UNOWNED:
        return advice
    return Advice(advice.meaning, reasons.UNOWNED[reason])


def _unsaid(seen: Seen, reason: Unsaid, message: str = "") -> Finding:
    return _finding(seen, reason, reasons.UNSAID[reason], message)


def _finding(seen: Seen, reason: str, advice: Advice, message: str = "", issuer: ObjectKey | None = None) -> Finding:
    request = seen.request
    fields = {
        "request": f"{request.name} -n {request.namespace}",
        "secret": request.spec.secret_name,
        "namespace": request.namespace,
        "generation": request.generation,
        "issuer": issuer_argument(issuer or _troubled_issuer(seen)),
    }
    return Finding(reason, advice.meaning.format(**fields), message, advice.remedy.format(**fields))


def _troubled_issuer(seen: Seen) -> ObjectKey:
    """The first that is not ready; where all are, the first."""
    for key in seen.request.issuers:
        issuer = seen.issuers.get(key)
        if issuer is not None and ((ready := ready_condition(issuer)) is None or ready.status != "True"):
            return key
    return seen.request.issuers[0]


def _missing_issuers(seen: Seen) -> Iterator[Finding]:
    """What a request that is well cannot tell yet: nobody is there who could renew it."""
    known = seen.request.issuers
    if known and all(key in seen.issuers and seen.issuers[key] is None for key in known):
        reason = Reason.ISSUER_NOT_FOUND
        for key in known:
            yield _finding(
                seen, reason, _advice(reason), f"{key} does not exist: the certificate will not be renewed", key
            )


def _issuer_findings(seen: Seen) -> Iterator[Finding]:
    for key in seen.request.issuers:
        issuer = seen.issuers.get(key)
        ready = ready_condition(issuer) if issuer is not None else None
        if ready is not None and ready.status != "True":
            advice = reasons.ISSUER.get(ready.reason, Advice("See its message.", ""))
            yield _finding(seen, f"{key}: {ready.reason}", advice, ready.message, key)


def _decision_without_effect(seen: Seen) -> Iterator[Finding]:
    request = seen.request
    denied = request.status.condition("Denied")
    if denied is None or denied.status != "True" or denied.observed_generation != request.generation:
        return
    known = [seen.issuers.get(key) for key in request.issuers]
    if all(issuer is not None and not issuer.needs_approval for issuer in known):
        yield Finding(
            Reason.DENIED,
            "It is denied, but spec.approval of none of its issuers is Manual: the denial has no effect.",
            denied.message,
            "If decisions are to count, have the issuer's owner set spec.approval to Manual.",
        )
