"""What the operator keeps in Secrets: records of certificates, orders under way, revocations to come."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from csr_operator.pki.fingerprint import whole_octets

from .keys import SecretKey
from .names import GROUP
from .shards import shard_of
from .times import parse_time


@dataclass(frozen=True, slots=True)
class Record:
    """What the operator wrote about a certificate into the annotations of its Secret, in the same write.

    The metadata-only watch delivers it, so a restart neither reads a Secret nor believes a status.
    Times are RFC 3339 in UTC, hashes are SHA-256 in hex.
    """

    issuance_hash: str
    """Of the spec that it was issued for: `RequestSpec.issuance_hash`."""
    revision: int
    serial_number: str
    """As `pki.fingerprint.serial_octets` has it."""
    not_before: str
    not_after: str
    sha256_fingerprint: str
    issuer_fingerprint: str
    """That of the CA's certificate; empty if the CA did not send it."""
    issuer: str
    """Who was asked (`Kind/name`)."""
    renew: str
    """The value of RENEW_ANNOTATION then."""
    csr: str
    """The `pki.csr.csr_digest` of the CSR."""
    outputs: str
    """The digest of the `Outputs` that were written."""
    stored: str
    """When the operator wrote the certificate, by its own clock."""
    hurries: int = 0
    """How many in a row before it were replaced early (`decisions.pace.Pace`)."""
    reference: str = ""
    """What the CA knows the certificate by."""
    window: "Window | None" = None
    """When the CA wants it renewed; it is in RENEWAL_WINDOW_ANNOTATION."""

    def annotations(self) -> dict[str, str]:
        """Those of RECORD_ANNOTATIONS but RETAINED_ANNOTATION; without the window, which is written apart."""
        return {
            f"{GROUP}/issuance-hash": self.issuance_hash,
            f"{GROUP}/revision": str(self.revision),
            f"{GROUP}/serial-number": self.serial_number,
            f"{GROUP}/not-before": self.not_before,
            f"{GROUP}/not-after": self.not_after,
            f"{GROUP}/sha256-fingerprint": self.sha256_fingerprint,
            f"{GROUP}/issuer-sha256-fingerprint": self.issuer_fingerprint,
            f"{GROUP}/issuer": self.issuer,
            f"{GROUP}/renewed-for": self.renew,
            f"{GROUP}/csr-digest": self.csr,
            f"{GROUP}/outputs-digest": self.outputs,
            f"{GROUP}/stored-at": self.stored,
            f"{GROUP}/early-replacements": str(self.hurries),
            f"{GROUP}/reference": self.reference,
        }

    @classmethod
    def from_annotations(cls, annotations: Mapping[str, str]) -> "Record | None":
        """None if a part is missing or unreadable; without the window."""
        try:
            record = cls(
                issuance_hash=annotations[f"{GROUP}/issuance-hash"],
                revision=int(annotations[f"{GROUP}/revision"]),
                serial_number=whole_octets(annotations[f"{GROUP}/serial-number"]),
                not_before=annotations[f"{GROUP}/not-before"],
                not_after=annotations[f"{GROUP}/not-after"],
                sha256_fingerprint=annotations[f"{GROUP}/sha256-fingerprint"],
                issuer_fingerprint=annotations[f"{GROUP}/issuer-sha256-fingerprint"],
                issuer=annotations[f"{GROUP}/issuer"],
                renew=annotations[f"{GROUP}/renewed-for"],
                csr=annotations[f"{GROUP}/csr-digest"],
                outputs=annotations[f"{GROUP}/outputs-digest"],
                stored=annotations[f"{GROUP}/stored-at"],
                hurries=int(annotations[f"{GROUP}/early-replacements"]),
                reference=annotations[f"{GROUP}/reference"],
            )
            parse_time(record.stored)
            sensible = parse_time(record.not_before) < parse_time(record.not_after)
        except (KeyError, ValueError):
            return None
        return record if sensible else None


class Window(NamedTuple):
    """From when until when a CA wants a certificate renewed (RFC 3339 in UTC)."""

    start: str
    end: str

    @property
    def times(self) -> str:
        """`START/END`, for annotations; `read` understands it."""
        return f"{self.start}/{self.end}"

    @classmethod
    def read(cls, times: str) -> "Window | None":
        """None if it is not readable."""
        try:
            window = cls(*times.split("/", 1))
            return window if parse_time(window.start) < parse_time(window.end) else None
        except (TypeError, ValueError):
            return None


class DebtSummary(NamedTuple):
    """A replaced certificate that is still to be revoked."""

    issuer: str
    """Who has to revoke it (`Kind/name`)."""
    not_after: str
    """When it expires (RFC 3339), and need not be revoked any more."""


