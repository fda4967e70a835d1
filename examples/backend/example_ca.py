"""Two backends of one's own, for a CA behind a small HTTP API that answers at once, or takes orders.

GET ca: its certificate. POST sign: the certificate for a CSR. POST orders and GET orders/ID: the same, when it is done.
POST revoke. Certificates and CSRs are PEM, everything else is JSON.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from csr_operator.plugin import (
    Backend,
    Context,
    Health,
    Issued,
    Misconfigured,
    Order,
    Pending,
    PkiError,
    Rejected,
    Retryable,
    Traits,
    bounded_pause,
    credentials,
    load_bundle,
    sha256_fingerprint,
)

_PATIENCE = aiohttp.ClientTimeout(total=60)
_LARGEST = 1 << 20
_LOOK_AGAIN = timedelta(seconds=2)


class ExampleCa(Backend):
    """Answers at once. A repeat is harmless: the CA forgets what it signed."""

    traits = Traits(revokes=True)

    def __init__(self, url: str, token_secret: str, context: Context) -> None:
        self._url, self._token_secret, self._context = url.rstrip("/"), token_secret, context

    @classmethod
    def create(cls, config: Mapping[str, Any], context: Context) -> Self:
        if unknown := config.keys() - {"url", "tokenSecretName"}:
            raise Misconfigured(f"spec.external.config takes url and tokenSecretName: remove {', '.join(unknown)}")
        url = urlsplit(str(config.get("url")))
        if not (url.scheme == "https" or url.hostname == "127.0.0.1"):
            raise Misconfigured("spec.external.config.url: write the CA's URL, such as https://ca.example.com")
        return cls(config["url"], str(config.get("tokenSecretName") or ""), context)

    async def check(self) -> Health:
        (certificate, *_) = _certificates(await self._call("GET", "ca"))
        # The fingerprint tells the operator when to have everything signed anew.
        return Health(f"signs as {certificate.subject.rfc4514_string()}", sha256_fingerprint(certificate))

    async def submit(self, order: Order) -> Issued | Pending:
        return Issued(_certificates(await self._call("POST", "sign", _asked(order))))

    async def revoke(self, certificate: x509.Certificate, reason: x509.ReasonFlags) -> None:
        await self._call("POST", "revoke", {"serial": f"{certificate.serial_number:X}", "reason": reason.value})

    async def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None, **headers: str) -> str:
        """The text of a good answer; raises BackendError for all others."""
        if self._token_secret:
            # Read for each call: a token that was exchanged is the new one at once, and none is kept.
            field = "spec.external.config.tokenSecretName"
            secret = await credentials.read_texts(self._context, self._token_secret, field, {"token": "the CA's token"})
            headers["Authorization"] = f"Bearer {secret['token']}"
        try:
            async with (
                aiohttp.ClientSession(timeout=_PATIENCE, trust_env=False) as session,
                session.request(method, f"{self._url}/{path}", json=body, headers=headers) as answer,
            ):
                text = (await answer.content.read(_LARGEST)).decode(errors="replace")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Retryable(f"{self._url}: {error or 'no answer'}") from None
        if answer.status < 300:
            return text
        if answer.status in (401, 403):
            raise Misconfigured(f"{self._url} refuses the token (HTTP status {answer.status})")
        if answer.status == 429 or answer.status >= 500:
            said = answer.headers.get("Retry-After", "")
            # Only of 429 is it sure that it did not do what it was asked.
            raise Retryable(
                f"{self._url}: {text or answer.reason}",
                after=bounded_pause(float(said) if said.isdecimal() else 0),
                unplaced=answer.status == 429,
            )
        raise Rejected(f"{self._url}: {text or answer.reason}")


class ExampleOrders(ExampleCa):
    """Takes orders. The CA knows an order by the key that it was placed with, and takes a second one for the first."""

    traits = Traits(costs=True, revokes=True)

    async def submit(self, order: Order) -> Issued | Pending:
        number = await self._call("POST", "orders", _asked(order), **{"Idempotency-Key": order.key})
        return Pending(number, _LOOK_AGAIN, f"order {number} is with the CA")

    async def poll(self, order: Order, handle: str) -> Issued | Pending:
        if not (chain := await self._call("GET", f"orders/{handle}")):
            return Pending(handle, _LOOK_AGAIN, f"order {handle} is with the CA")
        return Issued(_certificates(chain))


def _asked(order: Order) -> dict[str, Any]:
    profile = order.profile
    return {
        "csr": order.csr.public_bytes(Encoding.PEM).decode(),
        "seconds": order.duration.total_seconds(),
        "usages": list(profile.usages),
        "isCA": profile.is_ca,
    }


def _certificates(pem: str) -> tuple[x509.Certificate, ...]:
    try:
        return load_bundle(pem.encode())
    except PkiError as error:
        raise Retryable(f"the CA's answer cannot be read: {error}") from None
