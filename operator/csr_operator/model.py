"""What the operator knows of the cluster, as frozen values.

Each value is parsed once from the dict that the Kubernetes API sent; nothing below this module sees a raw dict.
Field names are those of `crds/` in snake case; a test proves that the two do not drift.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

from .pki.csr import CsrTemplate
from .pki.keys import KeyAlgorithm, KeyEncoding, KeyParameters
from .pki.names import Names, OtherName, Subject
from .pki.profile import CustomExtension, NameConstraints, Profile, Subtrees

GROUP = "csr-operator.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
MANAGER = "csr-operator"
"""Field manager of every write (server-side apply: which fields are ours)."""

MANAGED_LABEL = f"{GROUP}/managed"
"""On every Secret that the operator wrote; the server filters the watch by it."""

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
        return _digest([sorted(self.labels), sorted(self.annotations)])


@dataclass(frozen=True, slots=True)
class PrivateKeySpec:
    parameters: KeyParameters = field(default_factory=KeyParameters)
    encoding: KeyEncoding = KeyEncoding.PKCS1
    rotation_policy: RotationPolicy = RotationPolicy.ALWAYS


@dataclass(frozen=True, slots=True)
class RequestSpec:
    """`spec` of a CertificateRequest."""

    secret_name: str
    issuer_ref: IssuerRef
    template: CsrTemplate
    private_key: PrivateKeySpec = field(default_factory=PrivateKeySpec)
    secret_template: SecretTemplate = field(default_factory=SecretTemplate)
    duration: timedelta = DEFAULT_DURATION
    renew_before: timedelta | None = None
    renew_before_percentage: int | None = None

    def issuance_hash(self) -> str:
        """SHA-256 (hex) of all that another certificate would have to be issued for.

        Only what differs from its default counts, so that neither a default spelled out nor a field that a later
        version adds reissues anything.
        """
        private_key = self.private_key
        return _digest(
            [
                _essence(self.issuer_ref),
                _essence(self.template),
                _essence(private_key.parameters.normalized()),
                private_key.encoding.value,
                self.duration.total_seconds(),
            ]
        )


@dataclass(frozen=True, slots=True)
class RequestStatus:
    """`status` as it is in the cluster: compared with what it should be, never believed."""

    conditions: tuple[Condition, ...] = ()
    observed_generation: int = 0
    serial_number: str = ""
    not_before: str = ""
    not_after: str = ""
    renewal_time: str = ""
    revision: int = 0
    sha256_fingerprint: str = ""
    has_csr: bool = False


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
    being_deleted: bool = False
    problem: str = ""
    """Why `spec` could not be read, where admission let it through; names, key and profile are then empty."""

    @property
    def key(self) -> ObjectKey:
        return ObjectKey(Kind.CERTIFICATE_REQUEST, self.namespace, self.name)

    @property
    def secret(self) -> SecretKey:
        return SecretKey(self.namespace, self.spec.secret_name)

    @property
    def issuer(self) -> ObjectKey:
        return self.spec.issuer_ref.key(self.namespace)


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
    Times are RFC 3339 in UTC, hashes are SHA-256 in hex, the serial number is hex in upper case.
    """

    issuance_hash: str
    revision: int
    serial_number: str
    not_before: str
    not_after: str
    sha256_fingerprint: str
    issuer_fingerprint: str

    def annotations(self) -> dict[str, str]:
        return {
            f"{GROUP}/issuance-hash": self.issuance_hash,
            f"{GROUP}/revision": str(self.revision),
            f"{GROUP}/serial-number": self.serial_number,
            f"{GROUP}/not-before": self.not_before,
            f"{GROUP}/not-after": self.not_after,
            f"{GROUP}/sha256-fingerprint": self.sha256_fingerprint,
            f"{GROUP}/issuer-sha256-fingerprint": self.issuer_fingerprint,
        }

    @classmethod
    def from_annotations(cls, annotations: Mapping[str, str]) -> "Record | None":
        """None if a part is missing or unreadable."""
        try:
            record = cls(
                issuance_hash=annotations[f"{GROUP}/issuance-hash"],
                revision=int(annotations[f"{GROUP}/revision"]),
                serial_number=annotations[f"{GROUP}/serial-number"],
                not_before=annotations[f"{GROUP}/not-before"],
                not_after=annotations[f"{GROUP}/not-after"],
                sha256_fingerprint=annotations[f"{GROUP}/sha256-fingerprint"],
                issuer_fingerprint=annotations[f"{GROUP}/issuer-sha256-fingerprint"],
            )
            parse_time(record.not_before)
            parse_time(record.not_after)
        except (KeyError, ValueError):
            return None
        return record


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
    beyond_repair: bool = False
    """Its data was read, and its certificate does not serve any more."""

    @property
    def key(self) -> SecretKey:
        return SecretKey(self.namespace, self.name)


