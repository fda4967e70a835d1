"""The token that calls are made with: given in a Secret, or from a login, which is made anew before it ends."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from csr_operator.plugin import credentials, http
from csr_operator.plugin.context import Context
from csr_operator.plugin.errors import Misconfigured, Retryable
from csr_operator.plugin.schedule import bounded_pause
from csr_operator.plugin.tokens import Token, Tokens

from .client import Client, Refused
from .settings import Login, Settings

_KEYS: Mapping[Login, Mapping[str, str]] = {
    Login.TOKEN: {"token": "the token"},
    Login.APP_ROLE: {"roleID": "the role's ID", "secretID": "a secret ID of it"},
    Login.JWT: {"token": "the JSON Web Token"},
    Login.CLIENT_CERTIFICATE: {"tls.crt": "the client certificate", "tls.key": "its private key"},
}
"""Of the Secret, with what belongs there."""

_EARLY = 0.2
"""The last part of a token's life, in which another one is fetched."""

_ENDLESS = timedelta(days=1)
"""For which a token is used whose life Vault does not bound."""


class Session:
    """Calls as whom the issuer's `auth` says. Credentials are read for each call, so that new ones count at once."""

    def __init__(self, settings: Settings, client: Client, context: Context) -> None:
        self._settings, self._client, self._context = settings, client, context
        self._secret = context.secret(settings.secret_name)
        self._certificate = http.ClientCertificate(settings.ca_bundle, "spec.vault.caBundle", self._secret)
        self._tokens = Tokens(self._log_in, context.clock)

    async def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        """As `Client.call`. What Vault forbids is tried once more after another login: it says the same of an expired
        token, and has done nothing then."""
        token = await self._current()
        try:
            return await self._client.call(method, path, token=token, body=body)
        except Refused as error:
            if error.status != 403 or self._settings.login is Login.TOKEN:
                raise
        self._tokens.forget(token)
        return await self._client.call(method, path, token=await self._current(), body=body)

    async def _current(self) -> str:
        """Raises Misconfigured, SecretNotFound, Retryable."""
        login = self._settings.login
        name, where = self._settings.secret_name, f"spec.vault.auth.{login}.secretName"
        values: tuple[bytes, ...]
        if login is Login.CLIENT_CERTIFICATE:
            data = await credentials.read(self._context, name, where, _KEYS[login])
            values = (data["tls.crt"], data["tls.key"])
        else:
            texts = await credentials.read_texts(self._context, name, where, _KEYS[login])
            values = tuple(text.encode() for text in texts.values())
        if login is Login.TOKEN:
            return values[0].decode()
        return await self._tokens.current(values)

    async def _log_in(self, values: tuple[bytes, ...]) -> Token:
        """https://developer.hashicorp.com/vault/api-docs/auth"""
        settings, now = self._settings, self._context.clock()
        trusted, secrets = None, [value.decode(errors="replace") for value in values]
        body: dict[str, str] = {}
        match settings.login:
            case Login.APP_ROLE:
                body = {"role_id": secrets[0], "secret_id": secrets[1]}
            case Login.JWT:
                body = {"role": settings.role, "jwt": secrets[0]}
            case _:
                trusted = self._certificate.showing(values[0], values[1])
                body = {"name": settings.role} if settings.role else {}
        try:
            answer = await self._client.call(
                "POST", f"auth/{settings.mount}/login", body=body, trusted=trusted, secrets=secrets
            )
        except Refused as error:
            text = f"Vault refuses the login at auth/{settings.mount} with {self._secret}: {error}"
            raise Misconfigured(f"{text}: check spec.vault.auth and the credentials") from None
        auth = answer.get("auth")
        token, life = (auth.get("client_token"), auth.get("lease_duration")) if isinstance(auth, dict) else (None, None)
        if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable():
            raise Retryable("Vault's answer to the login holds no client_token")
        lasts = (bounded_pause(life) if isinstance(life, int | float) else timedelta(0)) or _ENDLESS
        return Token(token, now + lasts * (1 - _EARLY))
