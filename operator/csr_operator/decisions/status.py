"""`status` of a CertificateRequest and of an issuer, as it should be: pure.

Conditions follow kstatus (https://github.com/kubernetes-sigs/cli-utils/tree/master/pkg/kstatus): `Ready`, and only
while they are true `Reconciling` (it will go on by itself) or `Stalled` (somebody has to do something). Both say that
the spec is not fulfilled. Where it is, and only what comes next waits, that is told by `Renewing`, which kstatus knows
nothing of: a valid certificate keeps nobody from deploying what depends on it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from csr_operator.api.conditions import Condition
from csr_operator.api.fit import fit
from csr_operator.api.reasons import Reason
from csr_operator.api.request import CertificateRequest, RequestStatus
from csr_operator.api.secrets import Record, SecretMeta
from csr_operator.api.times import format_time, parse_time

from .actions import Action, Hold, Keep
from .renewal import late_from, renewal_note, renewal_time
from .serving import is_current, is_fulfilled, is_served

_MESSAGE_LIMIT = 4096
"""Bytes of a condition's message. The API takes 32,768 characters, of which nobody reads as many."""

_MOST_REVISIONS = 1 << 63
"""What the API cannot store any more (int64)."""


def request_status(
    request: CertificateRequest, secret: SecretMeta | None, action: Action, now: datetime, pace: str
) -> RequestStatus:
    """What `status` should say now that `action` is all that is left to do; the CSR is left as it is.

    secret: the request's own.
    """
    record = secret.record if secret is not None else None
    fulfilled = is_fulfilled(request, secret, now) and not request.being_deleted
    ours = {"Ready": _ready(request, secret, action, now, fulfilled)}
    if isinstance(action, Hold) and record is not None and fulfilled:
        ours |= {c.type: c for c in _renewing(request, record, action, now)}
    elif isinstance(action, Hold):
        kind = "Stalled" if action.needs_user else "Reconciling"
        ours[kind] = _condition(kind, True, action.reason, action.message, request.generation)
    # Approval is others' to give: it is kept as it is, and where it is.
    known = {c.type: c for c in request.status.conditions if c.type in ("Approved", "Denied", *ours)}
    conditions = tuple({**known, **ours}.values())
    conditions = keep_transition_times(conditions, request.status.conditions, now)
    if record is None:
        return RequestStatus(
            conditions=conditions,
            observed_generation=request.generation,
            revision=request.status.revision,
            csr_digest=request.status.csr_digest,
            pace=pace,
        )
    return RequestStatus(
        conditions=conditions,
        observed_generation=request.generation,
        csr_digest=request.status.csr_digest,
        pace=pace,
        serial_number=record.serial_number,
        not_before=record.not_before,
        not_after=record.not_after,
        renewal_time=format_time(renewal_time(request, record)),
        revision=record.revision if 0 <= record.revision < _MOST_REVISIONS else 0,
        sha256_fingerprint=record.sha256_fingerprint,
    )


def keep_transition_times(
    conditions: Sequence[Condition], before: Sequence[Condition], now: datetime
) -> tuple[Condition, ...]:
    """`conditions`, each with the time at which its `status` last changed."""
    known = {c.type: c for c in before}
    return tuple(_with_time(c, known.get(c.type), now) for c in conditions)


def _with_time(condition: Condition, before: Condition | None, now: datetime) -> Condition:
    if before is None or before.status != condition.status:
        return replace(condition, last_transition_time=format_time(now))
    if condition.says_the_same(before):
        return before
    return replace(condition, last_transition_time=before.last_transition_time)


def status_body(status: RequestStatus, csr_pem: str | None) -> dict[str, Any]:
    """For a merge patch: what is absent is null. csr_pem: None leaves the CSR as it is, empty removes it."""
    body: dict[str, Any] = {
        "conditions": condition_bodies(status.conditions),
        "observedGeneration": status.observed_generation,
        "serialNumber": status.serial_number or None,
        "notBefore": status.not_before or None,
        "notAfter": status.not_after or None,
        "renewalTime": status.renewal_time or None,
        "revision": status.revision or None,
        "sha256Fingerprint": status.sha256_fingerprint or None,
        "pace": status.pace or None,
    }
    if csr_pem is not None:
        body["csr"] = csr_pem or None
    return body


