"""What a CA backend is: the whole plug-in API.

BackendError
  Retryable       try again, but not before `after` seconds (timeouts, overload, HTTP 429 and 5xx)
    Lapsed        the order came to nothing; place another one for the same CSR
  Rejected        this request will never be signed; the text is the CA's message
  Misconfigured   no request can be signed: the issuer's fault (credentials, a field, an expired CA)
    SecretNotFound  a Secret that it names is not there
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import aiohttp
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from csr_operator.pki.keys import PrivateKey
from csr_operator.pki.profile import Profile
from csr_operator.pki.verify import Rules


class BackendError(Exception):
    """The text is shown to the user: it says what is wrong and what to do, and holds no credential."""


class Retryable(BackendError):
    """unplaced: from `submit`, when for sure nothing was ordered: another issuer of the request is then asked at once,
    where it names several."""

    def __init__(self, message: str, after: float = 0.0, *, unplaced: bool = False) -> None:
        super().__init__(message)
        self.after, self.unplaced = after, unplaced


class Lapsed(Retryable):
    """From `submit` or `poll` of a backend that `costs`: the handle is dropped, and `submit` called after the wait."""


class Rejected(BackendError):
    pass


class Misconfigured(BackendError):
    pass


class SecretNotFound(Misconfigured):
    """A Secret that the issuer names is not there: it may be created later."""


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


class Responder(Protocol):
    """Answers the challenges for which a CA connects to the name itself. A name may be an IP address."""

    def check_http(self, route: Mapping[str, Any]) -> None:
        """Raises Misconfigured if `present_http` would never do for this `route`. No I/O."""
        ...

    async def present_http(self, host: str, token: str, answer: str, route: Mapping[str, Any]) -> None:
        """Answer http-01 (RFC 8555, section 8.3) at http://host/.well-known/acme-challenge/token with `answer`.

        route: the `http01` of an ACME solver; makes the Ingress or HTTPRoute that it asks for. There already counts as
        done, and costs no call. Raises Rejected, Retryable, Misconfigured.
        """
        ...

    async def withdraw_http(self, host: str, token: str) -> None:
        """Stop answering, and remove what was made for it. Gone already counts as done. Raises Retryable,
        Misconfigured."""
        ...

    def present_alpn(self, identifier: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        """Answer tls-alpn-01 (RFC 8737, RFC 8738) with this certificate. Raises Misconfigured if nothing listens."""
        ...

    def withdraw_alpn(self, identifier: str) -> None:
        """Gone already counts as done."""
        ...


class NoResponder:
    """A `Responder` where no CA can connect, such as in a command or a test."""

    def check_http(self, route: Mapping[str, Any]) -> None:
        pass

    async def present_http(self, host: str, token: str, answer: str, route: Mapping[str, Any]) -> None:
        raise Misconfigured(f"http-01: nothing answers for {host} here")

    async def withdraw_http(self, host: str, token: str) -> None:
        pass

    def present_alpn(self, identifier: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        raise Misconfigured(f"tls-alpn-01: nothing answers for {identifier} here")

    def withdraw_alpn(self, identifier: str) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Context:
    """What a backend is given.

    read_secret: the data of a Secret in the issuer's namespace (a ClusterIssuer's: the cluster resource namespace);
    None if it does not exist. Raises Misconfigured for one that is not allowed as a credential. write_secret: change
    the data of a Secret there that is the issuer's own, and made if it is missing; the change is a function of the data
    so far, and is made again if somebody else was faster. clock: the time now, in UTC. session: for HTTP
    (`http.py`); it is shared by all issuers, so that each call says whom it trusts. responder: for ACME. programs: the
    folder of those that issuers may have run to write DNS records; None if they may not. namespace: where its Secrets
    are, for messages.
    """

    read_secret: Callable[[str], Awaitable[Mapping[str, bytes] | None]]
    write_secret: Callable[[str, Callable[[Mapping[str, bytes]], Mapping[str, bytes]]], Awaitable[None]]
    clock: Callable[[], datetime]
    session: Callable[[], aiohttp.ClientSession]
    responder: Responder
    programs: Path | None = None
    namespace: str = ""

    def secret(self, name: str) -> str:
        """How a message names a Secret of the issuer: `Secret namespace/name`."""
        return f"Secret {self.namespace}/{name}" if self.namespace else f"Secret {name}"


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
