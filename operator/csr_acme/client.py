"""The protocol: one method for each request of RFC 8555 and its extensions."""

import errno
import json
import os
import re
import socket
import ssl
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import urljoin

import aiohttp
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from csr_acme.errors import AcmeError, Problem, Refused, Unreachable, Untrusted, fit_line
from csr_acme.jose import AccountKey, ExternalAccount, b64url, bind, jwk, sign
from csr_acme.objects import (
    Account,
    Authorization,
    Challenge,
    Directory,
    Identifier,
    Order,
    RenewalInfo,
    is_certificate_id,
)
from csr_acme.origin import Origin

T = TypeVar("T")

_NONCE_ATTEMPTS = 8
_NONCE = re.compile(r"[A-Za-z0-9_-]{1,512}")
"""RFC 8555, section 6.5.1: what is not of this form is ignored."""

_MOST_BYTES = 64 * 1024
"""Of an answer that has no bound of its own."""

_MOST_BYTES_OF_ORDER = 512 * 1024
"""Of an order, which may have a thousand names, or a page of a list of orders."""

_MOST_BYTES_OF_CHAIN = 1024 * 1024
_MOST_BYTES_OF_CHAINS = 4 * 1024 * 1024
_MOST_PAGES, _MOST_BYTES_OF_PAGES = 100, 4 * 1024 * 1024
_MOST_LINKS = 64
_MOST_REASON = 100
"""Characters of what the TLS library says."""

SOONEST, LATEST = 1.0, 86400.0
"""Seconds: a server that asks to wait gets no less and no more."""

_TIMEOUT = aiohttp.ClientTimeout(total=60, connect=15)
_ARI_RETRY_AFTER = 6 * 3600.0  # RFC 9773, section 4.3.3, where the server does not say
_NOT_OFFERED = frozenset({403, 404, 405, 501})
"""Status of HTTP by which servers say that they do not do this."""

_STEP_CA_ORDERS = re.compile(r"/acme/[^/]+/account/[0-9A-Za-z]{32}/orders$")
"""As step-ca names an account's list of orders. 0.30.2 takes no order from an account any more after the list was read
while no order was pending."""


@dataclass(frozen=True, slots=True)
class _Answer:
    url: str
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
        except (ValueError, RecursionError):
            raise Unreachable("the server's answer is not JSON: is the directory URL right?") from None


