"""A request, its Secret and its order, for parts of the controller that are looked at alone."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

from csr_operator.api.keys import Kind, ObjectKey
from csr_operator.api.parse_request import parse_request
from csr_operator.api.request import CertificateRequest, SecretTemplate
from csr_operator.api.secrets import Record, SecretMeta, Staged
from csr_operator.api.times import format_time
from csr_operator.control.memory import Memory
from csr_operator.control.store import Store
from csr_operator.issuance.secret_body import staging_key

NOW = datetime(2026, 6, 1, tzinfo=UTC)
CA = ObjectKey(Kind.ISSUER, "n", "ca")


def make_request(name: str = "www", **metadata: Any) -> CertificateRequest:
    """For www-tls, by the issuer CA."""
    known = {
        "namespace": "n",
        "name": name,
        "uid": str(uuid5(NAMESPACE_DNS, name)),
        "resourceVersion": "1",
        "generation": 1,
    }
    spec = {"secretName": f"{name}-tls", "issuerRef": {"name": "ca"}, "dnsNames": [f"{name}.example.com"]}
    return parse_request({"metadata": {**known, "creationTimestamp": format_time(NOW), **metadata}, "spec": spec})


def make_secret(request: CertificateRequest, reference: str = "", **fields: Any) -> SecretMeta:
    """With a certificate that CA issued just now."""
    record = Record(
        issuance_hash=request.issuance_hash,
        revision=1,
        serial_number="1",
        not_before=format_time(NOW),
        not_after=format_time(NOW + timedelta(days=90)),
        sha256_fingerprint="F",
        issuer_fingerprint="CA",
        issuer="Issuer/ca",
        renew="",
        csr="C",
        outputs="",
        stored=format_time(NOW),
        reference=reference,
    )
    known: dict[str, Any] = {
        "namespace": request.namespace,
        "name": request.secret.name,
        "uid": "s",
        "resource_version": "1",
        "owner_uid": request.uid,
        "owner": f"CertificateRequest {request.name}",
        "intact_data": frozenset({"tls.crt", "tls.key", "ca.crt"}),
        "template_digest": SecretTemplate().digest(),
        "record": record,
    }
    return SecretMeta(**{**known, **fields})


def make_order(request: CertificateRequest, **fields: Any) -> Staged:
    """Placed at CA just now."""
    known: dict[str, Any] = {
        "namespace": request.namespace,
        "name": staging_key(request).name,
        "uid": "order",
        "resource_version": "5",
        "created": format_time(NOW),
        "owner_uid": request.uid,
        "issuance_hash": request.issuance_hash,
        "revision": 1,
        "issuer": "Issuer/ca",
        "csr": "C",
        "handle": "42",
        "authentic": True,
        "leaves_traces": True,
    }
    return Staged(**{**known, **fields})


@dataclass(slots=True)
class Told:
    """Events that would have been sent."""

    notes: list[tuple[str, str, str]] = field(default_factory=list)

    def normal(self, request: CertificateRequest, reason: str, note: str, **_: Any) -> None:
        self.notes.append((request.name, str(reason), note))

    warning = normal


@dataclass(slots=True)
class Scene:
    """What the parts share. woken: the keys, in order."""

    now: datetime = NOW
    woken: list[Any] = field(default_factory=list)
    told: Told = field(default_factory=Told)
    store: Store = field(init=False)
    memory: Memory = field(init=False)

    def __post_init__(self) -> None:
        self.store = Store(changed=self.woken.append)
        self.memory = Memory(self.store.knows)

    @property
    def clock(self) -> Callable[[], datetime]:
        return lambda: self.now
