"""`ca`: a CA whose key pair is in a Secret (`tls.crt`, `tls.key`, and `ca.crt` with the root if it is an intermediate).

A repeat is harmless: nothing outside the operator is asked. The Secret is read at each check, not for each order.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Self

from csr_operator.pki.authority import Authority, load_authority, sign
from csr_operator.pki.errors import PkiError
from csr_operator.pki.fingerprint import sha256_fingerprint

from .base import Context, Health, Issued, Misconfigured, Order, Rejected


class CaBackend:
    needs_private_key: ClassVar[bool] = False

    def __init__(self, secret_name: str, context: Context) -> None:
        self._secret_name = secret_name
        self._context = context
        self._loaded: tuple[Mapping[str, bytes], Authority] | None = None

    @classmethod
    def create(cls, config: Mapping[str, Any], context: Context) -> Self:
        if not (secret_name := config.get("secretName")):
            raise Misconfigured("spec.ca.secretName: name the Secret that holds the CA's key pair")
        return cls(secret_name, context)

    async def check(self) -> Health:
        authority = await self._load()
        certificate = authority.certificate
        return Health(
            f"signs as {certificate.subject.rfc4514_string()}, valid until {_day(certificate.not_valid_after_utc)}",
            sha256_fingerprint(certificate),
        )

    async def submit(self, order: Order) -> Issued:
        authority = self._loaded[1] if self._loaded else await self._load()
        now = self._context.clock()
        self._must_be_valid(authority, now)
        try:
            certificate = sign(authority, order.csr, order.profile, not_before=now, not_after=now + order.duration)
        except PkiError as error:
            raise Rejected(str(error)) from None
        roots = () if authority.root is None else (authority.root,)
        return Issued((certificate, *authority.chain, *roots), roots)

    async def _load(self) -> Authority:
        data = await self._context.read_secret(self._secret_name)
        self._loaded, before = None, self._loaded  # what cannot be read any more must not go on signing
        if data is None:
            raise Misconfigured(f"Secret {self._secret_name}, named in spec.ca.secretName, does not exist: create it")
        if before is None or before[0] != data:
            before = (data, self._parse(data))
        self._must_be_valid(before[1], self._context.clock())
        self._loaded = before
        return before[1]

    def _parse(self, data: Mapping[str, bytes]) -> Authority:
        for name in ("tls.crt", "tls.key"):
            if not data.get(name):
                raise Misconfigured(f"Secret {self._secret_name}: {name} is missing; it needs tls.crt and tls.key")
        try:
            return load_authority(data["tls.crt"], data["tls.key"], data.get("ca.crt", b""))
        except PkiError as error:
            raise Misconfigured(f"Secret {self._secret_name}: {error}") from None

    def _must_be_valid(self, authority: Authority, now: datetime) -> None:
        if not authority.valid_at(now):
            raise Misconfigured(
                f"Secret {self._secret_name}: the CA certificate or one above it is not valid now "
                f"(its own: {_day(authority.certificate.not_valid_before_utc)} to "
                f"{_day(authority.certificate.not_valid_after_utc)}): renew it"
            )


def _day(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