@dataclass(frozen=True, slots=True)
class SecretMeta:
    """A Secret as the metadata-only watch shows it."""

    namespace: str
    name: str
    uid: str
    resource_version: str
    owner_uid: str
    """Of what controls it; empty if nothing does."""
    owner: str
    """Kind and name of what controls it, for the message."""
    intact_data: frozenset[str]
    """The data keys whose value is still the one that the operator applied: another manager that changes a value takes
    the field's ownership over (metadata.managedFields), so an edit shows without reading data."""
    template_digest: str
    """That of the labels and annotations still ours, as `SecretTemplate.digest` makes it.

    Empty if the label that the watch filters by is not ours any more.
    """
    record: Record | None
    """None if the operator did not write one, or it does not verify."""
    retained_for: str = ""
    """The name of the request that it was made for, if it outlives that."""
    debts: tuple[DebtSummary, ...] = ()
    """What it replaced and is still to be revoked; it is in OWED_ANNOTATION."""
    beyond_repair: bool = False
    """Its data was read, and its certificate does not serve any more."""
    guarded: bool = False
    """It has REVOCATION_FINALIZER: when it is deleted, it stays until the operator lets it go."""
    deleted: bool = False
    """It is to go."""
    changed_by: str = ""
    """Who changed what of its data, by the names of field managers, for the message; empty if nobody did."""
    adopt: str = ""
    """The name of the request that is to take it over, by the will of who may write the Secret."""
    left_for: str | None = None
    """Of one that the operator wrote and that has no owner: for which request, or (empty) for any that names it.

    By its label and record, which need not verify: a backup may have been restored without the key of the state.
    """
    revoked: str = ""
    """SHA-256 of the certificate that was revoked, or was to be, when its request went; also by a code that does not
    verify."""
    issuance_hash: str = ""
    """Of the spec for which it says that it was made; it need not verify either."""
    forged: tuple[str, ...] = ()
    """Names of annotations of ours that are there with a code that does not verify, and count as absent."""

    @property
    def key(self) -> SecretKey:
        """Which Secret it is."""
        return SecretKey(self.namespace, self.name)

    @property
    def essence(self) -> tuple[object, ...]:
        """What the operator goes by: while that is the same, what was decided on it holds."""
        return self.uid, self.owner_uid, self.record, self.debts, self.deleted


@dataclass(frozen=True, slots=True)
class Setback:
    """Why an order is not gone on with, as it outlives a restart: what was refused is not asked for again by that."""

    again: str
    """When another one may be placed (RFC 3339 in UTC), or NEVER."""
    cause: str = ""
    """A digest of what it depends on besides the spec (`pace.cause_of`)."""
    reason: str = ""
    """Of the condition; an order from an older version has none."""
    message: str = ""
    """Likewise."""

    @property
    def text(self) -> str:
        """For the annotation; `read` understands it."""
        return " ".join([self.again, self.cause, self.reason, self.message]).rstrip()

    @classmethod
    def read(cls, text: str) -> "Setback | None":
        """None for no text; ValueError for another one than `text` gives."""
        if not text:
            return None
        parts = text.split(" ", 3)
        if parts[0] != NEVER:
            parse_time(parts[0])
        return cls(*parts)


NEVER = "never"
"""Only a change of the request or its issuer, or its user, has it tried again."""


@dataclass(frozen=True, slots=True)
class Staged:
    """An order under way, as its staging Secret shows it.

    The key and the exact CSR are in there, before a CA is asked.
    """

    namespace: str
    name: str
    uid: str
    resource_version: str
    created: str
    """RFC 3339 in UTC."""
    owner_uid: str
    issuance_hash: str
    """Of the spec that it is for."""
    revision: int
    """Of the certificate that it is for."""
    issuer: str
    """Who is asked (`Kind/name`)."""
    csr: str
    """The `pki.csr.csr_digest` of the CSR."""
    handle: str
    """What the CA knows the order by; empty if it may not have been placed, or needs none."""
    hurries: int = 0
    """As in the Record that is to come."""
    lapses: int = 0
    """How many orders for this CSR came to nothing."""
    setback: Setback | None = None
    """What came of the last one, and when there may be another; None: at once."""
    leaves_traces: bool = False
    """It stays until its order was taken back."""
    deleted: str = ""
    """Since when it is to go (RFC 3339 in UTC); empty if it is not."""
    authentic: bool = True
    """The operator wrote it; if not, nothing else of it counts, and it is deleted."""
    owner: str = ""
    """Its request's name; empty if nothing deletes it with that."""
    secret_name: str = ""
    """Of the Secret that its request wants; empty where a version wrote it that knew no replicas."""

    @property
    def key(self) -> SecretKey:
        """Which Secret it is in."""
        return SecretKey(self.namespace, self.name)

    @property
    def essence(self) -> tuple[object, ...]:
        """What the operator goes by: while that is the same, what was decided on it holds."""
        return self.uid, self.handle, self.setback, self.deleted, self.authentic

    @property
    def shard(self) -> int | None:
        """That of its request; None if it does not say."""
        return shard_of(self.namespace, self.secret_name) if self.secret_name else None
