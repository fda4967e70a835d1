"""A backend with every trait, written as a third party would: with nothing but `csr_operator.plugin`.

`mypy --strict` reads it: what is promised is enough, and typed.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from csr_operator.plugin import (
    Backend,
    Context,
    Health,
    Issued,
    Lapsed,
    Misconfigured,
    Order,
    Pending,
    PkiError,
    Rejected,
    Renewal,
    Retryable,
    Rules,
    Traits,
    bounded_pause,
    credentials,
    http,
    load_bundle,
    sha256_fingerprint,
    text,
)

_KEYS = {"password": "the CA's password"}


class EveryTrait(Backend):
    """config: `url`, `secretName`; with `free`, its orders cost nothing."""

    def __init__(self, config: Mapping[str, Any], context: Context) -> None:
        self.traits = Traits(
            needs_private_key=False,
            costs=not config.get("free"),
            revokes=True,
            knows_roots=True,
            suggests_renewal=True,
            abandons=True,
            repeats_common_name=True,
        )
        self._url, self._secret = str(config["url"]), str(config["secretName"])
        self._trusted = http.trust(str(config.get("caBundle") or ""), "spec.external.config.caBundle")
        self._context = context

    @classmethod
    def create(cls, config: Mapping[str, Any], context: Context) -> Self:
        if not config.get("url") or not config.get("secretName"):
            raise Misconfigured("spec.external.config: write url and secretName")
        return cls(config, context)

    async def check(self) -> Health:
        (root, *_) = await self._roots()
        return Health("is well", sha256_fingerprint(root), root.not_valid_after_utc)

    async def submit(self, order: Order) -> Issued | Pending:
        answer = await self._call("POST", "orders", order.csr.public_bytes(Encoding.PEM).decode())
        return Pending(str(answer.json()), timedelta(seconds=5), "waits", by_user=True)

    async def poll(self, order: Order, handle: str) -> Issued | Pending:
        answer = await self._call("GET", f"orders/{handle}")
        if answer.status == 404:
            raise Lapsed("the order is gone", bounded_pause(60))
        now = self._context.clock()
        renewal = Renewal(now, now + timedelta(days=1), ask_after=timedelta(hours=6))
        certificates, roots = self._read(answer), await self._roots()
        return Issued(certificates, roots, any_duration=True, rules=Rules(), reference=handle, renewal=renewal)

    async def revoke(self, certificate: x509.Certificate, reason: x509.ReasonFlags) -> None:
        await self._call("POST", "revoke", f"{certificate.serial_number:x} {reason.value}")

    async def roots_of(self, leaf: x509.Certificate) -> Sequence[x509.Certificate] | None:
        return await self._roots()

    async def suggest_renewal(self, reference: str) -> Renewal | None:
        return None

    async def abandon(self, key: str, csr: x509.CertificateSigningRequest, handle: str) -> None:
        await self._call("DELETE", f"orders/{handle}")

    async def _roots(self) -> Sequence[x509.Certificate]:
        return self._read(await self._call("GET", "ca"))

    def _read(self, answer: http.Answer) -> Sequence[x509.Certificate]:
        try:
            return load_bundle(answer.body)
        except PkiError as error:
            raise Retryable(f"the CA's answer cannot be read: {error}") from None

    async def _call(self, method: str, path: str, body: object = None) -> http.Answer:
        field = "spec.external.config.secretName"
        password = (await credentials.read_texts(self._context, self._secret, field, _KEYS))["password"]
        session, url, headers = self._context.session(), f"{self._url}/{path}", {"Authorization": f"Bearer {password}"}
        answer = await http.call(session, self._trusted, method, url, headers=headers, body=body)
        said = text.redact(answer.body.decode(errors="replace"), [password])
        if answer.status in (429, 503):
            raise Retryable(said, answer.retry_after, unplaced=answer.status == 429)
        if answer.status == 422:
            raise Rejected(said)
        return answer
