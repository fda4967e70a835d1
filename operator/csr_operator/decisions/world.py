"""What `decide` goes by, besides the request: issuers, Secrets, time, and what is remembered of earlier attempts."""

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
    """What the last check of an issuer found."""

    ready: bool
    """It can be asked for certificates now."""
    message: str
    """What the check said; why it is not ready, if it is not."""
    version: str
    """Changes whenever its spec or its CA changes; what failed permanently is then tried again."""
    fingerprint: str = ""
    """SHA-256 of the CA certificate that signs now; empty if the CA does not tell beforehand."""
    rotated_at: datetime | None = None
    """When the operator saw the fingerprint change."""
    costs: bool = False
    """An order costs something or takes time, as its backend says."""
    revokes: bool = False
    """It can revoke certificates, as its backend says."""
    suggests: bool = False
    """It says when to renew its certificates."""
    needs_approval: bool = False
    """Each request has to be approved by somebody who may."""
    policy: Policy | None = None
    """What may be asked of it; None for anything."""
    backend: str = ""
    """The name of its backend; empty if the spec makes none."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The last attempt failed.

    It counts while the request's generation, its user's wishes and the issuer's version are those it failed with.
    """

    reason: Reason
    message: str
    """Why, for the user."""
    issuer: ObjectKey | None
    """Who was asked; None if it failed before any was."""
    generation: int
    wishes: Wishes
    version: str
    """As of `IssuerState`; empty if no issuer was asked."""
    retry_at: datetime | None
    """None if only a change of spec or issuer can help."""
    needs_user: bool
    """Nothing will change by itself (`Stalled`), even if the operator looks again now and then."""
    since: datetime | None = None
    """When it failed, by the clock of `retry_at`: before that, the clock was put back, and it is tried again."""
    unplaced: bool = False
    """Nothing was ordered, for sure."""
    names_issuer: bool = False
    """The message says which issuer it is about."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The order in staging Secret `uid` is pending: ask again at `poll_at`, or when a person brings something else."""

    uid: str
    message: str
    """What is waited for, as the backend says."""
    poll_at: datetime
    imported: str
    """What a person had brought by then: `Wishes.imported`."""
    remind_at: datetime | None
    """When the user is reminded; None if no person has to do anything."""
    since: datetime | None = None
    """When the CA was asked: as of `Failure`."""


@dataclass(frozen=True, slots=True)
class World:
    """What there is besides the request."""

    now: datetime
    rotation_spread: timedelta
    """Over how much time certificates are replaced whose CA signs with another certificate now."""
    issuers: Mapping[ObjectKey, IssuerState]
    """Those that exist of those it names, and of those that have to revoke something."""
    secret: SecretMeta | None = None
    """The one of the name that the spec says, whosever it is."""
    staged: Staged | None = None
    """The order under way."""
    waiting: Waiting | None = None
    failures: Mapping[ObjectKey | None, Failure] | None = None
    """By issuer; None for the request itself."""
    unrevoked: Mapping[ObjectKey, Failure] | None = None
    """Failures of revocations, by issuer."""
    rival: str = ""
    """The name of another request that may have the Secret first."""
    labels: Mapping[str, str] | None = None
    """Of its namespace."""
    pace: Pace | None = None
    """None before the first certificate."""
    recheck: timedelta = timedelta(seconds=30)
    """After which time to look again at what no watch shows."""
    consult_at: datetime | None = None
    """When the issuer is to be asked again when it wants the certificate renewed."""
    leaving: bool = False
    """Its namespace is being deleted, with the issuers in it."""
    namesakes: frozenset[ObjectKey] = frozenset()
    """The issuers that exist of the other kind, and of the name of one that does not."""


def still_counts(failure: Failure, request: CertificateRequest, version: str, now: datetime) -> bool:
    """Nothing has changed since that it may depend on, and it is not yet time to try again.

    version: of the issuer now; empty for a failure before any was asked.
    """
    same = (failure.generation, failure.wishes, failure.version) == (request.generation, request.wishes, version)
    return same and (failure.retry_at is None or not is_due(failure.retry_at, failure.since, now))


def is_due(at: datetime, since: datetime | None, now: datetime) -> bool:
    """What was put off to `at`, at `since`. If it is earlier than that, the clock was put back: it waits no longer."""
    return now >= at or (since is not None and now < since)