def parse_request(obj: Raw) -> CertificateRequest:
    """A spec that cannot be read does not raise: it is the request's `problem`, so that its user is told."""
    metadata, spec = obj["metadata"], obj["spec"]
    problem = ""
    try:
        parsed = _request_spec(spec)
    except ValueError as error:  # InvalidSpec, or a PkiError
        problem = str(error)
        parsed = RequestSpec(spec["secretName"], _issuer_ref(spec), CsrTemplate(Names(), Profile()))
    return CertificateRequest(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        generation=metadata.get("generation", 0),
        created=metadata["creationTimestamp"],
        spec=parsed,
        issuance_hash=parsed.issuance_hash(),
        status=_request_status(obj.get("status") or {}),
        being_deleted="deletionTimestamp" in metadata,
        problem=problem,
    )


def parse_issuer(obj: Raw) -> Issuer:
    """A spec that cannot be read does not raise: it is the issuer's `problem`."""
    metadata, spec = obj["metadata"], obj.get("spec") or {}
    backend, config, problem = "", {}, ""
    if len(spec) == 1:
        ((backend, config),) = spec.items()
    else:
        problem = "spec: name exactly one backend, such as `selfSigned: {}` or `ca: {secretName: ...}`"
    return Issuer(
        kind=Kind(obj["kind"]),
        namespace=metadata.get("namespace", ""),
        name=metadata["name"],
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        generation=metadata.get("generation", 0),
        backend=backend,
        config=config or {},
        conditions=_conditions(obj.get("status") or {}),
        problem=problem,
    )


def parse_secret_meta(obj: Raw) -> SecretMeta:
    """From a PartialObjectMetadata (or a whole Secret, of which only the metadata is kept)."""
    metadata = obj["metadata"]
    owned = _owned_fields(metadata.get("managedFields") or ())
    annotations = {k: v for k, v in (metadata.get("annotations") or {}).items() if k in owned.annotations}
    labels = {k: v for k, v in (metadata.get("labels") or {}).items() if k in owned.labels}
    owner_uid = owner = ""
    for reference in metadata.get("ownerReferences") or ():
        if reference.get("controller"):
            owner_uid, owner = reference["uid"], f"{reference['kind']} {reference['name']}"
    return SecretMeta(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        owner_uid=owner_uid,
        owner=owner,
        intact_data=owned.data,
        template_digest=_template_digest(_users_items(labels), _users_items(annotations))
        if labels.get(MANAGED_LABEL) == "true"
        else "",
        record=Record.from_annotations(annotations),
    )


def is_newer(resource_version: str, than: str) -> bool:
    """Resource versions of one resource compare as integers (Kubernetes KEP-5504); others count as newer."""
    return not (resource_version.isdigit() and than.isdigit()) or int(resource_version) > int(than)


def parse_duration(text: str) -> timedelta:
    """A Go duration (https://pkg.go.dev/time#ParseDuration) such as `2160h` or `1h30m`; ValueError otherwise."""
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is no duration: write hours, minutes and seconds, such as 2160h or 1h30m")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _DURATION_PART.findall(text))
    return timedelta(seconds=seconds)