class AcmeClient:
    """One account at one CA.

    session: the caller's to close. trusted: whose certificates the server may have; those of the session when None.
    account_url: of an account that exists; without it, `new_account` comes first. anywhere: as `Origin` has it.
    user_agent: name and version of the program whose client it is (RFC 8555, section 6.1).
    All methods raise AcmeError. Redirects are not followed.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        directory_url: str,
        key: AccountKey,
        account_url: str = "",
        *,
        trusted: ssl.SSLContext | None = None,
        anywhere: bool = False,
        user_agent: str = "csr_acme",
    ) -> None:
        self._user_agent = user_agent
        self._session, self._directory_url, self._key = session, directory_url, key
        self._trusted: ssl.SSLContext | bool = True if trusted is None else trusted
        self.account_url = account_url
        self.origin = Origin(directory_url, anywhere=anywhere)
        self._directory: Directory | None = None
        self._nonces: deque[tuple[int, str]] = deque(maxlen=64)  # the latest last, each with its number
        self._given = 0

    @property
    def key(self) -> AccountKey:
        return self._key

    async def directory(self) -> Directory:
        """Fetched once."""
        if self._directory is None:
            answer = await self._fetch("GET", "directory", self._directory_url)
            self._directory = _parsed(lambda: Directory.parse(answer.json(), self.origin), "directory")
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
        answer = await self._post("newAccount", url, payload, named=False)
        self.account_url = self._location(answer)
        return self._account(answer)

    async def update_account(self, contact: Sequence[str]) -> Account:
        return self._account(await self._post("account", self.account_url, {"contact": list(contact)}))

    async def account(self) -> Account:
        return self._account(await self._post("account", self.account_url, None))

    async def deactivate_account(self) -> None:
        await self._post("account", self.account_url, {"status": "deactivated"})

    async def change_key(self, new_key: AccountKey) -> None:
        """Key rollover (section 7.3.5); this client goes on with `new_key`."""
        url = (await self.directory()).key_change
        inner = {"account": self.account_url, "oldKey": jwk(self._key)}
        payload = sign(new_key, {"jwk": jwk(new_key), "url": url}, json.dumps(inner).encode())
        await self._post("keyChange", url, payload)
        self._key = new_key

    async def orders(self) -> list[str]:
        """URLs of the account's orders (section 7.1.2.1), where the server lists them: those of a hundred pages, or of
        4 MiB.

        Empty as well where it names a list that it does not show (OpenBao), or had better not be asked for (step-ca).
        """
        url, urls, left = (await self.account()).orders, list[str](), _MOST_BYTES_OF_PAGES
        if _STEP_CA_ORDERS.search(url):
            return urls
        for _ in range(_MOST_PAGES):
            if not url or left <= 0:
                break
            try:
                page = await self._post("orders", url, None, most=_MOST_BYTES_OF_ORDER)
            except (Refused, Unreachable) as error:
                if error.status not in _NOT_OFFERED:
                    raise
                return urls
            urls += self._listed(page)
            url, left = page.link("next"), left - len(page.body)
        return urls

    def _listed(self, page: _Answer) -> list[str]:
        return _parsed(lambda: [self.origin.take("orders", url) for url in _orders(page.json())], "list of orders")

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
        url = (await self.directory()).new_order
        answer = await self._post("newOrder", url, payload, most=_MOST_BYTES_OF_ORDER)
        return self._order(self._location(answer), answer)

    async def order(self, url: str) -> Order:
        return self._order(url, await self._post("order", url, None, most=_MOST_BYTES_OF_ORDER))

    async def authorization(self, url: str) -> Authorization:
        answer = await self._post("authorization", url, None)
        wait = answer.retry_after
        return _parsed(lambda: Authorization.parse(url, answer.json(), self.origin, wait), "authorization")

    async def deactivate_authorization(self, url: str) -> None:
        await self._post("authorization", url, {"status": "deactivated"})

    async def respond(self, challenge: Challenge) -> Challenge:
        """Say that the challenge can be looked at."""
        answer = await self._post("challenge", challenge.url, {})
        return _parsed(lambda: Challenge.parse(answer.json(), self.origin), "challenge")

    async def finalize(self, order: Order, csr: x509.CertificateSigningRequest) -> Order:
        payload = {"csr": b64url(csr.public_bytes(Encoding.DER))}
        answer = await self._post("finalize", order.finalize, payload, most=_MOST_BYTES_OF_ORDER)
        return self._order(order.url, answer)

    async def certificate(self, order: Order, alternates: int = 0) -> list[bytes]:
        """The chains (PEM, leaf first) that the server offers: its default, then the first so many alternates, as far
        as all together are not longer than 4 MiB."""
        accept = "application/pem-certificate-chain"
        answer = await self._post("certificate", order.certificate, None, accept=accept, most=_MOST_BYTES_OF_CHAIN)
        chains, left = [answer.body], _MOST_BYTES_OF_CHAINS - len(answer.body)
        for url in [url for relation, url in answer.links if relation == "alternate"][:alternates]:
            other = await self._post("alternate", url, None, accept=accept, most=_MOST_BYTES_OF_CHAIN)
            left -= len(other.body)
            if left < 0:
                break
            chains.append(other.body)
        return chains

    async def revoke(
        self, certificate: x509.Certificate, reason: int = 0, certificate_key: AccountKey | None = None
    ) -> None:
        """By the account's key, or by that of the certificate (section 7.6). Revoked already counts as done."""
        payload = {"certificate": b64url(certificate.public_bytes(Encoding.DER)), "reason": reason}
        url = (await self.directory()).revoke_cert
        try:
            await self._post("revokeCert", url, payload, named=certificate_key is None, key=certificate_key)
        except Refused as error:
            if error.problem.type != "alreadyRevoked":
                raise

    async def renewal_info(self, certificate_id: str) -> RenewalInfo | None:
        """Of the certificate with that `renewal_id` (RFC 9773); None if the server has none, or knows no such
        certificate, or it is no `renewal_id` at all."""
        url = (await self.directory()).renewal_info
        if not url or not is_certificate_id(certificate_id):
            return None
        try:
            answer = await self._fetch("GET", "renewalInfo", f"{url.rstrip('/')}/{certificate_id}")
        except (Refused, Unreachable) as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        wait = answer.retry_after if answer.retry_after is not None else _ARI_RETRY_AFTER
        return _parsed(lambda: RenewalInfo.parse(answer.json(), self.origin, wait), "renewal information")

    # The transport (section 6).

    async def _post(
        self,
        field: str,
        url: str,
        payload: Mapping[str, Any] | None,
        *,
        named: bool = True,
        key: AccountKey | None = None,
        accept: str = "application/json",
        most: int = _MOST_BYTES,
    ) -> _Answer:
        """field, most: as in `_fetch`. payload None: POST-as-GET. named: by the account's URL, else by the key."""
        if not url:
            raise Unreachable(f"the server does not offer this: it names no {field}")
        signer = key or self._key
        body = b"" if payload is None else json.dumps(payload).encode()
        for attempt in range(1, _NONCE_ATTEMPTS + 1):
            number, nonce = await self._nonce()
            protected: dict[str, Any] = {"nonce": nonce, "url": url}
            protected |= {"kid": self.account_url} if named else {"jwk": jwk(signer)}
            data = json.dumps(sign(signer, protected, body)).encode()
            headers = {"Content-Type": "application/jose+json", "Accept": accept}
            try:
                return await self._fetch("POST", field, url, data, headers, most)
            except Refused as error:
                if error.problem.type != "badNonce" or attempt == _NONCE_ATTEMPTS:
                    raise
                while self._nonces and self._nonces[0][0] < number:
                    self._nonces.popleft()  # a server that has forgotten one has forgotten what is older
        raise AssertionError

    async def _nonce(self) -> tuple[int, str]:
        """The latest: the one that came with a refusal is good (RFC 8555, section 6.5)."""
        if not self._nonces:
            await self._fetch("HEAD", "newNonce", (await self.directory()).new_nonce)
        if not self._nonces:
            raise Unreachable("the server sends no nonce: is the directory URL right?")
        return self._nonces.pop()

    async def _fetch(
        self,
        method: str,
        field: str,
        url: str,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        most: int = _MOST_BYTES,
    ) -> _Answer:
        """field: what the server calls that URL. most: bytes of the body."""
        url = self.origin.take(field, url)
        try:
            async with self._session.request(
                method,
                url,
                data=data,
                headers={"User-Agent": self._user_agent, **(headers or {})},
                timeout=_TIMEOUT,
                allow_redirects=False,
                ssl=self._trusted,
            ) as response:
                body = await response.content.read(most + 1) if method != "HEAD" else b""
                while 0 < len(body) <= most and not response.content.at_eof():
                    body += await response.content.read(most + 1 - len(body))
                answer = _Answer(url, response.status, response.headers, _links(response, url), body)
        except aiohttp.ClientConnectorCertificateError as error:
            reason = getattr(error.certificate_error, "verify_message", "")
            why = f" ({fit_line(reason, _MOST_REASON)})" if reason else ""
            raise Untrusted(f"the TLS certificate of {_host(url)} is not trusted{why}") from error
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise Unreachable(f"{_host(url)} {_trouble(error)}") from error
        if _NONCE.fullmatch(nonce := answer.headers.get("Replay-Nonce", "")):
            self._given += 1
            self._nonces.append((self._given, nonce))
        if len(answer.body) > most:
            raise Unreachable(f"{_host(url)}: the answer of {field} is longer than {most} bytes")
        if 300 <= answer.status < 400:
            raise Unreachable(
                f"{_host(url)}: {field} is a redirect (HTTP status {answer.status}), which is not followed: set the "
                "directory URL that the CA has now",
                answer.retry_after,
                answer.status,
            )
        if answer.status >= 400:
            raise _refusal(url, answer)
        return answer

    def _location(self, answer: _Answer) -> str:
        text = answer.headers.get("Location", "")
        try:
            # It may be relative (RFC 9110, section 10.2.2).
            url = urljoin(answer.url, text) if text else ""
        except ValueError:
            url = text
        return self.origin.take("Location", url)

    def _account(self, answer: _Answer) -> Account:
        return _parsed(lambda: Account.parse(self.account_url, answer.json(), self.origin), "account")

    def _order(self, url: str, answer: _Answer) -> Order:
        return _parsed(lambda: Order.parse(url, answer.json(), self.origin, answer.retry_after), "order")


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
    """The header Retry-After (RFC 9110, section 10.2.3): seconds or a date, as seconds from now, from one to a day.

    None if it says nothing that can be understood.
    """
    try:
        if _SECONDS.fullmatch(text):
            wait = float(text)
        else:
            wait = (parsedate_to_datetime(text[:_MOST_DATE]) - datetime.now(UTC)).total_seconds()
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
    return min(max(wait, SOONEST), LATEST)


