"""What to do next about one CertificateRequest: pure, with no I/O and no clock of its own.

The answer follows from what is there now (spec, issuers, Secrets, time), never from which event came, so that a crash
at any point is just a restart. `status` decides nothing but approval, which admission guards: whoever may write the
rest of it gains nothing by it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from csr_operator.api.conditions import Condition
from csr_operator.api.keys import IssuerRef, Kind, ObjectKey
from csr_operator.api.names import REVOCATION_REASONS, REVOKE_ANNOTATION, REVOKED_ANNOTATION
from csr_operator.api.policy import Policy
from csr_operator.api.reasons import Reason
from csr_operator.api.request import CertificateRequest, Wishes
from csr_operator.api.secrets import NEVER, Debt, Record, SecretMeta, Setback, Staged
from csr_operator.api.times import format_time, parse_time

from .adoption import is_left, is_wished, may_be_taken, still_owned
from .pace import EARLY, SETTLE, Pace, asked_of, wish_of
from .policy import violations
from .policy_facts import asked


@dataclass(frozen=True, slots=True)
class IssuerState:
    """What the last check of an issuer found.

    version: changes whenever its spec or its CA changes; what failed permanently is then tried again.
    fingerprint: SHA-256 of the CA certificate that signs now; empty if the CA does not tell beforehand.
    rotated_at: when the operator saw the fingerprint change. costs, revokes: as its backend says. suggests: when to
    renew its certificates. backend: its name; empty if the spec makes none.
    """

    ready: bool
    message: str
    version: str
    fingerprint: str = ""
    rotated_at: datetime | None = None
    costs: bool = False
    revokes: bool = False
    suggests: bool = False
    needs_approval: bool = False
    policy: Policy | None = None
    backend: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """The last attempt failed, with `issuer` or (None) before any was asked.

    It counts while the request's generation, its user's wishes and the issuer's `version` are those it failed with.
    retry_at: None if only a change of spec or issuer can help.
    needs_user: nothing will change by itself (`Stalled`), even if the operator looks again now and then.
    since: when it failed, by the clock that retry_at goes by: before that, the clock was put back, and it is tried
    again.
    unplaced: nothing was ordered, for sure. names_issuer: so does the message.
    """

    reason: Reason
    message: str
    issuer: ObjectKey | None
    generation: int
    wishes: Wishes
    version: str
    retry_at: datetime | None
    needs_user: bool
    since: datetime | None = None
    unplaced: bool = False
    names_issuer: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """The order in staging Secret `uid` is pending: ask again at `poll_at`, or when a person brings something else.

    remind_at: when its user is reminded; None if no person has to do anything. since: as for `Failure`.
    """

    uid: str
    message: str
    poll_at: datetime
    imported: str
    remind_at: datetime | None
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class World:
    """What there is besides the request.

    issuers: those that exist of those it names, and of those that have to revoke something. staged: its order under
    way. failures: by issuer, None for the request itself; unrevoked: those of revocations. rival: the name of another
    request that may have the Secret first. labels: of its namespace. pace: None before the first certificate. recheck:
    after which time to look again at what no watch shows. consult_at: when the issuer is to be asked again when it
    wants the certificate renewed. leaving: its namespace is being deleted, with the issuers in it. namesakes: those
    that exist of the other kind, and of the name of one that does not.
    """

    now: datetime
    rotation_spread: timedelta
    issuers: Mapping[ObjectKey, IssuerState]
    secret: SecretMeta | None = None
    staged: Staged | None = None
    waiting: Waiting | None = None
    failures: Mapping[ObjectKey | None, Failure] | None = None
    unrevoked: Mapping[ObjectKey, Failure] | None = None
    rival: str = ""
    labels: Mapping[str, str] | None = None
    pace: Pace | None = None
    recheck: timedelta = timedelta(seconds=30)
    consult_at: datetime | None = None
    leaving: bool = False
    namesakes: frozenset[ObjectKey] = frozenset()


@dataclass(frozen=True, slots=True)
class Issue:
    """Have a certificate issued by `issuer`, as `revision`, because of `reason`.

    revoke_old: the certificate that it replaces is to be revoked afterwards. hurries: as its Record is to say.
    """

    reason: Reason
    revision: int
    issuer: ObjectKey
    revoke_old: bool = False
    hurries: int = 0


@dataclass(frozen=True, slots=True)
class Resume:
    """Go on with the order under way at `issuer`. reason: as of `Issue`, as far as it is still to be seen."""

    revision: int
    issuer: ObjectKey
    revoke_old: bool = False
    reason: Reason | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Consult:
    """Ask `issuer` when it wants the certificate in the Secret renewed."""

    issuer: ObjectKey


@dataclass(frozen=True, slots=True)
class Discard:
    """Delete the staging Secret: the order is done, or no longer what is wanted."""


@dataclass(frozen=True, slots=True)
class Restore:
    """Read the Secret and write it as it should be, with the same certificate if that still serves."""

    revision: int


@dataclass(frozen=True, slots=True)
class Adopt:
    """Read the Secret of somebody else, and take it over if it holds what is asked for."""


@dataclass(frozen=True, slots=True)
class Guard:
    """Add the finalizer, to the request or else to its Secret: a certificate will have to be revoked before they go."""


@dataclass(frozen=True, slots=True)
class Revoke:
    """Have `issuer` revoke what it owes: the replaced certificates, or (`current`) the one in the Secret."""

    issuer: ObjectKey
    current: bool = False


@dataclass(frozen=True, slots=True)
class Forget:
    """Drop what is owed from the Secret: it was given up, or has expired, or nobody can revoke it."""


@dataclass(frozen=True, slots=True)
class Release:
    """Remove the finalizers of request and Secret: nothing is left to revoke. unrevoked: or what is, and why."""

    unrevoked: str = ""


@dataclass(frozen=True, slots=True)
class LetGo:
    """Remove the finalizer of the Secret alone: somebody deleted it, or it has no use any more."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Wait for somebody or something that `message` names; at `until` look again by yourself.

    names_issuer: the message says which issuer it is about.
    """

    reason: Reason
    message: str
    needs_user: bool
    until: datetime | None = None
    names_issuer: bool = field(default=False, compare=False)

    @classmethod
    def of(cls, reason: Reason, message: str, until: datetime | None = None, *, names_issuer: bool = False) -> "Hold":
        """For a reason that says by itself whether somebody has to do something."""
        return cls(reason, message, reason.row.needs_user, until, names_issuer)


@dataclass(frozen=True, slots=True)
class Keep:
    """All is as it should be until `until`. note: what will be in the way then."""

    until: datetime | None
    note: str = ""


Rest = Hold | Keep
Action = Issue | Resume | Consult | Discard | Restore | Adopt | Guard | Revoke | Forget | Release | LetGo | Rest


def decide(request: CertificateRequest, world: World) -> Action:
    world = _recalled(request, world)
    action = _decide(request, world)
    if (
        isinstance(action, Issue | Resume | Restore | Adopt | Revoke | Forget)
        and (hold := _own_obstacle(request, world)) is not None
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
    secret = world.secret
    if request.being_deleted:
        return _farewell(request, world)
    if request.problem:
        return Hold.of(Reason.INVALID_SPEC, request.problem)
    if secret is not None and not owns(request, secret):
        if secret.owner == f"{Kind.CERTIFICATE_REQUEST} {request.name}":
            text = f"Secret {secret.name} is that of an earlier request of this name, and waits to be garbage-collected"
            return Hold.of(Reason.SECRET_NOT_COLLECTED, text)
        return _of_others(request, world, secret)
    if secret is None and world.rival:
        owner = f"{Kind.CERTIFICATE_REQUEST} {world.rival}"
        return Hold.of(Reason.SECRET_NOT_OWNED, not_owned(request.spec.secret_name, owner))
    if secret is not None and secret.guarded and (secret.deleted or not request.is_guarded):
        # It can be had back, but not written to: what it owes is revoked if that can be done at once.
        step = _repay(request, world, secret.owed) if secret.owed else None
        return step if isinstance(step, Revoke) else LetGo()
    record = secret.record if secret is not None else None
    action = (
        _wanted(request, world, record) if world.staged is None else _continue(request, world, world.staged, record)
    )
    if isinstance(action, Hold | Keep):
        action = _meanwhile(request, world, action, record)
    is_guarded = request.is_guarded
    if is_guarded and isinstance(action, Hold | Keep) and secret is not None and not secret.deleted:
        is_guarded = secret.guarded  # it was stored before the request was, or by an earlier version
    if not is_guarded and _needs_guard(request, world, action, record):
        return Guard()
    return action


def _of_others(request: CertificateRequest, world: World, secret: SecretMeta) -> Adopt | Hold:
    """It is taken over if that is wished for, or if it was left behind; else it is left untouched."""
    until = world.now + world.recheck  # of the Secrets of others, no watch shows what becomes of them
    wished = is_wished(request, secret)
    if wished and secret.owner_uid:
        return Hold.of(Reason.ADOPTION_REFUSED, still_owned(request, secret), until=until)
    if not may_be_taken(request, secret):
        text = not_owned(secret.name, owner_of(secret))
        if not secret.owner_uid:
            text += f"; to take it over, if it holds what the request asks for: `kubectl csr adopt {request.name} "
            text += f"-n {request.namespace}`"
        return Hold.of(Reason.SECRET_NOT_OWNED, text, until=until)
    if world.rival and not wished:
        owner = f"{Kind.CERTIFICATE_REQUEST} {world.rival}"
        return Hold.of(Reason.SECRET_NOT_OWNED, not_owned(secret.name, owner), until=until)
    if secret.record is None and not any(issuer.ready for issuer in world.issuers.values()):
        # Whose certificate it could be is not known otherwise.
        key = request.issuers[0]
        if (state := world.issuers.get(key)) is None:
            return Hold.of(Reason.ISSUER_NOT_FOUND, _missing(request, world, key), until=until)
        return Hold.of(Reason.ISSUER_NOT_READY, f"{key} is not ready: {state.message}", until=until)
    return Adopt()


def owns(request: CertificateRequest, secret: SecretMeta) -> bool:
    """The Secret is this request's; one that outlived an earlier request of that name (Retain) counts.

    While a request goes, so does what Kubernetes has just taken its owner from (`--cascade=orphan`).
    """
    if secret.owner_uid:
        return secret.owner_uid == request.uid
    if request.being_deleted and is_left(request, secret) and secret.record is not None:
        return secret.record.issuance_hash == request.issuance_hash
    return secret.retained_for == request.name


def precedence(request: CertificateRequest, secret: SecretMeta | None) -> tuple[bool, bool, bool, str, str]:
    """Of the requests that name one Secret, the one with the least of these is to have it.

    Whose it is; whom it is to be given to; for whose spec it says that it was made, which after a restore tells more
    than any time of creation; the oldest.
    """
    if secret is None:
        return True, True, True, request.created, request.uid
    fits = secret.issuance_hash == request.issuance_hash
    return not owns(request, secret), not is_wished(request, secret), not fits, request.created, request.uid


def is_current(request: CertificateRequest, record: Record | None, now: datetime) -> bool:
    """The certificate on record is the one that the spec asks for, and valid now."""
    if record is None or record.issuance_hash != request.issuance_hash:
        return False
    return parse_time(record.not_before) <= now < parse_time(record.not_after)


def is_served(request: CertificateRequest, secret: SecretMeta | None, now: datetime) -> bool:
    """The Secret holds the certificate that the spec asks for, and it is valid now; or can be restored to that."""
    return secret is not None and not secret.beyond_repair and is_current(request, secret.record, now)


def is_fulfilled(request: CertificateRequest, secret: SecretMeta | None, now: datetime) -> bool:
    """All that the spec asks for is in the Secret, and valid now: what else there is to do is about what comes next."""
    return (
        secret is not None
        and is_served(request, secret, now)
        and not _is_to_be_restored(request, secret, secret.record)
        and secret.template_digest == request.spec.secret_template.digest()
    )


def late_from(request: CertificateRequest, record: Record) -> datetime:
    """When a renewal that is still waited for becomes urgent: a tenth of the certificate's life is left.

    Where it is renewed as late as that, half of what is left then.
    """
    start, not_after = _life(record)
    left = max(not_after - renewal_time(request, record), timedelta())
    return not_after - min((not_after - start) / 10, left / 2)


def renewal_time(request: CertificateRequest, record: Record) -> datetime:
    """When the certificate on record is to be renewed.

    At two thirds of its life (half of one below ten days, as most of what is left is then hours, not days), or as
    `renewBefore` or `renewBeforePercentage` say, but not before a tenth of it has passed; earlier than that by an
    amount that is fixed for each request, so that what was issued together is not renewed together: up to a tenth of
    what comes before or after, whichever is shorter. Where the CA suggests a time, that counts (RFC 9773, section 4.2),
    unless the request says that it is to be earlier.
    """
    start, not_after = _life(record)
    life = not_after - start
    before = life / (2 if life < _SHORT else 3)
    if request.spec.renew_before is not None and request.spec.renew_before < life:
        before = request.spec.renew_before
    elif request.spec.renew_before_percentage is not None:
        before = life * request.spec.renew_before_percentage / 100
    early = before + min(before, life - before) * fraction(request.uid) / 10
    due = max(not_after - early, start + life / EARLY)
    if record.window is not None:
        first, last = parse_time(record.window.start), parse_time(record.window.end)
        suggested = min(first + (last - first) * fraction(request.uid), not_after)
        asked = request.spec.renew_before is not None or request.spec.renew_before_percentage is not None
        due = min(due, suggested) if asked else suggested
    return max(due, start + min(SETTLE, life / 2)).replace(microsecond=0)


_SHORT = timedelta(days=10)
"""Below, a third is little time to get over an outage. CAs ask for the same (https://letsencrypt.org/docs/profiles/)."""


def _life(record: Record) -> tuple[datetime, datetime]:
    """From when until when a certificate can serve: not before it is there, however far back the CA dates it."""
    not_before, not_after, stored = map(parse_time, (record.not_before, record.not_after, record.stored))
    return (stored if not_before < stored < not_after else not_before), not_after


def renewal_note(request: CertificateRequest, record: Record) -> str:
    """What a user should know of `renewBefore`, now that the life of the certificate is known; mostly nothing."""
    wanted = request.spec.renew_before
    start, not_after = _life(record)
    if wanted is None or wanted <= (not_after - start) * (EARLY - 1) / EARLY:
        return ""
    instead = "nine tenths"
    if wanted >= not_after - start:
        instead = "half" if not_after - start < _SHORT else "a third"
    return (
        "spec.renewBefore is nearly as long as the certificate is valid, or longer: it is renewed when "
        f"{instead} of its life is left; shorten renewBefore"
    )


def owner_of(secret: SecretMeta) -> str:
    """Whose a Secret is, for a message; empty if nobody says so."""
    if secret.retained_for and not secret.owner_uid:
        return f"{Kind.CERTIFICATE_REQUEST} {secret.retained_for}, by its deletionPolicy Retain,"
    return secret.owner


def not_owned(name: str, owner: str) -> str:
    """The words for a Secret that is somebody else's."""
    return f"Secret {name} {of_somebody_else(owner)}"


def of_somebody_else(owner: str) -> str:
    """What such a Secret does: whose it is, and what may be done."""
    whose = f"belongs to {owner}" if owner else "was not made by the operator"
    # spec.secretName cannot be changed; and what is another request's would only be made again.
    remedy = "delete this request, and create it with another spec.secretName"
    if not owner.startswith(f"{Kind.CERTIFICATE_REQUEST} "):
        remedy = f"delete the Secret if nobody needs it; or {remedy}"
    return f"{whose} and is left untouched: {remedy}"


def issuer_name(key: ObjectKey) -> str:
    """How a Secret's annotations name an issuer."""
    return f"{key.kind}/{key.name}"


def _wanted(request: CertificateRequest, world: World, record: Record | None) -> Issue | Restore | Consult | Rest:
    secret, now = world.secret, world.now
    if secret is None:
        issue = _issue(request, world, Reason.SECRET_MISSING, request.status.revision + 1)
        return _paced(
            request, world, issue, now, f"Secret {request.spec.secret_name} is missing again: find out who deletes it"
        )
    if secret.beyond_repair or _was_revoked(secret):
        revision = (record.revision if record else request.status.revision) + 1
        cause = f"what is in Secret {secret.name} is unusable again: "
        cause += f"changed by {secret.changed_by}" if secret.changed_by else "find out who changes it"
        return _paced(request, world, _issue(request, world, Reason.SECRET_DAMAGED, revision), now, cause)
    if record is None or _is_to_be_restored(request, secret, record):
        return Restore(record.revision if record else max(request.status.revision, 1))
    if record.issuance_hash != request.issuance_hash:
        return _issue(request, world, Reason.SPEC_CHANGED, record.revision + 1)
    to_revoke = bool(request.wishes.revoke) and request.wishes.revoke == record.serial_number
    if to_revoke and request.wishes.revoke_because is not None:
        return _issue(request, world, Reason.REVOKED, record.revision + 1, revoke_old=True)
    if request.wishes.renew not in ("", record.renew):
        return _issue(request, world, Reason.RENEWAL_REQUESTED, record.revision + 1)
    starts = parse_time(record.not_before)
    issuer = _issuer_of(request, world, record)
    if starts - now > _AHEAD and (issuer is None or not issuer.costs):
        cause = f"the certificate is valid only from {record.not_before} on, again: set the clocks right"
        return _paced(request, world, _issue(request, world, Reason.CLOCK_SET_BACK, record.revision + 1), now, cause)
    due = renewal_time(request, record)
    if now >= due:
        cause = "the renewal time was reached again: see spec.renewBefore, and how long the CA's certificates are valid"
        if record.window is not None:
            cause = "the CA asked for renewal again: ask the CA why, or have the issuer ignore its renewal information"
        return _paced(request, world, _issue(request, world, Reason.RENEWAL, record.revision + 1), due, cause)
    if issuer is not None and issuer.ready and issuer.fingerprint not in ("", record.issuer_fingerprint):
        reissue = (issuer.rotated_at or now) + world.rotation_spread * fraction(request.uid)
        if now >= reissue:
            cause = f"{record.issuer} signs with another CA certificate again: find out why it changes"
            return _paced(
                request, world, _issue(request, world, Reason.ISSUER_ROTATED, record.revision + 1), now, cause
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
    missing = [key for key in request.issuers if key not in world.issuers]
    if len(missing) == len(request.issuers):
        where = _ref_field(request, missing[0])
        remedy = "create it, or correct the name"
        yield f"{where}.name: {missing[0]} does not exist, so the certificate cannot be renewed: {remedy}"
    revocation = request.spec.revocation
    if revocation.on_delete or revocation.on_rotation:
        key = request.issuer_key(record.issuer)
        issuer = world.issuers.get(key) if key is not None else None
        if why := unrevocable(key, record.not_after, issuer, world.now):
            yield f"spec.revocation has no effect: {why}"


_HEXADECIMAL = frozenset("0123456789ABCDEF")

_AHEAD = timedelta(hours=1)
"""No CA is believed that grants what begins so much later: a clock was wrong, and was set right since."""


def _was_revoked(secret: SecretMeta) -> bool:
    """Its certificate was, when the request before went, and the Secret was retained."""
    record = secret.record
    authentic = REVOKED_ANNOTATION not in secret.forged
    return record is not None and authentic and secret.revoked == record.sha256_fingerprint


def _is_to_be_restored(request: CertificateRequest, secret: SecretMeta, record: Record | None) -> bool:
    """The Secret is not what the operator wrote, or is to be written otherwise now; labels and annotations apart."""
    return (
        record is None
        or secret.intact_data != request.spec.stored_keys(record)
        or secret.owner_uid != _owner_uid(request)
        or record.outputs != request.spec.outputs.digest()
    )


def _issue(
    request: CertificateRequest, world: World, reason: Reason, revision: int, *, revoke_old: bool = False
) -> Issue | Hold:
    """From the first issuer that can; else what stands in the way, for each of them."""
    obstacles = []
    for key in request.issuers:
        obstacle = _obstacle(request, world, key)
        if obstacle is None:
            return Issue(reason, revision, key, _revokes_old(request, world, asked_to=revoke_old))
        obstacles.append((key, obstacle))
    if len(obstacles) == 1:
        return obstacles[0][1]
    holds = [hold for _, hold in obstacles]
    messages = (hold.message if hold.names_issuer else f"{key}: {hold.message}" for key, hold in obstacles)
    untils = [hold.until for hold in holds if hold.until is not None]
    return Hold(
        holds[0].reason,
        "; ".join(messages),
        needs_user=all(hold.needs_user for hold in holds),
        until=min(untils, default=None),
    )


def _paced(request: CertificateRequest, world: World, action: Issue | Hold, due: datetime, cause: str) -> Issue | Hold:
    """The first early replacement at once, each further one in a row after a longer pause. due: when it came due."""
    pace = world.pace
    if isinstance(action, Hold) or pace is None or due >= pace.calm:
        return action
    if request.wishes.renew and wish_of(request.wishes.renew) != pace.wish:
        return action  # its user wants it now
    if world.now >= pace.next:
        return replace(action, hurries=pace.hurries + 1)
    text = (
        f"{pace.hurries + 1} certificates in a row had to be replaced within a tenth of their lifetime; the next one "
    )
    text += f"is issued at {format_time(pace.next)}: {cause}; "
    text += f"`kubectl csr renew {request.name} -n {request.namespace}` has it issued now"
    return Hold.of(Reason.RENEWAL_LOOP, text, until=pace.next)


def fought_over(secret: SecretMeta) -> Hold:
    """While the next repair of a Secret waits, which somebody changes again and again."""
    whom = (
        f"{secret.changed_by}: have that leave it alone" if secret.changed_by else "somebody: find out who, such as by "
    )
    if not secret.changed_by:
        whom += f"`kubectl get secret {secret.name} -n {secret.namespace} -o yaml --show-managed-fields`"
    text = (
        f"Secret {secret.namespace}/{secret.name} is restored only after a pause, as it is changed again and again by "
    )
    return Hold.of(Reason.REPAIR_LOOP, text + whom)


def _obstacle(request: CertificateRequest, world: World, key: ObjectKey) -> Hold | None:
    """Why `key` cannot be asked now."""
    issuer = world.issuers.get(key)
    if issuer is None:
        return Hold.of(Reason.ISSUER_NOT_FOUND, _missing(request, world, key), names_issuer=True)
    failure = (world.failures or {}).get(key)
    if failure is not None and _counts(failure, request, issuer.version, world.now):
        return Hold(failure.reason, failure.message, failure.needs_user, failure.retry_at, failure.names_issuer)
    # No watch shows when a namespace gets another label.
    until = world.now + world.recheck if issuer.policy is not None and issuer.policy.needs_labels else None
    denials = violations(issuer.policy, asked(request), request.namespace, world.labels or {})
    if (hold := forbidden(request, key, issuer, denials)) is not None:
        return replace(hold, until=until) if hold.reason is Reason.POLICY_DENIED else hold
    if not issuer.ready:
        return Hold.of(Reason.ISSUER_NOT_READY, f"{key} is not ready: {issuer.message}", names_issuer=True)
    return None


def _missing(request: CertificateRequest, world: World, key: ObjectKey) -> str:
    """The words for an issuer that does not exist."""
    namesake, ref = namesake_of(request, key), _ref_field(request, key)
    if namesake not in world.namesakes:
        return f"{ref}.name: {key} does not exist: create it, or correct the name"
    return f"{ref}.name: {key} does not exist: {namesake} does: set {ref}.kind to {namesake.kind}, or create {key}"


def _ref_field(request: CertificateRequest, key: ObjectKey) -> str:
    return f"spec.issuerRefs[{request.issuers.index(key)}]" if len(request.issuers) > 1 else "spec.issuerRef"


def namesake_of(request: CertificateRequest, key: ObjectKey) -> ObjectKey:
    """The issuer of the other kind that may have been meant."""
    kind = Kind.CLUSTER_ISSUER if key.kind is Kind.ISSUER else Kind.ISSUER
    return IssuerRef(key.name, kind).key(request.namespace)


def forbidden(request: CertificateRequest, key: ObjectKey, issuer: IssuerState, denials: Sequence[str]) -> Hold | None:
    """Why this issuer may not be asked: its policy, of which `denials` are the violations, or an approval."""
    if denials:
        message = f"{key} does not allow it: {'; '.join(denials)}"
        return Hold.of(Reason.POLICY_DENIED, message, names_issuer=True)
    return _approval(request, key) if issuer.needs_approval else None


def _approval(request: CertificateRequest, key: ObjectKey) -> Hold | None:
    def given(kind: str) -> Condition | None:
        condition = request.status.condition(kind)
        if condition is None or condition.status != "True" or condition.observed_generation != request.generation:
            return None  # it was given to another spec
        return condition

    if (denied := given("Denied")) is not None:
        return Hold.of(Reason.DENIED, f"{denied.message or 'denied'}; change the request, or have it approved")
    if given("Approved") is None:
        command = f"kubectl csr approve {request.name} -n {request.namespace} --generation {request.generation}"
        message = f"{key} needs approval: somebody who may approve its requests has to run `{command}`"
        return Hold.of(Reason.APPROVAL_PENDING, message, names_issuer=True)
    return None


def _continue(request: CertificateRequest, world: World, staged: Staged, record: Record | None) -> Action:
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
    if setback is not None and setback.again == NEVER and not setback.asked.startswith(wish_of(request.wishes.renew)):
        return Discard()  # the same, after a restart
    # Also an order that was placed gets no further than it would today.
    if (obstacle := _obstacle(request, world, issuer)) is not None:
        passes = not obstacle.needs_user and obstacle.reason is not Reason.ISSUER_NOT_FOUND
        if obstacle.reason in _OUTAGES and _is_given_up(request, world, staged, record, failure):
            passes = False
        if not passes and any(_obstacle(request, world, k) is None for k in request.issuers if k != issuer):
            return Discard()  # it will not be signed here, or not in time, and another issuer can be asked
        if obstacle.reason in _OUTAGES and len(request.issuers) > 1:
            until = max(_deadline(request, staged, record), world.now + timedelta(seconds=1))
            return replace(obstacle, until=min(obstacle.until or until, until))
        return obstacle
    waiting = world.waiting
    if (
        waiting is not None
        and (waiting.uid, waiting.imported) == (staged.uid, request.wishes.imported)
        and not _is_due(waiting.poll_at, waiting.since, world.now)
    ):
        # Not `needs_user`: what that person does somewhere else is seen without a change of anything here.
        if waiting.remind_at is not None:
            return Hold.of(Reason.ACTION_REQUIRED, waiting.message, until=waiting.poll_at)
        return Hold.of(Reason.PENDING, waiting.message, until=waiting.poll_at)
    wished = record is not None and request.wishes.revoke == record.serial_number
    first = _wanted(request, replace(world, failures=None), record)
    reason = first.reason if isinstance(first, Issue) else None
    return Resume(staged.revision, issuer, _revokes_old(request, world, asked_to=wished), reason)


def _recalled(request: CertificateRequest, world: World) -> World:
    """With the failure that is on record with the order under way, which a restart has had the operator forget."""
    staged = world.staged
    if staged is None or not staged.authentic or (setback := staged.setback) is None:
        return world
    issuer = next((key for key in request.issuers if issuer_name(key) == staged.issuer), None)
    state = world.issuers.get(issuer) if issuer is not None else None
    if state is None or issuer in (world.failures or {}):
        return world
    if setback.asked not in ("", asked_of(request.wishes.renew, state.version)):
        return world  # since then something has changed that it may depend on
    final = setback.again == NEVER
    failure = Failure(
        reason=_reason_of(setback),
        message=setback.message or f"{staged.lapses} orders came to nothing; another one is placed at {setback.again}",
        issuer=issuer,
        generation=request.generation,
        wishes=request.wishes,
        version=state.version,
        retry_at=None if final else parse_time(setback.again),
        needs_user=final,
        # No pause is much longer than a day: what lies farther ahead was reckoned by a clock that was put back since.
        since=None if final else parse_time(setback.again) - timedelta(days=1, hours=1),
    )
    return replace(world, failures={**(world.failures or {}), issuer: failure})


def _reason_of(setback: Setback) -> Reason:
    """An older version gave none, and another one may give any."""
    try:
        return Reason(setback.reason)
    except ValueError:
        return Reason.ORDER_FAILED


_OUTAGES = (Reason.ISSUER_NOT_READY, Reason.ISSUER_UNAVAILABLE)
"""What stands in the way of an order that is good, and may yet go away."""

_PATIENCE = timedelta(minutes=10)
"""How long an order waits for its issuer to come back before another is asked, where no certificate serves."""


def _is_given_up(
    request: CertificateRequest, world: World, staged: Staged, record: Record | None, failure: Failure | None
) -> bool:
    """Whether another issuer is to be asked in the place of one that cannot be reached.

    At once if nothing was ordered for sure. If something was, or may have been, it is waited for as long as there is
    time: that costs less than a second order.
    """
    nothing = not staged.handle and failure is not None and failure.unplaced
    return nothing or world.now >= _deadline(request, staged, record)


def _deadline(request: CertificateRequest, staged: Staged, record: Record | None) -> datetime:
    """Half of what was left of the certificate when its successor was ordered."""
    begun = parse_time(staged.created)
    if not is_current(request, record, begun) or record is None:
        return begun + _PATIENCE
    return begun + max((parse_time(record.not_after) - begun) / 2, _PATIENCE)


def _revokes_old(request: CertificateRequest, world: World, *, asked_to: bool) -> bool:
    """The certificate that another one replaces is to be revoked afterwards."""
    record = world.secret.record if world.secret is not None else None
    return record is not None and (asked_to or request.spec.revocation.on_rotation) and _owes(request, world, record)


def _owes(request: CertificateRequest, world: World, record: Record) -> bool:
    """Whose certificate it is can revoke, as far as is known, and it has not expired. Nobody's owes nothing."""
    if not record.issuer:
        return False
    key = request.issuer_key(record.issuer)
    issuer = world.issuers.get(key) if key is not None else None
    return (issuer is None or issuer.revokes) and world.now < parse_time(record.not_after)


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


def _needs_guard(request: CertificateRequest, world: World, action: Action, record: Record | None) -> bool:
    match action:
        case Issue() | Resume():
            return action.revoke_old or (request.spec.revocation.on_delete and world.issuers[action.issuer].revokes)
        case Hold() | Keep() if request.spec.revocation.on_delete and record is not None:
            key = request.issuer_key(record.issuer)
            return key in world.issuers and _owes(request, world, record)
    return False


def _meanwhile(request: CertificateRequest, world: World, rest: Hold | Keep, record: Record | None) -> Action:
    """What there is to revoke while nothing else is to be done."""
    if world.secret is not None and world.secret.owed:
        step = _repay(request, world, world.secret.owed)
        if not isinstance(step, Hold):
            return step
        untils = [until for until in (rest.until, step.until) if until is not None]
        return replace(step if isinstance(rest, Keep) else rest, until=min(untils, default=None))
    if isinstance(rest, Keep) and request.is_guarded:
        keeps = request.spec.revocation.on_delete and record is not None and _owes(request, world, record)
        return rest if keeps else Release()
    return rest


def _repay(request: CertificateRequest, world: World, owed: tuple[Debt, ...]) -> Revoke | Forget | Hold:
    """Have revoked what can be; else say what stands in the way of the first."""
    holds = []
    if not request.wishes.abandon_revocation:
        for issuer in dict.fromkeys(debt.issuer for debt in owed if world.now < parse_time(debt.not_after)):
            step = _revocation(request, world, issuer, current=False)
            if isinstance(step, Revoke):
                return step
            if step is not None:
                holds.append(step)
    return holds[0] if holds else Forget()


def _farewell(request: CertificateRequest, world: World) -> Action:
    secret = world.secret
    if not request.is_guarded:
        return Keep(until=None)
    if request.wishes.abandon_revocation:
        return Release()
    if secret is None or not owns(request, secret) or secret.record is None:
        lost = f"Secret {request.secret.name} is gone, or no longer the request's"
        return Release(_unrevoked(request, request.status.serial_number, request.status.not_after, world.now, lost))
    record = secret.record
    step: Revoke | Forget | Hold | Release = _repay(request, world, secret.owed)
    if isinstance(step, Forget) and request.spec.revocation.on_delete and _owes(request, world, record):
        step = _revocation(request, world, record.issuer, current=True) or Release()
    if isinstance(step, Hold) and world.leaving:
        lost = f"its namespace is being deleted, and {step.message}"
        return Release(_unrevoked(request, record.serial_number, record.not_after, world.now, lost))
    return Release() if isinstance(step, Forget) else step


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
    if failure is not None and _counts(failure, request, issuer.version, world.now):
        return _pending(f"{key}: {failure.message}", failure.retry_at, needs_user=failure.needs_user)
    if not issuer.ready:
        return _pending(f"{key} is not ready: {issuer.message}", world.now + world.recheck, needs_user=False)
    return Revoke(key, current)


def _pending(why: str, until: datetime | None, *, needs_user: bool) -> Hold:
    give_up = "fix it, or abandon the revocation with the annotation csr-operator.dev/abandon-revocation=true"
    return Hold(Reason.REVOCATION_PENDING, f"a certificate is to be revoked, but {why}: {give_up}", needs_user, until)


def _own_obstacle(request: CertificateRequest, world: World) -> Hold | None:
    """What failed before any issuer was asked, and would fail again."""
    failure = (world.failures or {}).get(None)
    if failure is not None and _counts(failure, request, "", world.now):
        return Hold(failure.reason, failure.message, failure.needs_user, until=failure.retry_at)
    return None


def _counts(failure: Failure, request: CertificateRequest, version: str, now: datetime) -> bool:
    same = (failure.generation, failure.wishes, failure.version) == (request.generation, request.wishes, version)
    return same and (failure.retry_at is None or not _is_due(failure.retry_at, failure.since, now))


def _is_due(at: datetime, since: datetime | None, now: datetime) -> bool:
    """What was put off to `at`, at `since`. If it is earlier than that, the clock was put back: it waits no longer."""
    return now >= at or (since is not None and now < since)


def _issuer_of(request: CertificateRequest, world: World, record: Record) -> IssuerState | None:
    return next((world.issuers.get(k) for k in request.issuers if issuer_name(k) == record.issuer), None)


def _owner_uid(request: CertificateRequest) -> str:
    """Whom the Secret is to belong to: a retained one to nobody, so that it is not collected."""
    return "" if request.spec.retain else request.uid


def fraction(uid: str) -> float:
    """A number in [0, 1) that is always the same for one request."""
    return int(uid.replace("-", "")[-8:], 16) / 2**32
