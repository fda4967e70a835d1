"""Calls of Vault's HTTP API (https://developer.hashicorp.com/vault/api-docs), and what its errors mean."""

import ssl
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from csr_operator.plugin import http
from csr_operator.plugin.context import Context
from csr_operator.plugin.errors import Misconfigured, Rejected, Retryable
from csr_operator.plugin.text import redact

from .settings import Settings

_BUSY = timedelta(minutes=1)
"""How long to leave a server alone that is sealed, overloaded or broken and does not say for how long."""
_MOST_ERRORS = 10


class Refused(Rejected):
    """What Vault said no to. status: of HTTP. reason: its errors, in lower case."""

    def __init__(self, message: str, status: int, reason: str) -> None:
        super().__init__(message)
        self.status, self.reason = status, reason


class Client:
    """Calls of one server, in one of its namespaces."""

    def __init__(self, settings: Settings, context: Context) -> None:
        self._settings, self._context = settings, context
        self.trusted = http.trust(settings.ca_bundle, "spec.vault.caBundle")

    async def call(
        self,
        method: str,
        path: str,
        *,
        token: str = "",
        body: Mapping[str, Any] | None = None,
        trusted: ssl.SSLContext | None = None,
        secrets: Iterable[str] = (),
    ) -> Mapping[str, Any]:
        """The JSON object that answers it; empty where nothing does.

        trusted: with the client certificate to show. secrets: besides `token`, what no message may show.
        Raises Refused, Retryable and Misconfigured.
        """
        headers = {"X-Vault-Request": "true"}
        if token:
            headers["X-Vault-Token"] = token
        if self._settings.namespace:
            headers["X-Vault-Namespace"] = self._settings.namespace
        answer = await http.call(
            self._context.session(),
            trusted or self.trusted,
            method,
            f"{self._settings.server}/v1/{path}",
            headers=headers,
            body=body,
        )
        if 200 <= answer.status < 300:
            parsed = answer.json() if answer.body.strip() else {}
            if not isinstance(parsed, dict):
                raise Retryable("Vault's answer is not a JSON object", _BUSY)
            return parsed
        raise self._error(answer, path, [token, *secrets])

    def _error(self, answer: http.Answer, path: str, secrets: Iterable[str]) -> Exception:
        status, reason = answer.status, _reason_of(answer, secrets)
        if status == 429:
            return Retryable(f"Vault is asked too often ({reason})", answer.retry_after or _BUSY)
        if 300 <= status < 400:
            return Misconfigured(
                f"{self._settings.server} redirects (HTTP status {status}): name the active node, or what leads to it, "
                "in spec.vault.server"
            )
        if status >= 500 and "unable to find pki issuer" in reason.lower():
            return Misconfigured(f"Vault says: {reason}: check the issuer in spec.vault.path")
        if status >= 500 and "unable to verify signature on presented cert" in reason.lower():
            return Refused(f"Vault says: {reason}", status, reason.lower())
        if status >= 500 or status in (408, 412, 472, 473):
            why = "is sealed" if status == 503 and "sealed" in reason.lower() else "is not available now"
            return Retryable(f"Vault {why} ({reason})", answer.retry_after or _BUSY)
        if status == 404 and "namespace not found" in reason.lower():
            return Misconfigured(f"Vault says: {reason}: check spec.vault.namespace")
        if status == 404 and "no handler for route" in reason.lower():
            return Misconfigured(f"Vault has nothing at {path}: check the mount in spec.vault")
        return Refused(f"Vault says: {reason}", status, reason.lower())


def _reason_of(answer: http.Answer, secrets: Iterable[str]) -> str:
    """Its errors (https://developer.hashicorp.com/vault/api-docs#error-response) in one line."""
    hidden = list(secrets)
    try:
        body = answer.json()
    except Retryable:
        body = None
    errors = body.get("errors") if isinstance(body, dict) else None
    texts = [redact(error, hidden) for error in errors[:_MOST_ERRORS]] if isinstance(errors, list) else []
    return redact("; ".join(filter(None, texts)), hidden) or f"HTTP status {answer.status}"
