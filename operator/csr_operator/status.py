"""`status` of a CertificateRequest and of an issuer, as it should be: pure.

Conditions follow kstatus (https://github.com/kubernetes-sigs/cli-utils/tree/master/pkg/kstatus): `Ready`, and only
while they are true `Reconciling` (it will go on by itself) or `Stalled` (somebody has to do something).
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from .decide import Action, Hold, Keep, is_current, renewal_note, renewal_time
from .fit import fit
from .model import CertificateRequest, Condition, Record, RequestStatus, format_time, parse_time

_MESSAGE_LIMIT = 4096
"""Bytes of a condition's message. The API takes 32,768 characters, of which nobody reads as many."""

_MOST_REVISIONS = 1 << 63
"""What the API cannot store any more (int64)."""


def request_status(
    request: CertificateRequest, record: Record | None, action: Action, now: datetime, pace: str
) -> RequestStatus:
    """What `status` should say now that `action` is all that is left to do; the CSR is left as it is."""
    ours = {"Ready": _ready(request, record, action, now)}
    if isinstance(action, Hold):
        kind = "Stalled" if action.needs_user else "Reconciling"
        ours[kind] = _condition(kind, True, action.reason, action.message, request.generation)
    # Approval is others' to give: it is kept as it is, and where it is.
    known = {c.type: c for c in request.status.conditions if c.type in ("Approved", "Denied", *ours)}
    conditions = [*{**known, **ours}.values()]
    status = RequestStatus(
        conditions=keep_transition_times(conditions, request.status.conditions, now),
        observed_generation=request.generation,
        csr_digest=request.status.csr_digest,
        pace=pace,
    )
    if record is None:
        return replace(status, revision=request.status.revision)
    return replace(
        status,
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
    return tuple(
        replace(
            c,
            last_transition_time=known[c.type].last_transition_time
            if c.type in known and known[c.type].status == c.status
            else format_time(now),
        )
        for c in conditions
    )


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
    generation: int, ready: bool, reason: str, message: str, before: Sequence[Condition], now: datetime
) -> tuple[Condition, ...]:
    condition = _condition("Ready", ready, reason, message, generation)
    return keep_transition_times([condition], before, now)


def _ready(request: CertificateRequest, record: Record | None, action: Action, now: datetime) -> Condition:
    if record is not None and is_current(request, record, now):
        notes = [renewal_note(request, record), action.note if isinstance(action, Keep) else ""]
        text = "; ".join([f"valid until {record.not_after}", *filter(None, notes)])
        return _condition("Ready", True, "Issued", text, request.generation)
    if record is not None and record.issuance_hash == request.issuance_hash and now < parse_time(record.not_before):
        text = (
            f"valid only from {record.not_before} on; if that is long, see whether the clocks of CA and nodes are right"
        )
        return _condition("Ready", False, "NotYetValid", text, request.generation)
    if record is not None and record.issuance_hash == request.issuance_hash and isinstance(action, Hold):
        text = f"expired at {record.not_after}: {action.message}"
        return _condition("Ready", False, "Expired", text, request.generation)
    if isinstance(action, Hold):
        return _condition("Ready", False, action.reason, action.message, request.generation)
    return _condition("Ready", False, "Issuing", "the certificate is being issued", request.generation)


def _condition(kind: str, true: bool, reason: str, message: str, generation: int) -> Condition:
    return Condition(kind, "True" if true else "False", reason, fit(message, _MESSAGE_LIMIT), generation)
