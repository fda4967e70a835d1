"""What a request is, and what there is of it, in words: pure, from what was read."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from csr_operator.api.conditions import Condition
from csr_operator.api.keys import ObjectKey
from csr_operator.api.request import CertificateRequest, RotationPolicy
from csr_operator.decisions.ownership import of_somebody_else, owner_of, owns
from csr_operator.decisions.policy_facts import facts_of
from csr_operator.pki.csr import load_csr
from csr_operator.pki.errors import PkiError
from csr_operator.pki.names import subject_name

from .explain import Seen, ready_condition
from .replica import replica_details, replica_words
from .review import asks, describe_writer, unusual
from .state import distance


def facts(seen: Seen, now: datetime) -> Iterator[tuple[str, str]]:
    """What `status` tells of one request, as pairs of a heading and its text, in order."""
    request, status = seen.request, seen.request.status
    yield "Generation", f"{request.generation}{describe_writer(seen.change)}"
    yield from (("Unusual", text) for text in unusual(request))
    yield "Names", names(request)
    yield "Key", _key(request)
    for key in request.issuers:
        yield "Issuer", _issuer(seen, key)
    yield "Secret", secret_words(seen)
    if status.serial_number:
        yield "Certificate", f"revision {status.revision}, serial number {status.serial_number}"
        yield "Valid", f"from {status.not_before} until {status.not_after} ({distance(status.not_after, now)})"
        if status.renewal_time:
            yield "Renewal", f"{status.renewal_time} ({distance(status.renewal_time, now)})"
    elif status.revision:
        yield "Certificate", f"none now; the last one was of revision {status.revision}"
    else:
        yield "Certificate", "none yet"
    if seen.staged is not None:
        yield "Order", f"at {seen.staged.issuer}, since {seen.staged.created} ({distance(seen.staged.created, now)})"
    if seen.holder is not None:
        yield "Replica", replica_words(seen.holder, now)
    for kind in ("Approved", "Denied"):
        condition = status.condition(kind)
        if condition is not None and condition.status == "True":
            yield kind, _decision(condition, request.generation)


def names(request: CertificateRequest) -> str:
    """Subject and alternative names that are asked for."""
    wanted = facts_of(request)
    parts = [_subject(request)]
    parts += [f"DNS:{name}" for name in wanted.dns_names]
    parts += [f"IP:{name}" for name in wanted.ip_addresses]
    parts += [f"URI:{name}" for name in wanted.uris]
    parts += [f"email:{name}" for name in wanted.email_addresses]
    parts += [f"{wanted.other_names} of other kinds"] if wanted.other_names else []
    return ", ".join(part for part in parts if part)


def secret_words(seen: Seen) -> str:
    """The Secret's presence and ownership."""
    request, secret = seen.request, seen.secret
    name = request.spec.secret_name
    if not seen.secret_read:
        return f"{name} (you may not read Secrets here)"
    if secret is None:
        return f"{name} does not exist"
    if not owns(request, secret):
        return f"{name} {of_somebody_else(owner_of(secret))}"
    keys = request.spec.data_keys if secret.record is None else request.spec.stored_keys(secret.record)
    lost = sorted(keys - secret.intact_data)
    if lost:
        return f"{name} belongs to this request, but {', '.join(lost)} is missing or was changed by somebody else"
    return f"{name} belongs to this request and holds {', '.join(sorted(keys))}"


def details(seen: Seen) -> dict[str, Any]:
    """For programs. What could not be read is null."""
    request, status, secret = seen.request, seen.request.status, seen.secret
    certificate = {
        "revision": status.revision,
        "serialNumber": status.serial_number,
        "sha256Fingerprint": status.sha256_fingerprint,
        "notBefore": status.not_before,
        "notAfter": status.not_after,
        "renewalTime": status.renewal_time or None,
    }
    return {
        "generation": request.generation,
        "names": names(request),
        "asks": asks(request, seen.change),
        "issuers": [_issuer_details(seen, key) for key in request.issuers],
        "secret": {
            "name": request.spec.secret_name,
            "exists": (secret is not None) if seen.secret_read else None,
            "owned": owns(request, secret) if secret is not None else None,
        },
        "certificate": certificate if status.serial_number else None,
        "order": {"issuer": seen.staged.issuer, "since": seen.staged.created} if seen.staged is not None else None,
        "replica": replica_details(seen.holder) if seen.holder is not None else None,
        "events": [{"time": e.time, "type": e.kind, "reason": e.reason, "note": e.note} for e in seen.events],
        "unread": list(seen.unread),
    }


def _decision(condition: Condition, generation: int) -> str:
    text = condition.message or "no reason is given"
    return text if condition.observed_generation == generation else f"for an earlier spec, without effect now: {text}"


def _issuer(seen: Seen, key: ObjectKey) -> str:
    if key not in seen.issuers:
        return f"{key} (it could not be read)"
    issuer = seen.issuers[key]
    if issuer is None:
        return f"{key} does not exist"
    ready = ready_condition(issuer)
    if ready is None:
        state = "the operator has not looked at it yet"
    elif ready.status == "True":
        state = f"ready, {ready.message}"
    else:
        state = f"not ready, {ready.reason}: {ready.message}"
    return f"{key} ({issuer.backend or 'no backend'}): {state}{'; needs approval' if issuer.needs_approval else ''}"


def _issuer_details(seen: Seen, key: ObjectKey) -> dict[str, Any]:
    data: dict[str, Any] = {"kind": str(key.kind), "name": key.name, "exists": None}
    if key not in seen.issuers:
        return data
    issuer = seen.issuers[key]
    data["exists"] = issuer is not None
    if issuer is None:
        return data
    ready = ready_condition(issuer)
    return data | {
        "backend": issuer.backend,
        "approval": "Manual" if issuer.needs_approval else "Automatic",
        "ready": ready is not None and ready.status == "True",
        "reason": ready.reason if ready is not None else None,
        "message": ready.message if ready is not None else None,
    }


def _key(request: CertificateRequest) -> str:
    spec = request.spec
    if spec.csr_pem:
        return "yours; it is not in the cluster (spec.request)"
    if (ref := spec.private_key.secret_ref) is not None:
        return f"{ref.key} in Secret {ref.name}, used where it is"
    parameters = spec.private_key.parameters.normalized()
    kind = parameters.algorithm.value + (f" {parameters.size}" if parameters.size else "")
    fresh = spec.private_key.rotation_policy is RotationPolicy.ALWAYS
    return f"{kind}, {'made anew with each certificate' if fresh else 'kept from one certificate to the next'}"


def _subject(request: CertificateRequest) -> str:
    try:
        if request.spec.csr_pem:
            return load_csr(request.spec.csr_pem.encode()).subject.rfc4514_string()
        return subject_name(request.spec.template.names).rfc4514_string()
    except PkiError:
        return ""
