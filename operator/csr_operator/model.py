"""What the operator knows of the cluster, as frozen values; `parse.py` makes them.

Field names are those of `crds/` in snake case; a test proves that the two do not drift.
"""

import hashlib
import json
import re
from collections.abc import Container, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

from .pki.csr import CsrTemplate
from .pki.fingerprint import whole_octets
from .pki.keys import KeyEncoding, KeyParameters
from .policy import Policy

GROUP = "csr-operator.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
MANAGER = "csr-operator"
"""Field manager of every write (server-side apply: which fields are ours)."""

MANAGED_LABEL = f"{GROUP}/managed"
"""On every Secret that the operator wrote; the server filters the watch by it."""

STAGING_LABEL = f"{GROUP}/staging"
"""On the Secrets that hold key and CSR while an order is under way."""

CREDENTIAL_LABEL = f"{GROUP}/allow-credential"
"""On a Secret of its user: `true` lets the Issuers of its namespace use it as a credential."""

CREDENTIAL_TYPE = f"{GROUP}/credential"
"""The type of a Secret that says the same."""

STATE_KEY = "csr-operator-state-key"
"""The Secret in the operator's own namespace with the key that its state is sealed with."""

RENEW_ANNOTATION = f"{GROUP}/renew"
"""On a request: another value than at the last issuance has it renewed now."""

REVOKE_ANNOTATION = f"{GROUP}/revoke"
"""On a request: `SERIAL [REASON]`, the serial number of its certificate, which is then replaced and revoked; REASON is
one of REVOCATION_REASONS."""

REVOCATION_REASONS = (
    "unspecified",
    "keyCompromise",
    "cACompromise",
    "affiliationChanged",
    "superseded",
    "cessationOfOperation",
    "privilegeWithdrawn",
    "aACompromise",
)
"""As RFC 5280, section 5.3.1, names them, without those of what is revoked for a time only."""

SUPERSEDED = "superseded"
"""The reason where nobody gave one: another certificate takes its place."""

IMPORT_ANNOTATION = f"{GROUP}/import"
"""On a request: the chain (PEM) that a person brings for a manual issuer."""

ABANDON_ANNOTATION = f"{GROUP}/abandon-revocation"
"""On a request: `true` gives up the revocations that are owed, when the CA is gone."""

OWED_ANNOTATION = f"{GROUP}/owed-revocations"
"""On a Secret: the replaced certificates that are still to be revoked (`owed.py`)."""

RETAINED_ANNOTATION = f"{GROUP}/retained-for"
"""On a Secret that outlives its request: the request's name. A request of that name takes it over."""

ADOPT_ANNOTATION = f"{GROUP}/adopt"
"""On a Secret, by who may write it: the name of the request that is to take it over (`adoption.py`)."""

REVOKED_ANNOTATION = f"{GROUP}/revoked-certificate"
"""On a Secret that outlives its request: `FINGERPRINT CODE` of its certificate, before the CA is asked to revoke it."""

RENEWAL_WINDOW_ANNOTATION = f"{GROUP}/renewal-window"
"""On a Secret: when its CA wants the certificate renewed, as `SERIAL START/END CODE` (hex; RFC 3339 in UTC)."""

SEAL_ANNOTATION = f"{GROUP}/seal"
"""On a Secret: the code (`seal.py`) of what else the operator says of it in annotations."""

STATE_KEY = "csr-operator-state-key"
"""The Secret, in the operator's own namespace, of the key that state is authenticated with (`seal.py`): `key` seals,
every other entry is accepted as well."""

RECORD_ANNOTATIONS = tuple(
    f"{GROUP}/{name}"
    for name in (
        *("issuance-hash", "revision", "serial-number", "not-before", "not-after", "sha256-fingerprint"),
        *("issuer-sha256-fingerprint", "issuer", "renewed-for", "csr-digest", "outputs-digest", "stored-at"),
        *("early-replacements", "reference", "retained-for"),
    )
)
"""On the Secret of a certificate, all of them: what one lacked, somebody else could add."""

STAGED_ANNOTATIONS = tuple(
    f"{GROUP}/{name}"
    for name in (
        *("issuance-hash", "revision", "issuer", "csr-digest", "order", "early-replacements", "lapses", "order-again"),
    )
)
"""On a staging Secret, likewise."""

ORDER_FINALIZER = f"{GROUP}/order"
"""On a staging Secret: the order leaves something behind that is taken back before the Secret goes."""

