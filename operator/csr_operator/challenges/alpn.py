"""tls-alpn-01 (RFC 8737): what a CA asks for, and the ConfigMap that tells every replica how to answer.

Identifier and key authorization are all that an answer depends on, and both are public: the certificate is derived
from them by whoever is asked, with a key of its own, so that no key is stored. The CA names no token. So a name has
one answer at a time, and one ConfigMap, in the operator's own namespace; elsewhere none is believed. All functions are
pure.
"""

import hashlib
import ipaddress
import re
from dataclasses import dataclass
from datetime import datetime

from csr_acme.objects import Identifier
from csr_operator.api.issuer import Issuer
from csr_operator.api.names import MANAGER
from csr_operator.api.times import format_time
from csr_operator.kube.objects import Object
from csr_operator.kube.resources import RouteKind
from csr_operator.pki.general_names import is_address

from .routes import ANSWER, CHALLENGE_LABEL, HOST, ISSUER, PRESENTED, host_name, is_answer, presented_at

ALPN_SELECTOR = f"{CHALLENGE_LABEL}=tls-alpn-01"

_IS_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")


@dataclass(frozen=True, slots=True)
class AlpnChallenge:
    """host: as `host_name` spells it. answer: the key authorization."""

    host: str
    answer: str

    @property
    def name(self) -> str:
        """What a CA asks for."""
        return server_name(self.host)

    @property
    def identifier(self) -> Identifier:
        return Identifier("ip" if is_address(self.host) else "dns", self.host)

    @property
    def object_name(self) -> str:
        return object_name(self.name)

    @property
    def is_possible(self) -> bool:
        return is_answer(self.answer) and (is_address(self.host) or _IS_NAME.fullmatch(self.host) is not None)


@dataclass(frozen=True, slots=True)
class Note:
    """A ConfigMap as it was read. challenge: None if somebody spoiled it. issuer: who presented it, for messages."""

    challenge: AlpnChallenge | None
    issuer: str
    presented: datetime
    version: str


def server_name(identifier: str) -> str:
    """The name that a CA sends: for an IP address that of its reverse DNS record (RFC 8738, section 6)."""
    try:
        return ipaddress.ip_address(identifier).reverse_pointer
    except ValueError:
        return identifier.lower().removesuffix(".")


def object_name(name: str) -> str:
    """Of the ConfigMap that answers who asks for this name."""
    return f"acme-tls-{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def annotations_of(challenge: AlpnChallenge, issuer: Issuer, now: datetime) -> dict[str, str]:
    """What the ConfigMap says."""
    return {
        HOST: challenge.host,
        ANSWER: challenge.answer,
        ISSUER: str(issuer.key),
        PRESENTED: format_time(now),
    }


def note_object(challenge: AlpnChallenge, issuer: Issuer, home: str, now: datetime) -> Object:
    """home: the operator's own namespace."""
    return {
        "apiVersion": "v1",
        "kind": str(RouteKind.CONFIG_MAP),
        "metadata": {
            "name": challenge.object_name,
            "namespace": home,
            "labels": {CHALLENGE_LABEL: "tls-alpn-01", "app.kubernetes.io/managed-by": MANAGER},
            "annotations": annotations_of(challenge, issuer, now),
        },
    }


def parse_note(obj: Object) -> Note:
    """Whatever stands in it."""
    metadata = obj["metadata"]
    annotations = metadata.get("annotations") or {}
    challenge = AlpnChallenge(host_name(annotations.get(HOST, "")), annotations.get(ANSWER, ""))
    is_sound = challenge.is_possible and challenge.object_name == metadata["name"]
    return Note(
        challenge if is_sound else None,
        annotations.get(ISSUER, ""),
        presented_at(obj),
        metadata.get("resourceVersion", ""),
    )
