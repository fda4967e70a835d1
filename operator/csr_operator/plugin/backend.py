"""What a CA backend is: orders, answers, and the calls of a CA."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509

from csr_operator.pki.keys import PrivateKey
from csr_operator.pki.profile import Profile
from csr_operator.pki.verify import Rules

from .context import Context
from .errors import Misconfigured


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked of a CA."""

    key: str
    """The same for every attempt at one revision of one request (SHA-256, hex): an idempotency token."""
    csr: x509.CertificateSigningRequest
    """To be signed as it is."""
    profile: Profile
    """What the certificate is to be for."""
    duration: timedelta
    """For how long it is to be valid."""
    private_key: PrivateKey | None = field(default=None, repr=False)
    """Only for a backend with `needs_private_key`."""
    answer: bytes = b""
    """The chain that was imported (`kubectl csr import`), for a backend whose certificates are signed manually."""
    repeated: bool = False
    """It may have been placed before, without the answer having been kept: look it up first."""
    replaces: str = ""
    """The `reference` of the certificate that it follows, if that is this issuer's; else empty."""
    replaces_fingerprint: str = ""
    """SHA-256 (`pki.fingerprint`) of that certificate.

    Before anything is done to it, what the CA calls by the reference is to be seen to have the same.
    """


@dataclass(frozen=True, slots=True)
class Renewal:
    """When the CA wants a certificate renewed (such as ARI, RFC 9773): some time from `start` to `end`, in UTC."""

    start: datetime
    end: datetime
    ask_after: timedelta
    """Ask the CA again then, as it may change its mind; in a minute at the earliest."""
    explanation: str = ""
    """The URL of a page that says why, if the CA has one, for the user."""


@dataclass(frozen=True, slots=True)
class Issued:
    """The CA's answer."""

    certificates: Sequence[x509.Certificate]
    """In any order, with what else the CA sent."""
    roots: Sequence[x509.Certificate] = ()
    """What the chain must lead to, as the issuer knows it; empty if it knows none."""
    any_duration: bool = False
    """The CA decides how long it is valid, whatever was asked for."""
    rules: Rules = field(default_factory=Rules)
    """What else the CA may decide."""
    reference: str = ""
    """What the CA knows the certificate by, kept with it (at most 1,024 characters, public)."""
    renewal: Renewal | None = None
    """From a backend that `suggests_renewal`."""


@dataclass(frozen=True, slots=True)
class Pending:
    """The CA needs time."""

    handle: str
    """`poll` is called with it. Without one `submit` is called again."""
    poll_after: timedelta
    """When to ask again."""
    message: str
    """What the CA waits for, to the user."""
    by_user: bool = False
    """It goes on once a person has done something (signed, set a record, approved at the CA): the reason is
    `ActionRequired`, and an event reminds of it daily."""


@dataclass(frozen=True, slots=True)
class Health:
    """The CA is there, and may be used."""

    message: str
    """For the user: what the issuer issues with."""
    fingerprint: str = ""
    """SHA-256 (hex, with colons or without) of the CA certificate that signs now, the one above the leaf; empty if the
    CA does not tell beforehand."""
    not_after: datetime | None = None
    """Until when that is valid, in UTC; None likewise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What a backend can do, and what it has to be spared. Each trait but the first and the last has a method."""

    needs_private_key: bool = False
    """`submit` gets the key itself. Only for a backend that signs inside the operator."""
    costs: bool = False
    """An order costs something or takes time. Key and CSR are stored before `submit`, which may then be called again
    with the same order after a crash: it looks the order up by its key first, or says in its docstring why it cannot.
    Without `costs`, a repeat is harmless, `submit` answers at once, and `poll` is not called."""
    revokes: bool = False
    """`revoke` works."""
    knows_roots: bool = False
    """`roots_of` says beforehand what the certificates of the CA lead to, and the CA signs what was asked for. An
    existing certificate is taken over for a request if it could be this CA's; of other backends that is not known."""
    suggests_renewal: bool = False
    """The CA has a say in when its certificates are renewed: `suggest_renewal`."""
    abandons: bool = False
    """Something is left behind while an order is pending, records in the DNS or the order itself: `abandon`."""
    repeats_common_name: bool = False
    """The CA takes a common name only if it is among the DNS names as well: the operator puts it there, in the CSRs
    that it makes itself."""


class Backend(ABC):
    """One issuer's CA. Made anew when the issuer's spec changes; called concurrently.

    Methods that are not abstract are only called if a trait says so.
    """

    traits: Traits
    """The same as long as the object lives: of the class, or set in `__init__` where they depend on the spec."""

    @classmethod
    @abstractmethod
    def create(cls, config: Mapping[str, Any], context: Context) -> "Backend":
        """From the issuer's `spec.<backend>`, a third party's from `spec.external.config`; raises Misconfigured."""

    @abstractmethod
    async def check(self) -> Health:
        """Is the CA there, and may we use it? Raises BackendError if not; asked at intervals."""

    @abstractmethod
    async def submit(self, order: Order) -> Issued | Pending:
        """Have the CSR signed. Raises BackendError."""

    async def poll(self, order: Order, handle: str) -> Issued | Pending:
        """How an order stands that `submit` or `poll` left pending. Raises BackendError."""
        raise NotImplementedError

    async def revoke(self, certificate: x509.Certificate, reason: x509.ReasonFlags) -> None:
        """Revoke; done already counts as done. Raises BackendError: Rejected if it never will be, and it need not be
        asked again."""
        raise NotImplementedError

    async def roots_of(self, leaf: x509.Certificate) -> Sequence[x509.Certificate] | None:
        """Certificates of which one has to be above `leaf`, or be it; None for any. Raises BackendError."""
        raise NotImplementedError

    async def suggest_renewal(self, reference: str) -> Renewal | None:
        """For the certificate with that `Issued.reference`; None if the CA has no opinion. Raises BackendError."""
        raise NotImplementedError

    async def abandon(self, key: str, csr: x509.CertificateSigningRequest, handle: str) -> None:
        """The order is given up: take back what is left of it. Nothing left counts as done. Raises BackendError.

        key, csr: as in `Order`. handle: empty if none was kept. The request may be gone already.
        """
        raise NotImplementedError


_METHODS = {
    "costs": "poll",
    "revokes": "revoke",
    "knows_roots": "roots_of",
    "suggests_renewal": "suggest_renewal",
    "abandons": "abandon",
}
"""Which trait has which method called."""


def check_traits(backend: Backend) -> None:
    """Raises Misconfigured, to be shown to users, if a backend has no traits, or one that is no bool, or
    without the method for it."""
    kind = type(backend)
    traits = getattr(backend, "traits", None)
    if not isinstance(traits, Traits):
        text = "has no `traits`: write what it can do, such as `traits = Traits(revokes=True)`"
        raise Misconfigured(f"backend {kind.__qualname__} {text}")
    for name in (trait.name for trait in fields(Traits)):
        if not isinstance(getattr(traits, name), bool):
            text = f"says in its traits for `{name}` neither True nor False: write which"
            raise Misconfigured(f"backend {kind.__qualname__} {text}")
    for trait, method in _METHODS.items():
        if getattr(traits, trait) and getattr(kind, method) is getattr(Backend, method):
            text = f"says in its traits that it `{trait}`, and has no method `{method}`: write it, or remove the trait"
            raise Misconfigured(f"backend {kind.__qualname__} {text}")