ORDER_OF_ANNOTATION = f"{GROUP}/order-of"
"""On a staging Secret: the UID of its request, should its owner reference be taken from it (`--cascade=orphan`)."""

REVOCATION_FINALIZER = f"{GROUP}/revocation"
"""On a request that must not go before its certificates have been revoked, and on the Secret that has them."""

DEFAULT_DURATION = timedelta(days=90)

Raw = Mapping[str, Any]


class Kind(StrEnum):
    CERTIFICATE_REQUEST = "CertificateRequest"
    ISSUER = "Issuer"
    CLUSTER_ISSUER = "ClusterIssuer"


class ObjectKey(NamedTuple):
    """Which object; `namespace` is empty for a ClusterIssuer."""

    kind: Kind
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


class SecretKey(NamedTuple):
    namespace: str
    name: str


class SecretKeyRef(NamedTuple):
    """A value in a Secret of the same namespace."""

    name: str
    key: str


class InvalidSpec(ValueError):
    """A field that admission let through cannot be read; the text names field and remedy."""


class RotationPolicy(StrEnum):
    ALWAYS = "Always"
    NEVER = "Never"


@dataclass(frozen=True, slots=True)
class Condition:
    """One entry of `status.conditions` (Kubernetes API conventions, metav1.Condition)."""

    type: str
    status: str
    reason: str
    message: str
    observed_generation: int = 0
    last_transition_time: str = ""

    def says_the_same(self, other: "Condition") -> bool:
        """Equal in all that a user reads; the time of transition follows from it."""
        return (self.status, self.reason, self.message, self.observed_generation) == (
            other.status,
            other.reason,
            other.message,
            other.observed_generation,
        )


@dataclass(frozen=True, slots=True)
class IssuerRef:
    name: str
    kind: Kind = Kind.ISSUER

    def key(self, namespace: str) -> ObjectKey:
        """The issuer that a request in `namespace` means."""
        return ObjectKey(self.kind, "" if self.kind is Kind.CLUSTER_ISSUER else namespace, self.name)