_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")
_MOST_DATE = 64


def _refusal(url: str, answer: _Answer) -> AcmeError:
    try:
        problem = Problem.parse(answer.json())
    except Unreachable:
        problem = Problem("")
    if problem.type:
        return Refused(problem, answer.status, answer.retry_after)
    text = f"{_host(url)}: HTTP status {answer.status} and no ACME problem document"
    return Unreachable(text, answer.retry_after, answer.status)


def _parsed(parse: Callable[[], T], what: str) -> T:
    try:
        return parse()
    except ValueError as error:
        raise Unreachable(f"the server's {what} does not conform to RFC 8555: {error}") from None


def _orders(raw: Any) -> list[str]:
    orders = raw.get("orders") if isinstance(raw, dict) else None
    if not isinstance(orders, list) or not all(isinstance(url, str) for url in orders):
        raise ValueError("orders is not a list of URLs")
    return orders


def _links(response: aiohttp.ClientResponse, base: str) -> list[tuple[str, str]]:
    """The header Link (RFC 8288) as (relation, target); aiohttp's own keeps one target for each relation."""
    links: list[tuple[str, str]] = []
    for header in response.headers.getall("Link", []):
        for link in _LINK.finditer(header):
            relation = _RELATION.search(link[2])
            if len(links) == _MOST_LINKS:
                return links
            if relation is not None:
                links.append((relation[1].lower(), urljoin(base, link[1])))
    return links