def parse_time(text: str) -> datetime:
    """RFC 3339 as Kubernetes writes it, in UTC; ValueError otherwise."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def format_time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_DURATION_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(h|ms|m|us|µs|ns|s)")
_DURATION = re.compile(rf"\+?(?:{_DURATION_PART.pattern})+")


def _request_spec(spec: Raw) -> RequestSpec:
    private_key = spec.get("privateKey") or {}
    secret_template = spec.get("secretTemplate") or {}
    algorithm = KeyAlgorithm(private_key.get("algorithm") or KeyAlgorithm.ECDSA)
    return RequestSpec(
        secret_name=spec["secretName"],
        issuer_ref=_issuer_ref(spec),
        template=CsrTemplate(names=_names(spec), profile=_profile(spec)),
        private_key=PrivateKeySpec(
            parameters=KeyParameters(algorithm, private_key.get("size")),
            encoding=KeyEncoding(private_key.get("encoding") or KeyEncoding.PKCS1),
            rotation_policy=RotationPolicy(private_key.get("rotationPolicy") or RotationPolicy.ALWAYS),
        ),
        secret_template=SecretTemplate(
            labels=tuple((secret_template.get("labels") or {}).items()),
            annotations=tuple((secret_template.get("annotations") or {}).items()),
        ),
        duration=_duration(spec, "duration") or DEFAULT_DURATION,
        renew_before=_duration(spec, "renewBefore"),
        renew_before_percentage=spec.get("renewBeforePercentage"),
    )


def _issuer_ref(spec: Raw) -> IssuerRef:
    raw = spec["issuerRef"]
    return IssuerRef(raw["name"], Kind(raw.get("kind") or Kind.ISSUER))


def _names(spec: Raw) -> Names:
    subject = spec.get("subject") or {}
    return Names(
        common_name=spec.get("commonName") or "",
        subject=Subject(
            countries=_strings(subject, "countries"),
            organizations=_strings(subject, "organizations"),
            organizational_units=_strings(subject, "organizationalUnits"),
            localities=_strings(subject, "localities"),
            provinces=_strings(subject, "provinces"),
            street_addresses=_strings(subject, "streetAddresses"),
            postal_codes=_strings(subject, "postalCodes"),
            serial_number=subject.get("serialNumber") or "",
            email_address=subject.get("emailAddress") or "",
        ),
        literal_subject=spec.get("literalSubject") or "",
        dns_names=_strings(spec, "dnsNames"),
        ip_addresses=_strings(spec, "ipAddresses"),
        uris=_strings(spec, "uris"),
        email_addresses=_strings(spec, "emailAddresses"),
        other_names=tuple(OtherName(o["oid"], o["utf8Value"]) for o in spec.get("otherNames") or ()),
    )


def _profile(spec: Raw) -> Profile:
    constraints = spec.get("nameConstraints")
    return Profile(
        usages=_strings(spec, "usages"),
        is_ca=bool(spec.get("isCA")),
        path_length=spec.get("pathLenConstraint"),
        name_constraints=constraints
        and NameConstraints(
            permitted=_subtrees(constraints.get("permitted") or {}),
            excluded=_subtrees(constraints.get("excluded") or {}),
            critical=bool(constraints.get("critical")),
        ),
        must_staple=bool(spec.get("mustStaple")),
        extensions=tuple(
            CustomExtension(e["oid"], _base64(e["value"]), bool(e.get("critical")))
            for e in spec.get("extensions") or ()
        ),
    )


def _subtrees(raw: Raw) -> Subtrees:
    return Subtrees(
        dns_domains=_strings(raw, "dnsDomains"),
        ip_ranges=_strings(raw, "ipRanges"),
        email_addresses=_strings(raw, "emailAddresses"),
        uri_domains=_strings(raw, "uriDomains"),
    )


def _request_status(status: Raw) -> RequestStatus:
    return RequestStatus(
        conditions=_conditions(status),
        observed_generation=status.get("observedGeneration") or 0,
        serial_number=status.get("serialNumber") or "",
        not_before=status.get("notBefore") or "",
        not_after=status.get("notAfter") or "",
        renewal_time=status.get("renewalTime") or "",
        revision=status.get("revision") or 0,
        sha256_fingerprint=status.get("sha256Fingerprint") or "",
        has_csr=bool(status.get("csr")),
    )


def _conditions(status: Raw) -> tuple[Condition, ...]:
    return tuple(
        Condition(
            type=c["type"],
            status=c["status"],
            reason=c.get("reason") or "",
            message=c.get("message") or "",
            observed_generation=c.get("observedGeneration") or 0,
            last_transition_time=c.get("lastTransitionTime") or "",
        )
        for c in status.get("conditions") or ()
    )


def _strings(raw: Raw, name: str) -> tuple[str, ...]:
    return tuple(raw.get(name) or ())


def _duration(spec: Raw, name: str) -> timedelta | None:
    text = spec.get(name)
    if text is None:
        return None
    try:
        return parse_duration(text)
    except ValueError as error:
        raise InvalidSpec(f"spec.{name}: {error}") from None


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise InvalidSpec("spec.extensions[].value: not base64; give the DER value in base64") from None


def _essence(value: Any) -> Any:
    """A value without what equals its default, with sequences in a fixed order, fit for JSON."""
    if is_dataclass(value):
        essence = {}
        for f in fields(value):
            default = f.default_factory() if f.default_factory is not MISSING else f.default
            if (part := getattr(value, f.name)) != default:
                essence[f.name] = _essence(part)
        return essence
    if isinstance(value, tuple):
        return sorted((_essence(v) for v in value), key=repr)
    return value.hex() if isinstance(value, bytes) else value


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


class _Owned(NamedTuple):
    data: frozenset[str]
    labels: frozenset[str]
    annotations: frozenset[str]


_NOTHING_OWNED = _Owned(frozenset(), frozenset(), frozenset())


def _owned_fields(managed_fields: Sequence[Raw]) -> _Owned:
    """What the operator still owns, by https://kubernetes.io/docs/reference/using-api/server-side-apply/."""
    for entry in managed_fields:
        if entry.get("manager") == MANAGER and entry.get("operation") == "Apply":
            owned = entry.get("fieldsV1") or {}
            metadata = owned.get("f:metadata") or {}
            return _owned(
                *(
                    tuple(name[2:] for name in part if name.startswith("f:"))
                    for part in (
                        owned.get("f:data") or (),
                        metadata.get("f:labels") or (),
                        metadata.get("f:annotations") or (),
                    )
                )
            )
    return _NOTHING_OWNED


@lru_cache(maxsize=1024)
def _owned(data: tuple[str, ...], labels: tuple[str, ...], annotations: tuple[str, ...]) -> _Owned:
    # Nearly all Secrets own the same fields: one set serves them all.
    return _Owned(frozenset(data), frozenset(labels), frozenset(annotations))


def _users_items(items: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((k, v) for k, v in items.items() if not k.startswith(f"{GROUP}/"))


@lru_cache(maxsize=1024)
def _template_digest(labels: tuple[tuple[str, str], ...], annotations: tuple[tuple[str, str], ...]) -> str:
    return SecretTemplate(labels, annotations).digest()
