"""`ca`: a CA whose key pair is in a Secret (`tls.crt`, `tls.key`, and `ca.crt` with the root if it is an intermediate).

A repeat is harmless: nothing outside the operator is asked. The Secret is read at each check, not for each order.
With `crl.secretName` it revokes: the list (RFC 5280, section 5) is kept, and published, as `ca.crl` in that Secret.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.hashes import SHA256

from csr_operator.offload import offload
from csr_operator.pki.authority import Authority, load_authority, sign
from csr_operator.pki.crl import crl_number, is_revoked, is_signed_by, load_crl, sign_crl
from csr_operator.pki.errors import PkiError
from csr_operator.pki.extensions import extension_of
from csr_operator.pki.fingerprint import sha256_fingerprint

from .base import Context, Health, Issued, Misconfigured, Order, Pending, Rejected

_CRL = "ca.crl"
_CRL_LIFE = timedelta(days=7)


class CaBackend:
    needs_private_key: ClassVar[bool] = False
    costs: ClassVar[bool] = False

    def __init__(self, secret_name: str, crl_name: str, crl_urls: Sequence[str], context: Context) -> None:
        self._secret_name, self._crl_name, self._crl_urls = secret_name, crl_name, tuple(crl_urls)
        self.revokes = bool(crl_name)
        self._context = context
        self._loaded: tuple[Mapping[str, bytes], Authority] | None = None
        self._listing = asyncio.Lock()
        self._unlisted: dict[int, x509.ReasonFlags] = {}  # to be revoked, by serial number
        self._last = b""  # the list as it was published

    @classmethod
    def create(cls, config: Mapping[str, Any], context: Context) -> Self:
        if not (secret_name := config.get("secretName")):
            raise Misconfigured("spec.ca.secretName: name the Secret that holds the CA's key pair")
        crl = config.get("crl") or {}
        return cls(secret_name, crl.get("secretName") or "", crl.get("distributionPoints") or (), context)

    async def check(self) -> Health:
        authority = await self._load()
        if self._crl_name:
            usage = extension_of(authority.certificate, x509.KeyUsage)
            if usage is not None and not usage.crl_sign:
                raise Misconfigured(
                    f"Secret {self._secret_name}: the CA may not sign revocation lists, as its key usage lacks "
                    "cRLSign: renew it with that, or remove spec.ca.crl"
                )
            async with self._listing:
                await self._update_crl(authority)
        certificate = authority.certificate
        return Health(
            f"signs as {certificate.subject.rfc4514_string()}, valid until {_day(certificate.not_valid_after_utc)}",
            sha256_fingerprint(certificate),
        )

    async def submit(self, order: Order) -> Issued | Pending:
        authority = self._loaded[1] if self._loaded else await self._load()
        now = self._context.clock()
        self._must_be_valid(authority, now)
        try:
            certificate = sign(
                authority,
                order.csr,
                order.profile,
                not_before=now,
                not_after=now + order.duration,
                crl_urls=self._crl_urls,
            )
        except PkiError as error:
            raise Rejected(str(error)) from None
        roots = () if authority.root is None else (authority.root,)
        return Issued((certificate, *authority.chain, *roots), roots)

    async def poll(self, order: Order, handle: str) -> Issued | Pending:
        return await self.submit(order)

    async def revoke(self, certificate: x509.Certificate, reason: x509.ReasonFlags) -> None:
        authority = self._loaded[1] if self._loaded else await self._load()
        if not self._crl_name:
            raise Rejected(
                "spec.ca.crl.secretName: name a Secret for the revocation list, to have certificates revoked"
            )
        try:
            certificate.verify_directly_issued_by(authority.certificate)
        except (ValueError, TypeError, InvalidSignature):
            raise Rejected("it was issued with another key than the CA has now") from None
        self._unlisted[certificate.serial_number] = reason
        async with self._listing:
            if certificate.serial_number in self._unlisted:  # else the one before has listed it as well
                await self._update_crl(authority)

    async def _update_crl(self, authority: Authority) -> None:
        """Add what is not listed yet, or sign the list anew when half its time is over."""
        now, wanted, signed = self._context.clock(), dict(self._unlisted), b""

        def change(data: Mapping[str, bytes]) -> Mapping[str, bytes]:
            nonlocal signed
            # Also those of other keys, one of which the CA may have been given back.
            known = [load_crl(pem) for name, pem in data.items() if name.endswith(".crl")]
            shown = load_crl(data[_CRL]) if _CRL in data else None
            if self._last:  # whatever became of the Secret: what was revoked stays so
                known.append(load_crl(self._last))
            before = max((crl for crl in known if is_signed_by(crl, authority)), key=crl_number, default=None)
            new = {serial: why for serial, why in wanted.items() if before is None or not is_revoked(before, serial)}
            if before is not None and before == shown and not new and now < _half_time(before):
                signed = data[_CRL]
                return data
            number = max((crl_number(crl) for crl in known if crl.issuer == authority.certificate.subject), default=0)
            signed = sign_crl(authority, before, number=number + 1, now=now, next_update=now + _CRL_LIFE, revoke=new)
            kept = dict(data)
            if shown is not None and not is_signed_by(shown, authority):
                kept[f"{shown.fingerprint(SHA256()).hex()[:16]}.crl"] = data[_CRL]  # that of a CA before this one
            return {**kept, _CRL: signed}

        try:
            await self._context.publish(self._crl_name, change)
        except PkiError as error:
            raise Misconfigured(f"Secret {self._crl_name}: {error}") from None
        self._last = signed
        for serial in wanted:
            self._unlisted.pop(serial, None)

    async def _load(self) -> Authority:
        data = await self._context.read_secret(self._secret_name)
        self._loaded, before = None, self._loaded  # what cannot be read any more must not go on signing
        if data is None:
            raise Misconfigured(f"Secret {self._secret_name}, named in spec.ca.secretName, does not exist: create it")
        if before is None or before[0] != data:
            before = (data, await offload(sum(map(len, data.values())), self._parse, data))
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


def _half_time(crl: x509.CertificateRevocationList) -> datetime:
    return crl.last_update_utc + ((crl.next_update_utc or crl.last_update_utc) - crl.last_update_utc) / 2


def _day(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