def condition_bodies(conditions: Sequence[Condition]) -> list[dict[str, Any]]:
    """`status.conditions` as the API server takes them, in the order given."""
    return [
        {
            "type": c.type,
            "status": c.status,
            "reason": c.reason,
            "message": c.message,
            # Absent where it is unknown: to admission, another value is another approval.
            **({"observedGeneration": c.observed_generation} if c.observed_generation else {}),
            "lastTransitionTime": c.last_transition_time,
        }
        for c in conditions
    ]


def issuer_conditions(
    generation: int, ready: bool, reason: Reason, message: str, before: Sequence[Condition], now: datetime
) -> tuple[Condition, ...]:
    """Ready, and while it is not, Stalled or Reconciling: whether somebody has to change the issuer."""
    conditions = [_condition("Ready", ready, reason, message, generation)]
    if not ready:
        kind = "Stalled" if reason.row.needs_user else "Reconciling"
        conditions.append(_condition(kind, True, reason, message, generation))
    return keep_transition_times(conditions, before, now)


def _renewing(request: CertificateRequest, record: Record, hold: Hold, now: datetime) -> Iterator[Condition]:
    """The certificate is what the spec asks for: `hold` is about the one after it, or the one before it."""
    # False, as nothing goes on until somebody changes something.
    yield _condition("Renewing", not hold.needs_user, hold.reason, hold.message, request.generation)
    if hold.reason is not Reason.REVOCATION_PENDING and now >= late_from(request, record):
        text = f"expires at {record.not_after}, and is not renewed: {hold.message}"
        yield _condition("Stalled", True, hold.reason, text, request.generation)


def _ready(
    request: CertificateRequest, secret: SecretMeta | None, action: Action, now: datetime, fulfilled: bool
) -> Condition:
    record = secret.record if secret is not None else None
    if record is not None and is_served(request, secret, now):
        parts = [validity(record.not_after)]
        if len(request.issuers) > 1 and record.issuer:
            parts.append(f"signed by {record.issuer}")
        parts.append(renewal_note(request, record))
        if isinstance(action, Keep):
            parts.append(action.note)
        if isinstance(action, Hold) and not request.being_deleted:
            about = "renewal: " if fulfilled else "not yet as the spec says: "
            if action.reason is Reason.REVOCATION_PENDING:  # of a certificate that was replaced
                about = ""
            parts.append(about + action.message)
        return _condition("Ready", True, Reason.ISSUED, "; ".join(filter(None, parts)), request.generation)
    if record is not None and record.issuance_hash == request.issuance_hash and now < parse_time(record.not_before):
        text = f"valid only from {record.not_before} on; if that is far off, check the clocks of the CA and the nodes"
        return _condition("Ready", False, Reason.NOT_YET_VALID, text, request.generation)
    if secret is not None and is_current(request, record, now) and isinstance(action, Hold):
        text = f"Secret {secret.name} no longer holds what was issued: {action.message}"
        return _condition("Ready", False, action.reason, text, request.generation)
    if record is not None and record.issuance_hash == request.issuance_hash and isinstance(action, Hold):
        text = f"expired at {record.not_after}: {action.message}"
        return _condition("Ready", False, Reason.EXPIRED, text, request.generation)
    if isinstance(action, Hold):
        return _condition("Ready", False, action.reason, action.message, request.generation)
    return _condition("Ready", False, Reason.ISSUING, "the certificate is being issued", request.generation)


def validity(not_after: str) -> str:
    """What Ready says where there is nothing else to say."""
    return f"valid until {not_after}"


def _condition(kind: str, true: bool, reason: Reason, message: str, generation: int) -> Condition:
    return Condition(kind, "True" if true else "False", reason, fit(message, _MESSAGE_LIMIT), generation)
