"""TODO world."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from csr_operator.api.keys import ObjectKey
from csr_operator.api.policy import Policy
from csr_operator.api.reasons import Reason
from csr_operator.api.request import CertificateRequest, Wishes
from csr_operator.api.secrets import SecretMeta, Staged

from .pace import Pace


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


def still_counts(failure: Failure, request: CertificateRequest, version: str, now: datetime) -> bool:
    same = (failure.generation, failure.wishes, failure.version) == (request.generation, request.wishes, version)
    return same and (failure.retry_at is None or not is_due(failure.retry_at, failure.since, now))


def is_due(at: datetime, since: datetime | None, now: datetime) -> bool:
    """What was put off to `at`, at `since`. If it is earlier than that, the clock was put back: it waits no longer."""
    return now >= at or (since is not None and now < since)
