"""`webhook`: an HTTP server of the user's that writes the records; docs/dns.md has what is asked of it."""

import base64
from collections.abc import Mapping
from typing import Any

from csr_operator.plugin.context import Context
from csr_operator.plugin.errors import BackendError, Misconfigured, Rejected, Retryable
from csr_operator.plugin.http import Answer, call, trust
from csr_operator.plugin.text import redact

from .base import Credentials, require
from .resolve import Resolver


class Webhook:
    """Records by an HTTP server of the user's own."""

    def __init__(self, config: Mapping[str, Any], context: Context, resolver: Resolver, field: str) -> None:
        self._url = str(require(config, "url", field, "the URL of your server")).rstrip("/")
        self._secret = Credentials(config, context, field)
        self._trusted = trust(config.get("caBundle") or "", f"{field}.caBundle")
        self._resolver, self._context, self._field = resolver, context, field

    async def present(self, name: str, value: str) -> None:
        await self._post("present", name, value)

    async def withdraw(self, name: str, value: str) -> None:
        await self._post("cleanup", name, value)

    async def _post(self, action: str, name: str, value: str) -> None:
        headers, secrets = await self._credentials()
        answer = await call(
            self._context.session(),
            self._trusted,
            "POST",
            f"{self._url}/{action}",
            headers=headers,
            body={"name": name, "value": value, "zone": await self._resolver.zone(name)},
        )
        if not 200 <= answer.status < 300:
            raise self._failure(answer, secrets)

    async def _credentials(self) -> tuple[Mapping[str, str], list[str]]:
        """Headers, and what must not be shown."""
        secret = self._secret
        if not secret.name:
            return {}, []
        values = {name: value.decode(errors="replace").strip() for name, value in (await secret.data()).items()}
        match values:
            case {"token": token} if token.isprintable():
                return {"Authorization": f"Bearer {token}"}, [token]
            case {"username": user, "password": password}:
                basic = base64.b64encode(f"{user}:{password}".encode()).decode()
                return {"Authorization": f"Basic {basic}"}, [basic, password]
        raise Misconfigured(f"{secret.field}: {secret.secret} needs token, or username and password")

    def _failure(self, answer: Answer, secrets: list[str]) -> BackendError:
        text = f"HTTP status {answer.status}"
        if message := redact(_message(answer), secrets):
            text += f": {message}"
        match answer.status:
            case 400 | 422:
                return Rejected(f"the webhook refuses the record ({text})")
            case 401 | 403:
                return Misconfigured(f"{self._field}.credentialsSecretRef: the webhook refuses them ({text})")
            case status if status < 400 or status in (404, 405):
                return Misconfigured(f"{self._field}.url: {self._url} is not the webhook ({text})")
            case _:
                return Retryable(f"the webhook fails ({text})", answer.retry_after)


def _message(answer: Answer) -> str:
    try:
        body = answer.json()
    except Retryable:
        return ""
    return str(body["message"]) if isinstance(body, dict) and "message" in body else ""
