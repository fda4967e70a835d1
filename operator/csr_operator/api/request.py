"""A CertificateRequest as frozen values: what its user asks for."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache

from csr_operator.pki.csr import CsrTemplate
from csr_operator.pki.keys import KeyEncoding, KeyParameters

from .conditions import Condition
from .digests import digest_of, essence_of, template_digest
from .keys import IssuerRef, Kind, ObjectKey, SecretKey, SecretKeyRef, issuer_key
from .names import REVOCATION_FINALIZER, SUPERSEDED
from .secrets import Record
from .shards import shard_of

DEFAULT_DURATION = timedelta(days=90)


class RotationPolicy(StrEnum):
    """Whether a renewal takes a new private key (`spec.privateKey.rotationPolicy`)."""

    ALWAYS = "Always"
    NEVER = "Never"


@dataclass(frozen=True, slots=True)
class SecretTemplate:
    """Labels and annotations that the user wants on the Secret, as pairs in order of their names."""

    labels: tuple[tuple[str, str], ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()

    def digest(self) -> str:
        """To see whether the Secret still has them: as `digests.template_digest` makes it."""
        return template_digest(self.labels, self.annotations)


@dataclass(frozen=True, slots=True)
class PrivateKeySpec:
    """`spec.privateKey`: which key is made, or used."""

    parameters: KeyParameters = field(default_factory=KeyParameters)
    """Algorithm and size of a key that is made."""
    encoding: KeyEncoding = KeyEncoding.PKCS1
    """How it stands in `tls.key`."""
    rotation_policy: RotationPolicy = RotationPolicy.ALWAYS
    secret_ref: SecretKeyRef | None = None
    """The key is there already, and is used without being copied; None if the operator makes one."""


@dataclass(frozen=True, slots=True)
class KeystoreSpec:
    """A PKCS#12 or JKS keystore that is to be in the Secret."""

    password: SecretKeyRef
    """Where the password is."""
    alias: str = ""
    """Of the entry with the key; empty for the default."""
    profile: str = ""
    """Which algorithms PKCS#12 uses; empty for the default."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """What the Secret holds besides tls.crt, tls.key and ca.crt."""

    pkcs12: KeystoreSpec | None = None
    jks: KeystoreSpec | None = None
    der: bool = False
    combined_pem: bool = False

    def digest(self) -> str:
        """Empty for nothing besides."""
        return digest_of(essence_of(self))[:32] if self != _NO_OUTPUTS else ""


_NO_OUTPUTS = Outputs()


@dataclass(frozen=True, slots=True)
class Revocation:
    """When the user wants certificates revoked (`spec.revocation`)."""

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

_NOT_LATER = _HASHED | REISSUES_NOTHING

_OF_KEY_NOT_LATER = _HASHED_OF_KEY | KEY_REISSUES_NOTHING


@dataclass(frozen=True, slots=True)
class RequestSpec:
    """`spec` of a CertificateRequest."""

    secret_name: str
    issuer_refs: tuple[IssuerRef, ...]
    """In order of preference."""
    template: CsrTemplate
    """Names and profile of the CSR that the operator makes."""
    csr_pem: str = ""
    """The user's own CSR, whose key never enters the cluster; empty if there is none."""
    private_key: PrivateKeySpec = field(default_factory=PrivateKeySpec)
    secret_template: SecretTemplate = field(default_factory=SecretTemplate)
    outputs: Outputs = field(default_factory=Outputs)
    duration: timedelta = DEFAULT_DURATION
    """For how long the certificate is to be valid."""
    renew_before: timedelta | None = None
    """How long before it expires it is renewed; None where nothing is said."""
    renew_before_percentage: int | None = None
    """The same in percent of its life."""
    retain: bool = False
    """The Secret outlives the request."""
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
        return _data_keys(self.outputs, self.key_is_ours)

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
            essence_of(self.issuer_refs),
            essence_of(self.template),
            self.csr_pem,
            essence_of(private_key.parameters.normalized()),
            private_key.encoding.value,
            private_key.secret_ref,
            self.duration.total_seconds(),
        ]
        # These stand there even at their defaults, for good: what was added since comes after them, if it is used.
        later = essence_of(self, without=_NOT_LATER)
        if of_key := essence_of(private_key, without=_OF_KEY_NOT_LATER):
            later["private_key"] = of_key
        return digest_of([*hashed, later] if later else hashed)


