"""What a CA backend is: orders, answers, and the calls of a CA."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

from cryptography import x509

from csr_operator.pki.keys import PrivateKey
from csr_operator.pki.profile import Profile
from csr_operator.pki.verify import Rules

from .context import Context


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked of a CA.

    key: the same for every attempt at one revision of one request (SHA-256, hex): an idempotency token.
    private_key: only for a backend with `needs_private_key`.
    answer: the chain that was imported (`kubectl csr import`), for a backend whose certificates are signed manually.
    repeated: it may have been placed before, without the answer having been kept: look it up first.
    replaces: the `reference` of the certificate that it follows, if that is this issuer's; else empty.
    replaces_fingerprint: SHA-256 (`pki.fingerprint`) of that certificate: before anything is done to it, what the CA
    calls by the reference is to be seen to have the same.
    """

    key: str
    csr: x509.CertificateSigningRequest
    profile: Profile
    duration: timedelta
    private_key: PrivateKey | None = field(default=None, repr=False)
    answer: bytes = b""
    repeated: bool = False
    replaces: str = ""
    replaces_fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class Renewal:
    """When the CA wants a certificate renewed (such as ARI, RFC 9773): some time from `start` to `end`, in UTC.

    ask_after: ask the CA again then, as it may change its mind. explanation: the URL of a page that says why, if the CA
    has one, for the user.
    """

    start: datetime
    end: datetime
    ask_after: timedelta
    explanation: str = ""


@dataclass(frozen=True, slots=True)
class Issued:
    """The CA's answer.

    certificates: in any order, with what else the CA sent.
    roots: what the chain must lead to, as the issuer knows it; empty if it knows none.
    any_duration: the CA decides how long it is valid, whatever was asked for. rules: what else it may decide.
    reference: what the CA knows the certificate by, kept with it (at most 1,024 characters, public).
    renewal: from a backend that `SuggestsRenewal`.
    """

    certificates: Sequence[x509.Certificate]
    roots: Sequence[x509.Certificate] = ()
    any_duration: bool = False
    rules: Rules = field(default_factory=Rules)
    reference: str = ""
    renewal: Renewal | None = None


@dataclass(frozen=True, slots=True)
class Pending:
    """The CA needs time: ask again with `handle` after `poll_after`. `message` says what it waits for, to the user.

    Without a handle `submit` is called again. by_user: it goes on once a person has done something (signed, set a
    record, approved at the CA): the reason is `ActionRequired`, and an event reminds of it daily.
    """

    handle: str
    poll_after: timedelta
    message: str
    by_user: bool = False


@dataclass(frozen=True, slots=True)
class Health:
    """fingerprint: SHA-256 (hex) of the CA certificate that signs now; empty if the CA does not tell beforehand.

    not_after: until when that is valid, in UTC; None likewise.
    """

    message: str
    fingerprint: str = ""
    not_after: datetime | None = None


class Backend(Protocol):
    """One issuer's CA. Made anew when the issuer's spec changes; called concurrently.

    needs_private_key: `submit` gets the key itself. Only for a backend that signs inside the operator.
    costs: an order costs something or takes time. Key and CSR are stored before `submit`, which may then be called
    again with the same order after a crash: it looks the order up by its key first, or says in its docstring why it
    cannot. Without `costs`, a repeat is harmless, and `submit` answers at once.
    revokes: `revoke` works.
    """

    needs_private_key: ClassVar[bool]
    costs: ClassVar[bool]
    revokes: bool

    @classmethod
    def create(cls, config: Mapping[str, Any], context: Context) -> Self:
        """From the issuer's `spec.<backend>`, a third party's from `spec.external.config`; raises Misconfigured."""
        ...

    async def check(self) -> Health:
        """Is the CA there, and may we use it? Raises BackendError if not; asked at intervals."""
        ...

    async def submit(self, order: Order) -> Issued | Pending:
        """Have the CSR signed. Raises BackendError."""
        ...

    async def poll(self, order: Order, handle: str) -> Issued | Pending:
        """How an order stands that `submit` or `poll` left pending. Raises BackendError."""
        ...

    async def revoke(self, certificate: x509.Certificate, reason: x509.ReasonFlags) -> None:
        """Revoke; done already counts as done. Raises BackendError: Rejected if it never will be, and it need not be
        asked again."""
        ...


@runtime_checkable
class KnowsRoots(Protocol):
    """A backend that knows beforehand what the certificates of its CA lead to, and that signs what was asked for.

    An existing certificate is taken over for a request if it could be this CA's. Of other backends that is not known.
    """

    async def roots_of(self, leaf: x509.Certificate) -> Sequence[x509.Certificate] | None:
        """Certificates of which one has to be above `leaf`, or be it; None for any. Raises BackendError."""
        ...


@runtime_checkable
class SuggestsRenewal(Protocol):
    """A backend whose CA has a say in when its certificates are renewed."""

    async def suggest_renewal(self, reference: str) -> Renewal | None:
        """For the certificate with that `Issued.reference`; None if the CA has no opinion. Raises BackendError."""
        ...


@runtime_checkable
class RepeatsCommonName(Protocol):
    """A backend that says whether its CA takes a common name only if it is among the DNS names as well. If so, the
    operator puts it there, in the CSRs that it makes itself."""

    repeats_common_name: bool


@runtime_checkable
class Abandons(Protocol):
    """A backend that leaves something behind while an order is pending: records in the DNS, or the order itself."""

    async def abandon(self, key: str, csr: x509.CertificateSigningRequest, handle: str) -> None:
        """The order is given up: take back what is left of it. Nothing left counts as done. Raises BackendError.

        key, csr: as in `Order`. handle: empty if none was kept. The request may be gone already.
        """
        ...
