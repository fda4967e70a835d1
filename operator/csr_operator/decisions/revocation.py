"""What is to be revoked, by whom, and what keeps it from being done; and the finalizers that see to it."""

from dataclasses import replace
from datetime import datetime

from csr_operator.api.keys import ObjectKey
from csr_operator.api.reasons import Reason
from csr_operator.api.request import CertificateRequest
from csr_operator.api.secrets import DebtSummary, Record
from csr_operator.api.times import parse_time

from .actions import Action, Forget, Hold, Issue, Keep, Release, Resume, Revoke
from .ownership import owns
from .world import IssuerState, World, still_counts


def revokes_old(request: CertificateRequest, world: World, *, asked_to: bool) -> bool:
    """The certificate that another one replaces is to be revoked afterwards."""
    record = world.secret.record if world.secret is not None else None
    return record is not None and (asked_to or request.spec.revocation.on_rotation) and _owes(request, world, record)


def needs_guard(request: CertificateRequest, world: World, action: Action, record: Record | None) -> bool:
    """A certificate will have to be revoked, once `action` is done, before the request may go."""
    match action:
        case Issue() | Resume():
            return action.revoke_old or (request.spec.revocation.on_delete and world.issuers[action.issuer].revokes)
        case Hold() | Keep() if request.spec.revocation.on_delete and record is not None:
            key = request.issuer_key(record.issuer)
            return key in world.issuers and _owes(request, world, record)
    return False


def settle_meanwhile(request: CertificateRequest, world: World, rest: Hold | Keep, record: Record | None) -> Action:
    """Revoke what is owed while nothing else is to be done; `rest` if nothing is, or nothing can be now."""
    if world.secret is not None and world.secret.debts:
        step = repay(request, world, world.secret.debts)
        if not isinstance(step, Hold):
            return step
        untils = [until for until in (rest.until, step.until) if until is not None]
        return replace(step if isinstance(rest, Keep) else rest, until=min(untils, default=None))
    if isinstance(rest, Keep) and request.is_guarded:
        keeps = request.spec.revocation.on_delete and record is not None and _owes(request, world, record)
        return rest if keeps else Release()
    return rest


def settle_before_deletion(request: CertificateRequest, world: World) -> Action:
    """What has to be done before a request may go that is being deleted; at last its finalizer is removed."""
    secret = world.secret
    if not request.is_guarded:
        return Keep(until=None)
    if request.wishes.abandon_revocation:
        return Release()
    if secret is None or not owns(request, secret) or secret.record is None:
        lost = f"Secret {request.secret.name} is gone, or no longer the request's"
        return Release(_unrevoked(request, request.status.serial_number, request.status.not_after, world.now, lost))
    record = secret.record
    step: Revoke | Forget | Hold | Release = repay(request, world, secret.debts)
    if isinstance(step, Forget) and request.spec.revocation.on_delete and _owes(request, world, record):
        step = _revocation(request, world, record.issuer, current=True) or Release()
    if isinstance(step, Hold) and world.leaving:
        lost = f"its namespace is being deleted, and {step.message}"
        return Release(_unrevoked(request, record.serial_number, record.not_after, world.now, lost))
    return Release() if isinstance(step, Forget) else step


def repay(request: CertificateRequest, world: World, debts: tuple[DebtSummary, ...]) -> Revoke | Forget | Hold:
    """Have revoked what can be; else hold, with what is against the first; else nothing is owed any more."""
    holds = []
    if not request.wishes.abandon_revocation:
        for issuer in dict.fromkeys(debt.issuer for debt in debts if world.now < parse_time(debt.not_after)):
            step = _revocation(request, world, issuer, current=False)
            if isinstance(step, Revoke):
                return step
            if step is not None:
                holds.append(step)
    return holds[0] if holds else Forget()


def unrevocable(key: ObjectKey | None, not_after: str, issuer: IssuerState | None, now: datetime) -> str:
    """Why the CA of a certificate cannot revoke it; empty if it can, or need not, or that is not known."""
    if now >= parse_time(not_after):
        return ""
    if key is None:  # as of a certificate that somebody else put into the Secret
        return "no issuer is on record that issued it to this request: ask its CA itself"
    if issuer is None or issuer.revokes or not issuer.backend:
        return ""
    return cannot_revoke(key, issuer.backend)


def cannot_revoke(key: ObjectKey, backend: str) -> str:
    """The words for an issuer whose backend does not revoke."""
    advice = {
        "ca": "name a Secret for its revocation list in spec.ca.crl.secretName",
        "manual": "give that CA the serial number",
        "selfSigned": "each client decides whether to trust a self-signed certificate",
    }
    return f"{key} cannot revoke (its backend is {backend}): {advice.get(backend, 'ask the CA itself')}"


def _owes(request: CertificateRequest, world: World, record: Record) -> bool:
    """Whose certificate it is can revoke, as far as is known, and it has not expired. Nobody's owes nothing."""
    if not record.issuer:
        return False
    key = request.issuer_key(record.issuer)
    issuer = world.issuers.get(key) if key is not None else None
    return (issuer is None or issuer.revokes) and world.now < parse_time(record.not_after)


def _unrevoked(request: CertificateRequest, serial_number: str, not_after: str, now: datetime, why: str) -> str:
    """For the user; empty if there was nothing to revoke. Times and numbers may be from a status: anything."""
    try:
        expired = not serial_number or parse_time(not_after) <= now
    except ValueError:
        expired = False
    if expired or not request.spec.revocation.on_delete:
        return ""
    return f"the certificate {serial_number} was not revoked: {why}"


def _revocation(request: CertificateRequest, world: World, name: str, *, current: bool) -> Revoke | Hold | None:
    """None if the CA cannot revoke."""
    key = request.issuer_key(name)
    issuer = world.issuers.get(key) if key is not None else None
    if key is None or issuer is None:
        return _pending(f"{key or name} does not exist", world.now + world.recheck, needs_user=True)
    if not issuer.revokes:
        return None
    failure = (world.unrevoked or {}).get(key)
    if failure is not None and still_counts(failure, request, issuer.version, world.now):
        return _pending(f"{key}: {failure.message}", failure.retry_at, needs_user=failure.needs_user)
    if not issuer.ready:
        return _pending(f"{key} is not ready: {issuer.message}", world.now + world.recheck, needs_user=False)
    return Revoke(key, current)


def _pending(why: str, until: datetime | None, *, needs_user: bool) -> Hold:
    give_up = "fix it, or abandon the revocation with the annotation csr-operator.dev/abandon-revocation=true"
    return Hold(Reason.REVOCATION_PENDING, f"a certificate is to be revoked, but {why}: {give_up}", needs_user, until)