@lru_cache(maxsize=256)
def _data_keys(outputs: Outputs, key_is_ours: bool) -> frozenset[str]:
    keys = {"tls.crt", "ca.crt"}
    if key_is_ours:
        keys.add("tls.key")
    if outputs.pkcs12:
        keys |= {"keystore.p12", "truststore.p12"}
    if outputs.jks:
        keys |= {"keystore.jks", "truststore.jks"}
    if outputs.der:
        keys.add("key.der")
    if outputs.combined_pem:
        keys.add("tls-combined.pem")
    return frozenset(keys)


@dataclass(frozen=True, slots=True)
class RequestStatus:
    """`status` as it is in the cluster: compared with what it should be, never believed."""

    conditions: tuple[Condition, ...] = ()
    observed_generation: int = 0
    serial_number: str = ""
    not_before: str = ""
    """RFC 3339 in UTC, as `not_after` and `renewal_time`; empty where there is none."""
    not_after: str = ""
    renewal_time: str = ""
    revision: int = 0
    sha256_fingerprint: str = ""
    """Of the certificate, in hex."""
    csr_digest: str = ""
    """Of the CSR (`pki.csr.csr_digest`), which is too long to keep."""
    pace: str = ""
    """As `pace.Pace.written` makes it."""

    def without_times(self) -> "RequestStatus":
        """To compare what is said, whenever it is."""
        return replace(self, conditions=tuple(replace(c, last_transition_time="") for c in self.conditions))

    def condition(self, kind: str) -> Condition | None:
        """The condition of this type; None if there is none."""
        return next((c for c in self.conditions if c.type == kind), None)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a user asks for by annotations."""

    renew: str = ""
    """The value of RENEW_ANNOTATION."""
    revoke: str = ""
    """The serial number of REVOKE_ANNOTATION."""
    revoke_because: str | None = SUPERSEDED
    """One of REVOCATION_REASONS; None for what is none."""
    imported: str = ""
    """The value of IMPORT_ANNOTATION."""
    abandon_revocation: bool = False
    """ABANDON_ANNOTATION is `true`."""


@lru_cache(maxsize=1024)
def _issuers_of(refs: tuple[IssuerRef, ...], namespace: str) -> tuple[ObjectKey, ...]:
    return tuple(ref.key(namespace) for ref in refs)


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    """A CertificateRequest as the watch shows it."""

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

    key: ObjectKey = field(init=False, repr=False, compare=False)
    """What others name it by."""
    secret: SecretKey = field(init=False, repr=False, compare=False)
    """The Secret that it wants written, in its own namespace; without a name if `spec` has none that can be one."""
    shard: int = field(init=False, repr=False, compare=False)
    """By which the replicas know whose work it is."""
    issuers: tuple[ObjectKey, ...] = field(init=False, repr=False, compare=False)
    """In order of preference."""

    def __post_init__(self) -> None:
        # What follows from the rest is asked for a dozen times in each look.
        secret = SecretKey(self.namespace, self.spec.secret_name)
        object.__setattr__(self, "key", ObjectKey(Kind.CERTIFICATE_REQUEST, self.namespace, self.name))
        object.__setattr__(self, "secret", secret)
        object.__setattr__(self, "shard", shard_of(*secret))
        object.__setattr__(self, "issuers", _issuers_of(self.spec.issuer_refs, self.namespace))

    @property
    def is_guarded(self) -> bool:
        """It stays until the operator lets it go."""
        return REVOCATION_FINALIZER in self.finalizers

    def issuer_key(self, name: str) -> ObjectKey | None:
        """The issuer that an annotation of the Secret calls `Kind/name`; None if it is no issuer's name."""
        return issuer_key(self.namespace, name)