_LINK = re.compile(r"<([^<>]*)>([^<]*)")
_RELATION = re.compile(r'rel="?([^";,\s]+)', re.IGNORECASE)


def _trouble(error: Exception) -> str:
    """What became of a request, as the end of a sentence that begins with the host. In words of ours, which stay the
    same as long as nothing changes: neither addresses nor what came instead of HTTP are told."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        unanswered = error.os_error.errno == socket.EAI_AGAIN
        return "cannot be looked up: no DNS server answers" if unanswered else "has no address (DNS)"
    if isinstance(error, aiohttp.ClientConnectorError):
        return _ERRNO.get(error.os_error.errno or 0, f"cannot be connected to: {_of_system(error.os_error)}")
    if isinstance(error, TimeoutError):
        return "did not answer completely in time"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "ended the connection without an answer"
    if isinstance(error, OSError):
        return _ERRNO.get(error.errno or 0, f"does not answer: {_of_system(error)}")
    return f"does not answer with valid HTTP ({type(error).__name__})"


def _of_system(error: OSError) -> str:
    """asyncio puts addresses into `strerror`."""
    number = error.errno or 0
    return os.strerror(number) if number in errno.errorcode else type(error).__name__


_ERRNO: Mapping[int, str] = {
    errno.ECONNREFUSED: "refuses the connection",
    errno.ECONNRESET: "ended the connection without an answer",
    errno.EPIPE: "ended the connection without an answer",
    errno.EHOSTUNREACH: "cannot be reached: there is no route to it",
    errno.ENETUNREACH: "cannot be reached: there is no route to it",
    errno.ETIMEDOUT: "does not answer",
}


def _host(url: str) -> str:
    return url.split("/", 3)[2]
