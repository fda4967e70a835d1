"""Calls of the API, by whichever credentials the issuer names; they are read for each call, so that new ones count."""

import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from typing import Any

from csr_operator.plugin import credentials, http
from csr_operator.plugin.context import Context
from csr_operator.plugin.errors import Misconfigured, Retryable
from csr_operator.plugin.schedule import bounded_pause
from csr_operator.plugin.text import redact
from csr_operator.plugin.tokens import Token, Tokens

from .refusals import ROLE, Refusal, describe
from .settings import Access, Settings

_BUSY = timedelta(minutes=1)
"""How long to leave a server alone that is overloaded or broken and does not say for how long."""
_KEYS: Mapping[Access, Mapping[str, str]] = {
    Access.LOGIN: {"login": "the login name", "password": "its password"},
    Access.CLIENT_CERTIFICATE: {"tls.crt": "the client certificate", "tls.key": "its private key"},
    Access.OAUTH: {"clientID": "the client's ID", "clientSecret": "the client's secret"},
}
"""Of the Secret, with what belongs there."""
_EARLY = 0.1
"""The last part of a token's life, in which another one is fetched."""


@dataclass(frozen=True, slots=True)
class _Identity:
    """How a call is made, and what no message may show."""

    headers: Mapping[str, str] = field(repr=False)
    context: ssl.SSLContext
    secrets: tuple[str, ...] = field(repr=False)


class Client:
    """Calls of Sectigo Certificate Manager's API, with the credentials of one issuer; access tokens are kept."""

    def __init__(self, settings: Settings, context: Context) -> None:
        self._settings, self._context = settings, context
        self._secret = context.secret(settings.access_secret)
        self._trusted = http.trust(settings.ca_bundle, "spec.sectigo.caBundle")
        self._certificate = http.ClientCertificate(settings.ca_bundle, "spec.sectigo.caBundle", self._secret)
        self._tokens = Tokens(self._fetch, context.clock)

    async def fingerprint(self) -> str:
        """A digest of what is in the Secret. Raises Misconfigured."""
        data = await credentials.read(self._context, *self._named())
        return sha256(b"\0".join(data[key].strip() for key in _KEYS[self._settings.access])).hexdigest()

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """The JSON of an answer. Raises Refusal, Retryable, Misconfigured."""
        return (await self.call("GET", path, query=query)).json()

    async def call(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Any = None
    ) -> http.Answer:
        """An answer that means success. Raises Refusal where it depends on the order what an error means."""
        identity = await self._identity()
        answer = await self._send(identity, method, path, query, body)
        if answer.status == 401 and self._settings.access is Access.OAUTH:
            # A token may end before its time. Nothing has been done, so that the call may be made again.
            for secret in identity.secrets:
                self._tokens.forget(secret)
            identity = await self._identity()
            answer = await self._send(identity, method, path, query, body)
        if 200 <= answer.status < 300:
            return answer
        raise self._error(answer, identity.secrets)

    async def _send(
        self, identity: _Identity, method: str, path: str, query: Mapping[str, str] | None, body: Any
    ) -> http.Answer:
        url = self._settings.url + path
        return await http.call(
            self._context.session(), identity.context, method, url, headers=identity.headers, query=query, body=body
        )

    def _error(self, answer: http.Answer, secrets: tuple[str, ...]) -> Exception:
        refusal = _refusal(answer, secrets)
        if answer.status == 429:
            return Retryable(f"Sectigo asks for fewer calls: {refusal}", answer.retry_after or _BUSY)
        if answer.status >= 500:
            return Retryable(f"Sectigo is not available: {refusal}", answer.retry_after or _BUSY)
        if 300 <= answer.status < 400:
            text = f"{self._settings.url} redirects (HTTP status {answer.status}): check spec.sectigo.url"
            return Misconfigured(text)
        if answer.status == 401:
            return Misconfigured(f"{describe(refusal)}: check the credentials in {self._secret}")
        if answer.status == 403:
            return Misconfigured(f"{describe(refusal)}: {ROLE}")
        return refusal

    async def _identity(self) -> _Identity:
        settings = self._settings
        match settings.access:
            case Access.LOGIN:
                login, password = await self._texts()
                headers = {"login": login, "password": password, "customerUri": settings.customer_uri}
                return _Identity(headers, self._trusted, (password,))
            case Access.CLIENT_CERTIFICATE:
                data = await credentials.read(self._context, *self._named())
                headers = {"login": settings.login, "customerUri": settings.customer_uri}
                return _Identity(headers, self._certificate.showing(data["tls.crt"], data["tls.key"]), ())
            case Access.OAUTH:
                client_id, secret = await self._texts()
                token = await self._tokens.current((client_id, secret))
                return _Identity({"Authorization": f"Bearer {token}"}, self._trusted, (secret, token))

    def _named(self) -> tuple[str, str, Mapping[str, str]]:
        """The Secret, the field that names it, and what belongs into it."""
        access = self._settings.access
        return self._settings.access_secret, f"spec.sectigo.{access}.secretName", _KEYS[access]

    async def _texts(self) -> Iterable[str]:
        return (await credentials.read_texts(self._context, *self._named())).values()

    async def _fetch(self, client: tuple[str, str]) -> Token:
        """RFC 6749, section 4.4. client: its ID and secret."""
        client_id, secret = client
        form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
        now = self._context.clock()
        answer = await http.call(self._context.session(), self._trusted, "POST", self._settings.token_url, form=form)
        if answer.status == 429 or answer.status >= 500:
            text = f"the token server is not available (HTTP status {answer.status})"
            raise Retryable(text, answer.retry_after or _BUSY)
        if answer.status != 200:
            why = _refusal(answer, (secret,)).text
            text = f"the token server refuses the credentials in {self._secret}: {why}"
            raise Misconfigured(f"{text}: check clientID and clientSecret")
        body = answer.json()
        token, lasts = (body.get("access_token"), body.get("expires_in")) if isinstance(body, dict) else (None, None)
        if not isinstance(token, str) or not token or not token.isprintable():
            raise Retryable("the token server's answer holds no access_token", _BUSY)
        life = bounded_pause(lasts) if isinstance(lasts, int | float) else timedelta(minutes=1)
        return Token(token, now + life * (1 - _EARLY))


def _refusal(answer: http.Answer, secrets: tuple[str, ...]) -> Refusal:
    """From `{code, description}`, a token server's `{error, error_description}`, or whatever else came."""
    code, text = 0, ""
    try:
        body = answer.json()
    except Retryable:
        body = None
    if isinstance(body, dict):
        text = (
            body.get("description") or body.get("error_description") or body.get("error") or body.get("message") or ""
        )
        code = body["code"] if isinstance(body.get("code"), int) else 0
    return Refusal(answer.status, code, redact(text, secrets) or f"HTTP status {answer.status}")
