"""What the operator keeps in Secrets: records of certificates, orders under way, revocations to come."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from csr_operator.pki.fingerprint import whole_octets

from .keys import SecretKey
from .names import GROUP
from .times import parse_time


@dataclass(frozen=True, slots=True)
class Record:
    """What the operator wrote about a certificate into the annotations of its Secret, in the same write.

    The metadata-only watch delivers it, so a restart neither reads a Secret nor believes a status.
    Times are RFC 3339 in UTC, hashes are SHA-256 in hex, the serial number is as
    `pki.fingerprint.serial_octets` has it. issuer_fingerprint is that of the CA's certificate, or empty if the CA did
    not send it. issuer is who was asked (`Kind/name`), renew the value of RENEW_ANNOTATION then, csr the
    `pki.csr.csr_digest` of the CSR, outputs the digest of the `Outputs` that were written, reference what the CA knows
    the certificate by. stored is when the operator wrote the certificate, by its own clock, and hurries how many in a
    row before it were replaced early (`decisions.pace.Pace`).
    """

    issuance_hash: str
    revision: int
    serial_number: str
    not_before: str
    not_after: str
    sha256_fingerprint: str
    issuer_fingerprint: str
    issuer: str
    renew: str
    csr: str
    outputs: str
    stored: str
    hurries: int = 0
    reference: str = ""
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


class Debt(NamedTuple):
    """A replaced certificate that `issuer` (`Kind/name`) has to revoke, unless it expires before (RFC 3339)."""

    issuer: str
    not_after: str


@dataclass(frozen=True, slots=True)
class SecretMeta:
    """A Secret as the metadata-only watch shows it.

    `intact_data` are the data keys whose value is still the one that the operator applied: another manager that
    changes a value takes the field's ownership over (metadata.managedFields), so an edit shows without reading data.
    `template_digest` is that of the labels and annotations still ours, as `SecretTemplate.digest` makes it; empty
    if the label that the watch filters by is not ours any more.
    `owner` names the controller of a Secret that is not the operator's, for the message.
    """

    namespace: str
    name: str
    uid: str
    resource_version: str
    owner_uid: str
    owner: str
    intact_data: frozenset[str]
    template_digest: str
    record: Record | None
    retained_for: str = ""
    """The name of the request that it was made for, if it outlives that."""
    owed: tuple[Debt, ...] = ()
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


@dataclass(frozen=True, slots=True)
class Setback:
    """Why an order is not gone on with, as it outlives a restart: what was refused is not asked for again by that.

    again: when another one may be placed (RFC 3339 in UTC), or NEVER. asked: a digest of what it depends on besides the
    spec (`pace.asked_of`). reason, message: of the condition; an order from an older version has neither.
    """

    again: str
    asked: str = ""
    reason: str = ""
    message: str = ""

    @property
    def text(self) -> str:
        """For the annotation; `read` understands it."""
        return " ".join([self.again, self.asked, self.reason, self.message]).rstrip()

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
    """An order under way, as its staging Secret shows it: the key and the exact CSR are in there, before a CA is asked.

    handle: what the CA knows the order by; empty if it may not have been placed, or needs none. created: RFC 3339 in
    UTC. csr: the `pki.csr.csr_digest` of the CSR. hurries: as in the Record that is to come. lapses: how many orders
    for this CSR came to nothing; setback: what came of the last one, and when there may be another; None: at once.
    leaves_traces: it stays until its order was taken back. deleted: since when it is to go (RFC 3339 in UTC); empty if
    it is not. authentic: the operator wrote it; if not, nothing else of it counts, and it is deleted. owner: its
    request's name; empty if nothing deletes it with that.
    """

    namespace: str
    name: str
    uid: str
    resource_version: str
    created: str
    owner_uid: str
    issuance_hash: str
    revision: int
    issuer: str
    csr: str
    handle: str
    hurries: int = 0
    lapses: int = 0
    setback: Setback | None = None
    leaves_traces: bool = False
    deleted: str = ""
    authentic: bool = True
    owner: str = ""

    @property
    def key(self) -> SecretKey:
        """Which Secret it is in."""
        return SecretKey(self.namespace, self.name)