@dataclass(frozen=True, slots=True)
class SecretTemplate:
    labels: tuple[tuple[str, str], ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()

    def digest(self) -> str:
        return _template_digest(self.labels, self.annotations)


@dataclass(frozen=True, slots=True)
class PrivateKeySpec:
    """secret_ref: the key is there already, and is used without being copied."""

    parameters: KeyParameters = field(default_factory=KeyParameters)
    encoding: KeyEncoding = KeyEncoding.PKCS1
    rotation_policy: RotationPolicy = RotationPolicy.ALWAYS
    secret_ref: SecretKeyRef | None = None


@dataclass(frozen=True, slots=True)
class KeystoreSpec:
    """profile: empty for the default."""

    password: SecretKeyRef
    alias: str = ""
    profile: str = ""


@dataclass(frozen=True, slots=True)
class Outputs:
    """What the Secret holds besides tls.crt, tls.key and ca.crt."""

    pkcs12: KeystoreSpec | None = None
    jks: KeystoreSpec | None = None
    der: bool = False
    combined_pem: bool = False

    def digest(self) -> str:
        """Empty for nothing besides."""
        return _digest(_essence(self))[:32] if self != Outputs() else ""


@dataclass(frozen=True, slots=True)
class Revocation:
    on_delete: bool = False
    on_rotation: bool = False


_OF_THE_CA = frozenset(("ca.crt", "truststore.p12", "truststore.jks"))

_HASHED = frozenset(("issuer_refs", "template", "csr_pem", "private_key", "duration"))
_HASHED_OF_KEY = frozenset(("parameters", "encoding", "secret_ref"))

REISSUES_NOTHING = frozenset(
    (
        *("secret_name", "secret_template", "outputs"),  # written anew, with the certificate that there is
        *("renew_before", "renew_before_percentage", "retain", "revocation"),
    )
)
"""Fields of RequestSpec that `issuance_hash` leaves out. A change of any other field has another certificate issued."""

KEY_REISSUES_NOTHING = frozenset(("rotation_policy",))
"""The same of PrivateKeySpec."""


@dataclass(frozen=True, slots=True)
class RequestSpec:
    """`spec` of a CertificateRequest.

    issuer_refs: in order of preference. csr_pem: the user's own CSR; the key never enters the cluster.
    retain: the Secret outlives the request.
    """

    secret_name: str
    issuer_refs: tuple[IssuerRef, ...]
    template: CsrTemplate
    csr_pem: str = ""
    private_key: PrivateKeySpec = field(default_factory=PrivateKeySpec)
    secret_template: SecretTemplate = field(default_factory=SecretTemplate)
    outputs: Outputs = field(default_factory=Outputs)
    duration: timedelta = DEFAULT_DURATION
    renew_before: timedelta | None = None
    renew_before_percentage: int | None = None
    retain: bool = False
    revocation: Revocation = field(default_factory=Revocation)

    @property
    def weight(self) -> int:
        """How much there is to look at, as `offload.weight_of` counts it."""
        names = self.template.names
        lists = (names.dns_names, names.ip_addresses, names.uris, names.email_addresses, names.other_names)
        return len(self.csr_pem) + sum(map(len, names.dns_names)) + 64 * sum(map(len, lists))

    @property
    def key_is_ours(self) -> bool:
        """The operator makes the key and stores it."""
        return not self.csr_pem and self.private_key.secret_ref is None

    @property
    def data_keys(self) -> frozenset[str]:
        """What the Secret holds if the CA's certificate is known."""
        keys = {"tls.crt", "ca.crt"}
        if self.key_is_ours:
            keys.add("tls.key")
        if self.outputs.pkcs12:
            keys |= {"keystore.p12", "truststore.p12"}
        if self.outputs.jks:
            keys |= {"keystore.jks", "truststore.jks"}
        if self.outputs.der:
            keys.add("key.der")
        if self.outputs.combined_pem:
            keys.add("tls-combined.pem")
        return frozenset(keys)

    def stored_keys(self, record: "Record") -> frozenset[str]:
        """What the Secret holds with that certificate in it."""
        return self.data_keys if record.issuer_fingerprint else self.data_keys - _OF_THE_CA

    def issuance_hash(self) -> str:
        """SHA-256 (hex) of all that another certificate would have to be issued for.

        Only what differs from its default counts, so that neither a default spelled out nor a field that a later
        version adds reissues anything.
        """
        private_key = self.private_key
        hashed = [
            _essence(self.issuer_refs),
            _essence(self.template),
            self.csr_pem,
            _essence(private_key.parameters.normalized()),
            private_key.encoding.value,
            private_key.secret_ref,
            self.duration.total_seconds(),
        ]
        # These stand there even at their defaults, for good: what was added since comes after them, if it is used.
        later = _essence(self, without=_HASHED | REISSUES_NOTHING)
        if of_key := _essence(private_key, without=_HASHED_OF_KEY | KEY_REISSUES_NOTHING):
            later["private_key"] = of_key
        return _digest([*hashed, later] if later else hashed)


@dataclass(frozen=True, slots=True)
class RequestStatus:
    """`status` as it is in the cluster: compared with what it should be, never believed.

    csr_digest: of the CSR (`pki.csr.csr_digest`), which is too long to keep. pace: see `pace.Pace`.
    """

    conditions: tuple[Condition, ...] = ()
    observed_generation: int = 0
    serial_number: str = ""
    not_before: str = ""
    not_after: str = ""
    renewal_time: str = ""
    revision: int = 0
    sha256_fingerprint: str = ""
    csr_digest: str = ""
    pace: str = ""

    def without_times(self) -> "RequestStatus":
        """To compare what is said, whenever it is."""
        return replace(self, conditions=tuple(replace(c, last_transition_time="") for c in self.conditions))

    def condition(self, kind: str) -> Condition | None:
        return next((c for c in self.conditions if c.type == kind), None)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a user asks for by annotations: see RENEW_ANNOTATION and the like.

    revoke_because: one of REVOCATION_REASONS; None for what is none.
    """

    renew: str = ""
    revoke: str = ""
    revoke_because: str | None = SUPERSEDED
    imported: str = ""
    abandon_revocation: bool = False


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    namespace: str
    name: str
    uid: str
    resource_version: str
    generation: int
    created: str
    spec: RequestSpec
    issuance_hash: str
    status: RequestStatus
    wishes: Wishes = field(default_factory=Wishes)
    being_deleted: bool = False
    finalizers: tuple[str, ...] = ()
    problem: str = ""
    """Why `spec` could not be read, where admission let it through; names, key and profile are then empty."""

    @property
    def key(self) -> ObjectKey:
        return ObjectKey(Kind.CERTIFICATE_REQUEST, self.namespace, self.name)

    @property
    def secret(self) -> SecretKey:
        return SecretKey(self.namespace, self.spec.secret_name)

    @property
    def issuers(self) -> tuple[ObjectKey, ...]:
        """In order of preference."""
        return tuple(ref.key(self.namespace) for ref in self.spec.issuer_refs)

    @property
    def is_guarded(self) -> bool:
        """It stays until the operator lets it go."""
        return REVOCATION_FINALIZER in self.finalizers

    def issuer_key(self, name: str) -> ObjectKey | None:
        """The issuer that an annotation of the Secret calls `Kind/name`; None if it is no issuer's name."""
        return issuer_key(self.namespace, name)


def issuer_key(namespace: str, name: str) -> ObjectKey | None:
    """The issuer that an annotation of a Secret in `namespace` calls `Kind/name`; None if it is no issuer's name."""
    kind, _, name = name.partition("/")
    if kind not in (Kind.ISSUER, Kind.CLUSTER_ISSUER) or not name:
        return None
    return IssuerRef(name, Kind(kind)).key(namespace)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of one issuer's CA is used at once. per_minute: None for any number."""

    concurrent: int = 32
    per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class Issuer:
    """An Issuer or ClusterIssuer; `config` is the part of the spec that belongs to its backend."""

    kind: Kind
    namespace: str
    name: str
    uid: str
    resource_version: str
    generation: int
    backend: str
    config: Raw
    policy: Policy | None = None
    needs_approval: bool = False
    limits: Limits = field(default_factory=Limits)
    conditions: tuple[Condition, ...] = ()
    problem: str = ""
    """Why `spec` could not be read, where admission let it through; `backend` is then empty."""

    @property
    def key(self) -> ObjectKey:
        return ObjectKey(self.kind, self.namespace, self.name)


@dataclass(frozen=True, slots=True)
class Record:
    """What the operator wrote about a certificate into the annotations of its Secret, in the same write.

    The metadata-only watch delivers it, so a restart neither reads a Secret nor believes a status.
    Times are RFC 3339 in UTC, hashes are SHA-256 in hex, the serial number is as
    `pki.fingerprint.serial_octets` has it. issuer_fingerprint is that of the CA's certificate, or empty if the CA did
    not send it. issuer is who was asked (`Kind/name`), renew the value of RENEW_ANNOTATION then, csr the
    `pki.csr.csr_digest` of the CSR, outputs the digest of the `Outputs` that were written, reference what the CA knows
    the certificate by. stored is when the operator wrote the certificate, by its own clock, and hurries how many in a
    row before it were replaced early (`decide.Pace`).
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
        return SecretKey(self.namespace, self.name)


def is_newer(resource_version: str, than: str) -> bool:
    """Resource versions of one resource compare as integers (Kubernetes KEP-5504); others count as newer."""
    return not (resource_version.isdigit() and than.isdigit()) or int(resource_version) > int(than)


def parse_duration(text: str) -> timedelta:
    """A Go duration (https://pkg.go.dev/time#ParseDuration) such as `2160h` or `1h30m`; ValueError otherwise."""
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is not a duration: write hours, minutes and seconds, such as 2160h or 1h30m")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _DURATION_PART.findall(text))
    return timedelta(seconds=seconds)


def parse_time(text: str) -> datetime:
    """RFC 3339 as Kubernetes writes it, in UTC; ValueError otherwise."""
    if text[4::3] != "--T::Z":  # other forms of ISO 8601, which fromisoformat takes too
        raise ValueError(f"{text!r} is not of the form 2006-01-02T15:04:05Z")
    return datetime.fromisoformat(text)


def format_time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()[:19] + "Z"


_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_DURATION_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(h|ms|m|us|µs|ns|s)")
_DURATION = re.compile(rf"\+?(?:{_DURATION_PART.pattern})+")


def _essence(value: Any, without: Container[str] = ()) -> Any:
    """A value without what equals its default, with sequences in a fixed order, fit for JSON.

    without: fields that do not count.
    """
    if is_dataclass(value):
        essence = {}
        for f in fields(value):
            if f.name in without:
                continue
            default = f.default_factory() if f.default_factory is not MISSING else f.default
            if (part := getattr(value, f.name)) != default:
                essence[f.name] = _essence(part)
        return essence
    if isinstance(value, SecretKeyRef):
        return list(value)
    if isinstance(value, tuple):
        return sorted((_essence(v) for v in value), key=repr)
    return value.hex() if isinstance(value, bytes) else value


@lru_cache(maxsize=1024)
def _template_digest(labels: tuple[tuple[str, str], ...], annotations: tuple[tuple[str, str], ...]) -> str:
    # Most requests have none, or the same as others.
    return _digest([sorted(labels), sorted(annotations)])


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
