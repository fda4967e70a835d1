"""What to do next about one CertificateRequest: pure, with no I/O and no clock of its own.

The answer follows from what is there now (spec, issuer, Secret, time), never from which event came, so that a crash
at any point is just a restart. `status` decides nothing: whoever may write it gains nothing by it.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from .model import CertificateRequest, Kind, Record, SecretMeta, parse_time

DATA_KEYS = frozenset({"tls.crt", "tls.key", "ca.crt"})
"""What the Secret of every request holds."""

_SETTLE = timedelta(seconds=30)
"""A certificate is not renewed sooner after its notBefore: a CA that grants minutes must not make a loop."""


@dataclass(frozen=True, slots=True)
class IssuerState:
    """What the last check of an issuer found.

    version: changes whenever its spec or its CA changes; what failed permanently is then tried again.
    fingerprint: SHA-256 (hex) of the CA certificate that signs now; empty if the CA does not tell beforehand.
    rotated_at: when the operator saw the fingerprint change.
    """

    ready: bool
    message: str
    version: str
    fingerprint: str = ""
    rotated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """The last attempt failed.

    It counts while the request's `generation` and the issuer's `issuer_version` are those it failed with.
    retry_at: None if only a change of spec or issuer can help.
    needs_user: nothing will change by itself (`Stalled`), even if the operator looks again now and then.
    """

    reason: str
    message: str
    generation: int
    issuer_version: str
    retry_at: datetime | None
    needs_user: bool


@dataclass(frozen=True, slots=True)
class Issue:
    """Have a certificate issued, as `revision`, because of `reason`."""

    reason: str
    revision: int


@dataclass(frozen=True, slots=True)
class Restore:
    """Read the Secret and write it as it should be, with the same certificate if that still serves."""

    revision: int


@dataclass(frozen=True, slots=True)
class Hold:
    """Wait for somebody or something that `message` names; at `until` look again by yourself."""

    reason: str
    message: str
    needs_user: bool
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Keep:
    """All is as it should be until `until`."""

    until: datetime | None


Action = Issue | Restore | Hold | Keep


def decide(
    request: CertificateRequest,
    issuer: IssuerState | None,
    secret: SecretMeta | None,
    failure: Failure | None,
    now: datetime,
    rotation_spread: timedelta,
    rival: str = "",
) -> Action:
    """rival: the name of another request that may have the Secret first."""
    if request.being_deleted:
        return Keep(until=None)
    if request.problem:
        return Hold("InvalidSpec", request.problem, needs_user=True)
    if secret is not None and secret.owner_uid != request.uid:
        if secret.owner == f"{Kind.CERTIFICATE_REQUEST} {request.name}":
            text = f"Secret {secret.name} is that of an earlier request of this name, and waits to be garbage-collected"
            return Hold("SecretNotCollected", text, needs_user=False)
        return Hold("SecretNotOwned", not_owned(secret.name, secret.owner), needs_user=True)

    if secret is None and rival:
        owner = f"{Kind.CERTIFICATE_REQUEST} {rival}"
        return Hold("SecretNotOwned", not_owned(request.spec.secret_name, owner), needs_user=True)

    record = secret.record if secret is not None else None
    wanted = _wanted(request, issuer, secret, record, now, rotation_spread)
    if isinstance(wanted, Keep):
        return wanted
    version = issuer.version if issuer is not None else ""
    if (
        failure is not None
        and (failure.generation, failure.issuer_version) == (request.generation, version)
        and (failure.retry_at is None or now < failure.retry_at)
    ):
        hold = Hold(failure.reason, failure.message, failure.needs_user, until=failure.retry_at)
    elif isinstance(wanted, Issue) and issuer is None:
        hold = Hold("IssuerNotFound", f"{request.issuer} does not exist: create it", needs_user=False)
    elif isinstance(wanted, Issue) and issuer is not None and not issuer.ready:
        hold = Hold("IssuerNotReady", f"{request.issuer} is not ready: {issuer.message}", needs_user=False)
    else:
        return wanted
    if record is not None and is_current(request, record, now):
        # It serves until it expires, and that is to be told even if nothing else happens.
        expiry = parse_time(record.not_after)
        hold = replace(hold, until=min(hold.until or expiry, expiry))
    return hold


def is_current(request: CertificateRequest, record: Record | None, now: datetime) -> bool:
    """The certificate on record is the one that the spec asks for, and valid now."""
    return record is not None and record.issuance_hash == request.issuance_hash and now < parse_time(record.not_after)


def renewal_time(request: CertificateRequest, record: Record) -> datetime:
    """When the certificate on record is to be renewed.

    At two thirds of its life, or as `renewBefore` or `renewBeforePercentage` say; earlier than that by an amount that
    is fixed for each request, so that what was issued together is not renewed together: up to a tenth of what comes
    before or after, whichever is shorter.
    """
    not_before, not_after = parse_time(record.not_before), parse_time(record.not_after)
    life = not_after - not_before
    before = life / 3
    if request.spec.renew_before is not None and request.spec.renew_before < life:
        before = request.spec.renew_before
    elif request.spec.renew_before_percentage is not None:
        before = life * request.spec.renew_before_percentage / 100
    early = before + min(before, life - before) * _fraction(request.uid) / 10
    return max(not_after - early, not_before + min(_SETTLE, life / 2)).replace(microsecond=0)


def not_owned(name: str, owner: str) -> str:
    """The words for a Secret that is somebody else's."""
    whose = f"belongs to {owner}" if owner else "was not made by the operator"
    return f"Secret {name} {whose} and is left untouched: delete it, or name another in spec.secretName"


def _wanted(
    request: CertificateRequest,
    issuer: IssuerState | None,
    secret: SecretMeta | None,
    record: Record | None,
    now: datetime,
    rotation_spread: timedelta,
) -> Issue | Restore | Keep:
    if secret is None:
        return Issue("SecretMissing", revision=request.status.revision + 1)
    if secret.beyond_repair:
        return Issue("SecretDamaged", revision=request.status.revision + 1)
    if record is None or not secret.intact_data >= DATA_KEYS:
        return Restore(revision=record.revision if record else request.status.revision)
    if record.issuance_hash != request.issuance_hash:
        return Issue("SpecChanged", record.revision + 1)
    due = renewal_time(request, record)
    if now >= due:
        return Issue("Renewal", record.revision + 1)
    if issuer is not None and issuer.ready and issuer.fingerprint not in ("", record.issuer_fingerprint):
        reissue = (issuer.rotated_at or now) + rotation_spread * _fraction(request.uid)
        if now >= reissue:
            return Issue("IssuerRotated", record.revision + 1)
        due = min(due, reissue)
    if secret.template_digest != request.spec.secret_template.digest():
        return Restore(revision=record.revision)
    return Keep(until=due)


def _fraction(uid: str) -> float:
    """A number in [0, 1) that is always the same for one request."""
    return int(uid.replace("-", "")[-8:], 16) / 2**32
