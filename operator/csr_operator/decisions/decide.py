"""What to do next about one CertificateRequest: pure, with no I/O and no clock of its own.

The answer follows from what is there now (spec, issuers, Secrets, time), never from which event came, so that a crash
at any point is just a restart. `status` decides nothing but approval, which admission guards: whoever may write the
rest of it gains nothing by it.

The order of the rules is their meaning, so it stands here as a whole; what a rule asks for is in the modules beside.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from csr_operator.api.keys import Kind, issuer_name
from csr_operator.api.names import REVOCATION_REASONS, REVOKE_ANNOTATION
from csr_operator.api.reasons import Reason
from csr_operator.api.request import CertificateRequest
from csr_operator.api.secrets import NEVER, Record, Staged
from csr_operator.api.times import parse_time

from .actions import (
    Action,
    Adopt,
    Consult,
    Discard,
    Forget,
    Guard,
    Hold,
    Issue,
    Keep,
    LetGo,
    Rest,
    Restore,
    Resume,
    Revoke,
)
from .issuing import brake, try_issuers
from .obstacles import find_obstacle, find_own_obstacle, ref_field
from .orders import OUTAGES, deadline, is_given_up, recall_setback
from .ownership import not_owned, owns, take_over_or_leave
from .pace import wish_of
from .renewal import fraction, late_from, renewal_time
from .revocation import needs_guard, repay, revokes_old, settle_before_deletion, settle_meanwhile, unrevocable
from .serving import is_to_be_restored, was_revoked
from .world import IssuerState, World, is_due

_HEXADECIMAL = frozenset("0123456789ABCDEF")

_AHEAD = timedelta(hours=1)
"""No CA is believed that grants what begins so much later: a clock was wrong, and was set right since."""


def decide(request: CertificateRequest, world: World) -> Action:
    """The next step towards what the spec asks for, or that there is none now, and until when.

    Pure and total: it reads nothing but its arguments, changes neither, and has an answer for each, without raising.
    The caller carries the step out, looks at everything anew, and asks again, until the answer is a `Rest`: then only
    an event can change it, or that the time is `until`.

    request: as the watch last showed it. world: what there is besides, gathered for this request alone.
    """
    world = recall_setback(request, world)
    action = _decide(request, world)
    if (
        isinstance(action, Issue | Resume | Restore | Adopt | Revoke | Forget)
        and (hold := find_own_obstacle(request, world)) is not None
    ):
        action = hold
    record = world.secret.record if world.secret is not None and owns(request, world.secret) else None
    if isinstance(action, Hold) and record is not None and record.issuance_hash == request.issuance_hash:
        # It serves from then until it expires: that, and that its end is near, is told even if nothing else happens.
        moments = (parse_time(record.not_before), late_from(request, record), parse_time(record.not_after))
        if coming := [moment for moment in moments if moment > world.now]:
            return replace(action, until=min(coming if action.until is None else (action.until, *coming)))
    return action


def _decide(request: CertificateRequest, world: World) -> Action:
    """As `decide`, but for what failed before any issuer was asked, and for the times at which a hold looks again."""
    secret = world.secret
    if request.being_deleted:
        return settle_before_deletion(request, world)
    if request.problem:
        return Hold.of(Reason.INVALID_SPEC, request.problem)
    if secret is not None and not owns(request, secret):
        if secret.owner == f"{Kind.CERTIFICATE_REQUEST} {request.name}":
            text = f"Secret {secret.name} is that of an earlier request of this name, and waits to be garbage-collected"
            return Hold.of(Reason.SECRET_NOT_COLLECTED, text)
        return take_over_or_leave(request, world, secret)
    if secret is None and world.rival:
        owner = f"{Kind.CERTIFICATE_REQUEST} {world.rival}"
        return Hold.of(Reason.SECRET_NOT_OWNED, not_owned(request.spec.secret_name, owner))
    if secret is not None and secret.guarded and (secret.deleted or not request.is_guarded):
        # It can be had back, but not written to: what it owes is revoked if that can be done at once.
        step = repay(request, world, secret.debts) if secret.debts else None
        return step if isinstance(step, Revoke) else LetGo()
    record = secret.record if secret is not None else None
    action = (
        _wanted(request, world, record) if world.staged is None else _continue(request, world, world.staged, record)
    )
    if isinstance(action, Hold | Keep):
        action = settle_meanwhile(request, world, action, record)
    is_guarded = request.is_guarded
    if is_guarded and isinstance(action, Hold | Keep) and secret is not None and not secret.deleted:
        is_guarded = secret.guarded  # it was stored before the request was, or by an earlier version
    if not is_guarded and needs_guard(request, world, action, record):
        return Guard()
    return action


def _wanted(request: CertificateRequest, world: World, record: Record | None) -> Issue | Restore | Consult | Rest:
    """Where no order is under way: what the Secret needs to hold what the spec asks for."""
    secret, now = world.secret, world.now
    if secret is None:
        issue = try_issuers(request, world, Reason.SECRET_MISSING, request.status.revision + 1)
        return brake(
            request, world, issue, now, f"Secret {request.spec.secret_name} is missing again: find out who deletes it"
        )
    if secret.beyond_repair or was_revoked(secret):
        revision = (record.revision if record else request.status.revision) + 1
        cause = f"what is in Secret {secret.name} is unusable again: "
        cause += f"changed by {secret.changed_by}" if secret.changed_by else "find out who changes it"
        return brake(request, world, try_issuers(request, world, Reason.SECRET_DAMAGED, revision), now, cause)
    if record is None or is_to_be_restored(request, secret, record):
        return Restore(record.revision if record else max(request.status.revision, 1))
    if record.issuance_hash != request.issuance_hash:
        return try_issuers(request, world, Reason.SPEC_CHANGED, record.revision + 1)
    to_revoke = bool(request.wishes.revoke) and request.wishes.revoke == record.serial_number
    if to_revoke and request.wishes.revoke_because is not None:
        return try_issuers(request, world, Reason.REVOKED, record.revision + 1, revoke_old=True)
    if request.wishes.renew not in ("", record.renew):
        return try_issuers(request, world, Reason.RENEWAL_REQUESTED, record.revision + 1)
    starts = parse_time(record.not_before)
    issuer = _issuer_of(request, world, record)
    if starts - now > _AHEAD and (issuer is None or not issuer.costs):
        cause = f"the certificate is valid only from {record.not_before} on, again: set the clocks right"
        return brake(
            request, world, try_issuers(request, world, Reason.CLOCK_SET_BACK, record.revision + 1), now, cause
        )
    due = renewal_time(request, record)
    if now >= due:
        cause = "the renewal time was reached again: see spec.renewBefore, and how long the CA's certificates are valid"
        if record.window is not None:
            cause = "the CA asked for renewal again: ask the CA why, or have the issuer ignore its renewal information"
        return brake(request, world, try_issuers(request, world, Reason.RENEWAL, record.revision + 1), due, cause)
    signer = record.issuer_fingerprint  # empty if the CA sent no certificate of its own: then nobody can tell
    if issuer is not None and issuer.ready and signer and issuer.fingerprint not in ("", signer):
        reissue = (issuer.rotated_at or now) + world.rotation_spread * fraction(request.uid)
        if now >= reissue:
            cause = f"{record.issuer} signs with another CA certificate again: find out why it changes"
            return brake(
                request, world, try_issuers(request, world, Reason.ISSUER_ROTATED, record.revision + 1), now, cause
            )
        due = min(due, reissue)
    if secret.template_digest != request.spec.secret_template.digest():
        return Restore(record.revision)
    if now < starts:
        due = min(due, starts)
    if world.consult_at is not None and issuer is not None and issuer.ready and issuer.suggests:
        if now >= world.consult_at and (key := request.issuer_key(record.issuer)) is not None:
            return Consult(key)
        due = min(due, world.consult_at)
    if to_revoke:
        text = f"the annotation {REVOKE_ANNOTATION} is not a serial number and a reason: give one of these reasons "
        text += f"after it, or none: {', '.join(REVOCATION_REASONS)}"
        return Hold(Reason.REVOCATION_PENDING, text, needs_user=True, until=due)
    if not _HEXADECIMAL.issuperset(request.wishes.revoke):  # another number may be that of a certificate before
        text = f"the annotation {REVOKE_ANNOTATION} is not a serial number: give that of the certificate that is to be "
        text += f"revoked, which is {record.serial_number} now, or remove the annotation"
        return Hold(Reason.REVOCATION_PENDING, text, needs_user=True, until=due)
    return Keep(due, "; ".join(_notes(request, world, record)))


def _notes(request: CertificateRequest, world: World, record: Record) -> Iterator[str]:
    """What will be in the way of renewal and revocation, while all is as it should be."""
    missing = [key for key in request.issuers if key not in world.issuers]
    if len(missing) == len(request.issuers):
        where = ref_field(request, missing[0])
        remedy = "create it, or correct the name"
        yield f"{where}.name: {missing[0]} does not exist, so the certificate cannot be renewed: {remedy}"
    revocation = request.spec.revocation
    if revocation.on_delete or revocation.on_rotation:
        key = request.issuer_key(record.issuer)
        issuer = world.issuers.get(key) if key is not None else None
        if why := unrevocable(key, record.not_after, issuer, world.now):
            yield f"spec.revocation has no effect: {why}"


def _continue(request: CertificateRequest, world: World, staged: Staged, record: Record | None) -> Action:
    """Where an order is under way: go on with it, wait, or give it up."""
    if staged.deleted:
        message = "the order before this one is being taken back from the CA"
        return Hold.of(Reason.ABANDONING_ORDER, message)
    if not staged.authentic:
        return Discard()
    stored = record is not None and record.revision >= staged.revision
    issuer = next((key for key in request.issuers if issuer_name(key) == staged.issuer), None)
    if stored or issuer is None or staged.issuance_hash != request.issuance_hash:
        return Discard()
    failure = (world.failures or {}).get(issuer)
    if failure is not None and failure.retry_at is None and failure.wishes.renew != request.wishes.renew:
        return Discard()  # it came to nothing, and its user wants another one
    setback = staged.setback
    if setback is not None and setback.again == NEVER and not setback.cause.startswith(wish_of(request.wishes.renew)):
        return Discard()  # the same, after a restart
    # Also an order that was placed gets no further than it would today.
    if (obstacle := find_obstacle(request, world, issuer)) is not None:
        passes = not obstacle.needs_user and obstacle.reason is not Reason.ISSUER_NOT_FOUND
        if obstacle.reason in OUTAGES and is_given_up(request, world, staged, record, failure):
            passes = False
        if not passes and any(find_obstacle(request, world, k) is None for k in request.issuers if k != issuer):
            return Discard()  # it will not be signed here, or not in time, and another issuer can be asked
        if obstacle.reason in OUTAGES and len(request.issuers) > 1:
            until = max(deadline(request, staged, record), world.now + timedelta(seconds=1))
            return replace(obstacle, until=min(obstacle.until or until, until))
        return obstacle
    waiting = world.waiting
    if (
        waiting is not None
        and (waiting.uid, waiting.imported) == (staged.uid, request.wishes.imported)
        and not is_due(waiting.poll_at, waiting.since, world.now)
    ):
        # Not `needs_user`: what that person does somewhere else is seen without a change of anything here.
        if waiting.remind_at is not None:
            return Hold.of(Reason.ACTION_REQUIRED, waiting.message, until=waiting.poll_at)
        return Hold.of(Reason.PENDING, waiting.message, until=waiting.poll_at)
    wished = record is not None and request.wishes.revoke == record.serial_number
    first = _wanted(request, replace(world, failures=None), record)
    reason = first.reason if isinstance(first, Issue) else None
    return Resume(staged.revision, issuer, revokes_old(request, world, asked_to=wished), reason)


def _issuer_of(request: CertificateRequest, world: World, record: Record) -> IssuerState | None:
    """The state of the issuer on record, if the spec still names it and it exists."""
    return next((world.issuers.get(k) for k in request.issuers if issuer_name(k) == record.issuer), None)
