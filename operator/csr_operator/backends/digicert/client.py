"""Calls of DigiCert's two APIs: a key in a header, JSON, and errors as a list of codes and messages."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from csr_operator.plugin import credentials, http
from csr_operator.plugin.context import Context
from csr_operator.plugin.errors import Misconfigured, Rejected, Retryable
from csr_operator.plugin.text import redact

_KEY = "api-key"
_RATE_LIMITED = timedelta(minutes=1)
"""How long to wait where DigiCert names none: its limits count over windows of up to three minutes."""

_MOST_ERRORS = 10
_MOST_PAGES, _MOST_BYTES = 50, 16 * 1024 * 1024
_MUCH_LATER = timedelta(minutes=15)


class Refused(Rejected):
    """What DigiCert said no to. status: of HTTP. reason: its codes and messages in lower case."""

    def __init__(self, message: str, status: int, reason: str) -> None:
        super().__init__(message)
        self.status, self.reason = status, reason


class Client:
    """field: of the issuer's spec, such as `spec.digicert`. advice: what to do, by what the error's text holds."""

    def __init__(
        self,
        base: str,
        header: str,
        config: Mapping[str, Any],
        context: Context,
        field: str,
        advice: Mapping[str, str],
    ) -> None:
        if not (secret_name := config.get("secretName")):
            raise Misconfigured(f"{field}.secretName: name the Secret that holds the API key as {_KEY}")
        self._base = base.rstrip("/")
        self._header, self._secret_name, self._field = header, str(secret_name), field
        self._trusted = http.trust(config.get("caBundle") or "", f"{field}.caBundle")
        self._context, self._advice = context, advice

    async def key(self) -> str:
        """Raises Misconfigured without one."""
        field, keys = f"{self._field}.secretName", {_KEY: "the API key"}
        key = (await credentials.read_texts(self._context, self._secret_name, field, keys))[_KEY]
        if not re.fullmatch(r"[!-~]+", key):
            secret = self._context.secret(self._secret_name)
            raise Misconfigured(f"{secret}, named in {field}: {_KEY} is no API key: put DigiCert's there")
        return key

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """Raises Refused, Misconfigured and Retryable."""
        return (await self._call("GET", path, query=query)).json()

    async def pages(
        self, path: str, members: str, query: Mapping[str, str], size: int
    ) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
        """A list, page by page of `size` at most. Raises as `get`, and Retryable after 50 pages or 16 MiB."""
        offset = read = 0
        for _ in range(_MOST_PAGES):
            answer = await self._call("GET", path, query={**query, "limit": str(size), "offset": str(offset)})
            body = answer.json() if answer.body.strip() else {}
            try:
                items, total = list(body.get(members) or ()), int((body.get("page") or body).get("total", 0))
            except (TypeError, ValueError, AttributeError, OverflowError):
                items, total = [None], 0
            if not all(isinstance(item, dict) for item in items):
                raise Retryable(f"DigiCert's answer about {path} is not of the published form")
            yield items
            offset, read = offset + len(items), read + len(answer.body)
            if not items or offset >= total:
                return
            if read > _MOST_BYTES:
                break
        text = f"DigiCert lists more under {path} than is read, which is {_MOST_PAGES} pages and {_MOST_BYTES} bytes"
        raise Retryable(text, _MUCH_LATER)

    async def download(self, path: str) -> bytes:
        """As `get`, for what is no JSON."""
        return (await self._call("GET", path)).body

    async def send(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, query: Mapping[str, str] | None = None
    ) -> Any:
        """As `get`; None where the answer is empty."""
        answer = await self._call(method, path, query=query, body=body)
        return answer.json() if answer.body.strip() else None

    async def _call(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
    ) -> http.Answer:
        key = await self.key()  # for each call, so that one that was exchanged is the new one at once
        answer = await http.call(
            self._context.session(),
            self._trusted,
            method,
            f"{self._base}/{path}",
            headers={self._header: key},
            query=query,
            body=body,
        )
        if answer.status < 300:
            return answer
        reason = _reason_of(answer, key)
        status = answer.status
        if status == 401:
            secret = self._context.secret(self._secret_name)
            text = f"DigiCert refuses the API key ({reason}): put a valid one into {secret}, as {_KEY}"
            raise Misconfigured(text)
        if status == 403:
            raise Misconfigured(f"the API key may not {method} {path} ({reason}): give its user a role that allows it")
        if status == 429:
            text = f"DigiCert is asked too often by this API key ({reason})"
            raise Retryable(text, answer.retry_after or _RATE_LIMITED)
        if status >= 500 or status == 408 or status < 400:
            raise Retryable(f"DigiCert is not available now ({reason})", answer.retry_after)
        advice = next((what for pattern, what in self._advice.items() if re.search(pattern, reason.lower())), "")
        raise Refused(f"DigiCert says: {reason}{f': {advice}' if advice else ''}", status, reason.lower())


def _reason_of(answer: http.Answer, key: str) -> str:
    """The messages and codes in the answer, without the key: a list, or as some answers have it, one of them alone."""
    fallback = f"HTTP status {answer.status}"
    try:
        body = answer.json()
    except Retryable:
        return fallback
    errors = (body.get("errors") or body.get("error") or body) if isinstance(body, dict) else None
    texts = []
    for error in errors[:_MOST_ERRORS] if isinstance(errors, list) else [errors]:
        if isinstance(error, dict):
            message, code = redact(error.get("message") or "", [key]), redact(error.get("code") or "", [key])
            texts.append(f"{message.rstrip('.')} ({code})" if message and code else message or code)
    return redact("; ".join(filter(None, texts)), [key]) or fallback
