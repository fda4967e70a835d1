"""The protocol: one method for each request of RFC 8555 and its extensions."""

import json
import re
import ssl
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import urljoin

import aiohttp
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from csr_acme.errors import AcmeError, Problem, Refused, Unreachable
from csr_acme.jose import AccountKey, ExternalAccount, b64url, bind, jwk, sign
from csr_acme.objects import Account, Authorization, Challenge, Directory, Identifier, Order, RenewalInfo

T = TypeVar("T")

_NONCE_ATTEMPTS = 8
_MOST_BYTES = 1024 * 1024
_TIMEOUT = aiohttp.ClientTimeout(total=60, connect=15)
_ARI_RETRY_AFTER = 6 * 3600.0  # RFC 9773, section 4.3.3, where the server does not say
_NOT_OFFERED = frozenset({403, 404, 405, 501})
"""Status of HTTP by which servers say that they do not do this."""

_STEP_CA_ORDERS = re.compile(r"/acme/[^/]+/account/[0-9A-Za-z]{32}/orders$")
"""As step-ca names an account's list of orders. 0.30.2 takes no order from an account any more after the list was read
while no order was pending."""

_USER_AGENT = "csr-operator (csr_acme)"


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    links: Sequence[tuple[str, str]]  # (relation, URL)
    body: bytes

    @property
    def retry_after(self) -> float | None:
        return retry_after(self.headers.get("Retry-After", ""))

    def link(self, relation: str) -> str:
        """The first of that relation; empty if there is none."""
        return next((url for name, url in self.links if name == relation), "")

    def json(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError:
            raise Unreachable("the server's answer is no JSON: is the directory URL right?") from None


class AcmeClient:
    """One account at one CA.

    session: the caller's to close. trusted: whose certificates the server may have; those of the session when None.
    account_url: of an account that exists; without it, `new_account` comes first. All methods raise AcmeError.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        directory_url: str,
        key: AccountKey,
        account_url: str = "",
        *,
        trusted: ssl.SSLContext | None = None,
    ) -> None:
        self._session, self._directory_url, self._key = session, directory_url, key
        self._trusted: ssl.SSLContext | bool = True if trusted is None else trusted
        self.account_url = account_url
        self._directory: Directory | None = None
        self._nonces: deque[str] = deque(maxlen=64)

    @property
    def key(self) -> AccountKey:
        return self._key

    async def directory(self) -> Directory:
        """Fetched once."""
        if self._directory is None:
            answer = await self._fetch("GET", self._directory_url)
            self._directory = _parsed(lambda: Directory.parse(answer.json()), "directory")
        return self._directory

    # Accounts (section 7.3).

    async def new_account(
        self,
        contact: Sequence[str] = (),
        *,
        terms_agreed: bool = False,
        external: ExternalAccount | None = None,
        only_existing: bool = False,
    ) -> Account:
        """Make the account of this key, or find it. contact: URLs such as `mailto:admin@example.com`."""
        url = (await self.directory()).new_account
        payload: dict[str, Any] = {"contact": list(contact)} if contact else {}
        if terms_agreed:
            payload["termsOfServiceAgreed"] = True
        if only_existing:
            payload["onlyReturnExisting"] = True
        if external is not None:
            try:
                payload["externalAccountBinding"] = bind(external, self._key, url)
            except ValueError:
                raise AcmeError("the HMAC key of the external account is not base64url") from None
        answer = await self._post(url, payload, named=False)
        self.account_url = answer.headers.get("Location", "")
        return _parsed(lambda: Account.parse(self.account_url, answer.json()), "account")

    async def update_account(self, contact: Sequence[str]) -> Account:
        answer = await self._post(self.account_url, {"contact": list(contact)})
        return _parsed(lambda: Account.parse(self.account_url, answer.json()), "account")

    async def account(self) -> Account:
        answer = await self._post(self.account_url, None)
        return _parsed(lambda: Account.parse(self.account_url, answer.json()), "account")

    async def deactivate_account(self) -> None:
        await self._post(self.account_url, {"status": "deactivated"})

    async def change_key(self, new_key: AccountKey) -> None:
        """Key rollover (section 7.3.5); this client goes on with `new_key`."""
        url = (await self.directory()).key_change
        inner = {"account": self.account_url, "oldKey": jwk(self._key)}
        payload = sign(new_key, {"jwk": jwk(new_key), "url": url}, json.dumps(inner).encode())
        await self._post(url, payload)
        self._key = new_key

    async def orders(self) -> list[str]:
        """URLs of the account's orders (section 7.1.2.1), where the server lists them; all pages.

        Empty as well where it names a list that it does not show (OpenBao), or had better not be asked for (step-ca).
        """
        url, found = (await self.account()).orders, list[str]()
        if _STEP_CA_ORDERS.search(url):
            return found
        while url:
            try:
                answer = await self._post(url, None)
            except (Refused, Unreachable) as error:
                if error.status not in _NOT_OFFERED:
                    raise
                return found
            found += _urls(answer)
            url = answer.link("next")
        return found

    # Orders (section 7.4).

    async def new_order(
        self,
        identifiers: Sequence[Identifier],
        *,
        profile: str = "",
        replaces: str = "",
        not_after: datetime | None = None,
    ) -> Order:
        """replaces: `renewal_id` of the certificate that this one follows (RFC 9773, section 5)."""
        payload: dict[str, Any] = {"identifiers": [{"type": i.type, "value": i.value} for i in identifiers]}
        if profile:
            payload["profile"] = profile
        if replaces:
            payload["replaces"] = replaces
        if not_after is not None:
            payload["notAfter"] = not_after.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        answer = await self._post((await self.directory()).new_order, payload)
        url = answer.headers.get("Location", "")
        return _parsed(lambda: Order.parse(url, answer.json(), answer.retry_after), "order")

    async def order(self, url: str) -> Order:
        answer = await self._post(url, None)
        return _parsed(lambda: Order.parse(url, answer.json(), answer.retry_after), "order")

    async def authorization(self, url: str) -> Authorization:
        answer = await self._post(url, None)
        return _parsed(lambda: Authorization.parse(url, answer.json(), answer.retry_after), "authorization")

    async def deactivate_authorization(self, url: str) -> None:
        await self._post(url, {"status": "deactivated"})

    async def respond(self, challenge: Challenge) -> Challenge:
        """Say that the challenge can be looked at."""
        answer = await self._post(challenge.url, {})
        return _parsed(lambda: Challenge.parse(answer.json()), "challenge")

    async def finalize(self, order: Order, csr: x509.CertificateSigningRequest) -> Order:
        answer = await self._post(order.finalize, {"csr": b64url(csr.public_bytes(Encoding.DER))})
        return _parsed(lambda: Order.parse(order.url, answer.json(), answer.retry_after), "order")

    async def certificate(self, order: Order) -> list[bytes]:
        """The chains (PEM, leaf first) that the server offers: its default, then the alternates."""
        answer = await self._post(order.certificate, None, accept="application/pem-certificate-chain")
        chains = [answer.body]
        for relation, url in answer.links:
            if relation == "alternate":
                chains.append((await self._post(url, None, accept="application/pem-certificate-chain")).body)
        return chains

    async def revoke(
        self, certificate: x509.Certificate, reason: int = 0, certificate_key: AccountKey | None = None
    ) -> None:
        """By the account's key, or by that of the certificate (section 7.6). Revoked already counts as done."""
        payload = {"certificate": b64url(certificate.public_bytes(Encoding.DER)), "reason": reason}
        url = (await self.directory()).revoke_cert
        try:
            await self._post(url, payload, named=certificate_key is None, key=certificate_key)
        except Refused as error:
            if error.problem.type != "alreadyRevoked":
                raise

    async def renewal_info(self, certificate_id: str) -> RenewalInfo | None:
        """Of the certificate with that `renewal_id` (RFC 9773); None if the server has no such thing."""
        url = (await self.directory()).renewal_info
        if not url:
            return None
        answer = await self._fetch("GET", f"{url.rstrip('/')}/{certificate_id}")
        wait = answer.retry_after if answer.retry_after is not None else _ARI_RETRY_AFTER
        return _parsed(lambda: RenewalInfo.parse(answer.json(), wait), "renewal information")

    # The transport (section 6).

    async def _post(
        self,
        url: str,
        payload: Mapping[str, Any] | None,
        *,
        named: bool = True,
        key: AccountKey | None = None,
        accept: str = "application/json",
    ) -> _Answer:
        """payload None: POST-as-GET. named: by the account's URL, else by the key itself."""
        if not url:
            raise Unreachable("the server does not offer this")
        signer = key or self._key
        body = b"" if payload is None else json.dumps(payload).encode()
        for attempt in range(1, _NONCE_ATTEMPTS + 1):
            protected: dict[str, Any] = {"nonce": await self._nonce(), "url": url}
            protected |= {"kid": self.account_url} if named else {"jwk": jwk(signer)}
            data = json.dumps(sign(signer, protected, body)).encode()
            headers = {"Content-Type": "application/jose+json", "Accept": accept}
            try:
                return await self._fetch("POST", url, data, headers)
            except Refused as error:
                if error.problem.type != "badNonce" or attempt == _NONCE_ATTEMPTS:
                    raise
        raise AssertionError

    async def _nonce(self) -> str:
        if not self._nonces:
            await self._fetch("HEAD", (await self.directory()).new_nonce)
        if not self._nonces:
            raise Unreachable("the server gives no nonce: is the directory URL right?")
        return self._nonces.popleft()

    async def _fetch(
        self, method: str, url: str, data: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> _Answer:
        try:
            async with self._session.request(
                method,
                url,
                data=data,
                headers={"User-Agent": _USER_AGENT, **(headers or {})},
                timeout=_TIMEOUT,
                allow_redirects=method != "POST",
                ssl=self._trusted,
            ) as response:
                body = await response.content.read(_MOST_BYTES + 1) if method != "HEAD" else b""
                while 0 < len(body) <= _MOST_BYTES and not response.content.at_eof():
                    body += await response.content.read(_MOST_BYTES + 1 - len(body))
                links = [(relation, urljoin(url, target)) for relation, target in _links(response)]
                answer = _Answer(response.status, response.headers, links, body)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreachable(f"{_host(url)}: {str(error) or type(error).__name__}") from error
        if nonce := answer.headers.get("Replay-Nonce"):
            self._nonces.append(nonce)
        if len(answer.body) > _MOST_BYTES:
            raise Unreachable(f"{_host(url)}: the answer is longer than {_MOST_BYTES} bytes")
        if answer.status >= 400:
            raise _refusal(url, answer)
        return answer


def renewal_id(certificate: x509.Certificate) -> str:
    """What names a certificate to ARI (RFC 9773, section 4.1); ValueError without an authority key identifier."""
    try:
        identifier = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except x509.ExtensionNotFound:
        identifier = None
    if identifier is None:
        raise ValueError("the certificate has no authority key identifier")
    serial = certificate.serial_number
    # The DER encoding of the serial number: a leading zero where the first bit is set.
    return f"{b64url(identifier)}.{b64url(serial.to_bytes(serial.bit_length() // 8 + 1))}"


def retry_after(text: str) -> float | None:
    """The header Retry-After (RFC 9110, section 10.2.3): seconds or a date, as seconds from now."""
    if not text:
        return None
    try:
        return max(float(text), 0.0)
    except ValueError:
        pass
    try:
        return max((parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds(), 0.0)
    except (TypeError, ValueError):
        return None


def _refusal(url: str, answer: _Answer) -> AcmeError:
    try:
        raw = json.loads(answer.body)
        if not isinstance(raw, dict) or "type" not in raw:
            raise ValueError
    except ValueError:
        return Unreachable(
            f"{_host(url)}: HTTP status {answer.status} and no problem document", answer.retry_after, answer.status
        )
    return Refused(Problem.parse(raw), answer.status, answer.retry_after, answer.headers.get("Location", ""))


def _parsed(parse: Callable[[], T], what: str) -> T:
    try:
        return parse()
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Unreachable(f"the server's {what} is not as RFC 8555 has it: {error!r}") from None


def _urls(answer: _Answer) -> list[str]:
    return _parsed(lambda: [str(order) for order in answer.json()["orders"]], "list of orders")


def _links(response: aiohttp.ClientResponse) -> list[tuple[str, str]]:
    """The header Link (RFC 8288) as (relation, target); aiohttp's own keeps one target for each relation."""
    found = []
    for header in response.headers.getall("Link", []):
        for target, parameters in _LINK.findall(header):
            relation = _RELATION.search(parameters)
            if relation is not None:
                found.append((relation[1].lower(), target))
    return found


_LINK = re.compile(r"<([^>]*)>([^<]*)")
_RELATION = re.compile(r'rel="?([^";,\s]+)', re.IGNORECASE)


def _host(url: str) -> str:
    return url.split("/", 3)[2] if url.count("/") >= 2 else url
