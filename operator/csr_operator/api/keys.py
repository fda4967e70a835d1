"""What tells one object from another."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, NamedTuple

Raw = Mapping[str, Any]


class Kind(StrEnum):
    """The kinds of objects that are watched; `kube.resources.WATCHED` has the API's resource for each."""

    SECRET = "Secret"  # noqa: S105 - the name of a kind
    CERTIFICATE_REQUEST = "CertificateRequest"
    ISSUER = "Issuer"
    CLUSTER_ISSUER = "ClusterIssuer"


IssuerKind = Literal[Kind.ISSUER, Kind.CLUSTER_ISSUER]
"""Those of them that sign."""

ISSUER_KINDS: tuple[IssuerKind, ...] = (Kind.ISSUER, Kind.CLUSTER_ISSUER)
"""The same, to go through."""


class ObjectKey(NamedTuple):
    """Which object; for a Secret there is `SecretKey`."""

    kind: Kind
    namespace: str
    """Empty for what is in none, such as a ClusterIssuer."""
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class IssuerRef:
    """One entry of a request's `issuerRefs`: an issuer as its user names it."""

    name: str
    kind: IssuerKind = Kind.ISSUER

    def key(self, namespace: str) -> ObjectKey:
        """The issuer that a request in `namespace` means."""
        return ObjectKey(self.kind, "" if self.kind is Kind.CLUSTER_ISSUER else namespace, self.name)


class SecretKey(NamedTuple):
    """Which Secret."""

    namespace: str
    name: str


class SecretKeyRef(NamedTuple):
    """A value in a Secret of the same namespace."""

    name: str
    key: str


class InvalidSpec(ValueError):
    """A field that admission let through cannot be read; the text names field and remedy."""


def parse_issuer_kind(text: str) -> IssuerKind:
    """Raises ValueError for what is no kind of issuer, whatever else it may be the kind of."""
    return ISSUER_KINDS[ISSUER_KINDS.index(text)]


def issuer_key(namespace: str, name: str) -> ObjectKey | None:
    """The issuer that an annotation of a Secret in `namespace` calls `Kind/name`; None if it is no issuer's name."""
    kind, _, name = name.partition("/")
    if kind not in ISSUER_KINDS or not name:
        return None
    return IssuerRef(name, parse_issuer_kind(kind)).key(namespace)


def issuer_name(key: ObjectKey) -> str:
    """How a Secret's annotations name an issuer: `Kind/name`, which `issuer_key` reads."""
    return f"{key.kind}/{key.name}"


def is_newer(resource_version: str, than: str) -> bool:
    """Resource versions of one resource compare as integers (Kubernetes KEP-5504); others count as newer."""
    return not (resource_version.isdigit() and than.isdigit()) or int(resource_version) > int(than)
