"""`ca`: a CA whose key pair is in a Secret (`tls.crt`, `tls.key`, and `ca.crt` with the root if it is an intermediate).

A repeat is harmless: nothing outside the operator is asked. The Secret is read at each check, not for each order.
With `crl.secretName` it revokes: the list (RFC 5280, section 5) is kept, and published, as `ca.crl` in that Secret, and
beside it when the certificates on it expire, after which they are dropped.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.hashes import SHA256

from csr_operator.pki import constraints
from csr_operator.pki.authority import Authority, load_authority, sign
from csr_operator.pki.crl import Expiries, crl_number, is_signed_by, load_crl, revoked, sign_crl
from csr_operator.pki.errors import PkiError
from csr_operator.pki.extensions import extension_of
from csr_operator.pki.fingerprint import serial_octets, sha256_fingerprint
from csr_operator.plugin import credentials
from csr_operator.plugin.backend import Backend, Health, Issued, Order, Pending, Traits
from csr_operator.plugin.context import Context
from csr_operator.plugin.errors import Misconfigured, Rejected, Retryable
from csr_operator.plugin.offload import offload

from .backdate import backdate_of, validity

_KEYS = {"tls.crt": "the CA's certificate", "tls.key": "its private key"}
_CRL = "ca.crl"
_CRL_LIFE = timedelta(days=7)
_EXPIRIES = "expiries.json"
_SECRET_BYTES = 1024 * 1024
"""What a Secret holds (https://kubernetes.io/docs/concepts/configuration/secret/#restriction-data-size)."""

_Entry = tuple[x509.ReasonFlags, datetime]
"""Why a certificate is revoked, and when it expires."""


class CaBackend(Backend):
    """Issuers of `spec.ca`: the operator signs with the key pair in a Secret.

    It publishes a revocation list as well, if the spec names a Secret for that.
    """

    def __init__(
        self, secret_name: str, crl_name: str, crl_urls: Sequence[str], backdate: timedelta, context: Context
    ) -> None:
        self._backdate = backdate
        self._secret_name, self._crl_name, self._crl_urls = secret_name, crl_name, tuple(crl_urls)
        self.traits = Traits(revokes=bool(crl_name), knows_roots=True)
        self._context, self._secret = context, context.secret(secret_name)
        self._where = f"spec.ca.secretName: {self._secret}"
        self._loaded: tuple[Mapping[str, bytes], Authority] | None = None
        self._listing = asyncio.Lock()
        self._unlisted: dict[int, _Entry] = {}  # to be revoked, by serial number
        self._last, self._last_expiries = b"", b""  # as they were published
        self._size = 0  # of the Secret's data, in bytes

    @classmethod
    def create(cls, config: Mapping[str, Any], context: Context) -> Self:
        if not (secret_name := config.get("secretName")):
            raise Misconfigured("spec.ca.secretName: name the Secret that holds the CA's key pair")
        crl = config.get("crl") or {}
        backdate = backdate_of(config, "spec.ca")
        return cls(secret_name, crl.get("secretName") or "", crl.get("distributionPoints") or (), backdate, context)

    async def check(self) -> Health:
        authority = await self._load()
        if self._crl_name:
            usage = extension_of(authority.certificate, x509.KeyUsage)
            if usage is not None and not usage.crl_sign:
                raise Misconfigured(
                    f"{self._where}: the CA may not sign revocation lists, as its key usage lacks "
                    "cRLSign: renew it with that, or remove spec.ca.crl"
                )
            async with self._listing:
                await self._update_crl(authority, {})
        certificate = authority.certificate
        message = f"signs as {_signer(certificate)}, valid until {_day(certificate.not_valid_after_utc)}"
        if self._size > _SECRET_BYTES * 3 // 4:
            size = f"{self._size // 1024} of at most 1024 KiB"
            message += f"; {self._context.secret(self._crl_name)} holds {size} of revocation lists: {_ROOM}"
        return Health(
            message,
            sha256_fingerprint(certificate),
            certificate.not_valid_after_utc,
        )

    async def submit(self, order: Order) -> Issued | Pending:
        authority = self._loaded[1] if self._loaded else await self._load()
        now = self._context.clock()
        self._must_be_valid(authority, now)
        first, last = validity(now, order.duration, self._backdate)
        try:
            certificate = sign(
                authority, order.csr, order.profile, not_before=first, not_after=last, crl_urls=self._crl_urls
            )
            forbidden = constraints.check((certificate, *authority.certificates))
        except PkiError as error:
            raise Rejected(str(error)) from None
        if forbidden:
            why = "; ".join(difference.removeprefix("name constraints: ") for difference in forbidden)
            raise Rejected(f"the name constraints of the CA forbid it: {why}: leave that out, or use another issuer")
        roots = () if authority.root is None else (authority.root,)
        return Issued((certificate, *authority.chain, *roots), roots)

    async def poll(self, order: Order, handle: str) -> Issued | Pending:
        return await self.submit(order)

    async def roots_of(self, leaf: x509.Certificate) -> Sequence[x509.Certificate] | None:
        authority = self._loaded[1] if self._loaded else await self._load()
        return tuple(certificate for certificate in authority.certificates if certificate != leaf)

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
        self._unlisted[certificate.serial_number] = (reason, certificate.not_valid_after_utc)
        async with self._listing:
            if certificate.serial_number in self._unlisted:  # else the one before has listed it as well
                await self._update_crl(authority, dict(self._unlisted))

    async def _update_crl(self, authority: Authority, wanted: Mapping[int, _Entry]) -> None:
        """Add what is not listed yet, or sign the list anew when half its time is over; what has expired goes."""
        now, signed, expiries, size = self._context.clock(), b"", b"", 0

        def change(data: Mapping[str, bytes]) -> Mapping[str, bytes]:
            nonlocal signed, expiries, size
            size = sum(map(len, data.values()))
            # Also those of other keys, one of which the CA may have been given back.
            known = [load_crl(pem) for name, pem in data.items() if name.endswith(".crl")]
            shown = load_crl(data[_CRL]) if _CRL in data else None
            if self._last:  # whatever became of the Secret: what was revoked stays so
                known.append(load_crl(self._last))
            before = max((crl for crl in known if is_signed_by(crl, authority)), key=crl_number, default=None)
            listed = revoked(before)
            new = {serial: what for serial, what in wanted.items() if serial not in listed}
            # One that begins later was signed by a clock that was put back since, and is refused until then.
            serves = before is not None and before.last_update_utc <= now < _half_time(before)
            if before is not None and before == shown and not new and serves:
                signed, expiries = data[_CRL], data.get(_EXPIRIES, b"")
                return data
            known_expiries = Expiries({})
            gone: set[int] = set()
            if before is not None:
                texts = (data.get(_EXPIRIES, b""), self._last_expiries)
                kept_expiries = (Expiries.read(text, before) for text in texts if text)
                known_expiries = next((table for table in kept_expiries if table is not None), known_expiries)
                gone = {serial for serial in listed if known_expiries.passed(serial, before.last_update_utc)}
            expiries = known_expiries.of(
                listed.keys() - gone, {serial: not_after for serial, (_, not_after) in new.items()}
            ).written()
            number = max((crl_number(crl) for crl in known if crl.issuer == authority.certificate.subject), default=0)
            signed = sign_crl(
                authority,
                before,
                number=number + 1,
                now=now,
                this_update=self._begin_of_list(authority, before, now),
                next_update=now + _CRL_LIFE,
                revoke={serial: why for serial, (why, _) in new.items()},
                drop=gone,
                expiries=expiries,
            )
            kept = dict(data)
            if shown is not None and not is_signed_by(shown, authority):
                kept[f"{shown.fingerprint(SHA256()).hex()[:16]}.crl"] = data[_CRL]  # that of a CA before this one
            kept |= {_CRL: signed, _EXPIRIES: expiries}
            size = sum(map(len, kept.values()))
            if size > _SECRET_BYTES:
                raise Misconfigured(
                    f"spec.ca.crl.secretName: {self._context.secret(self._crl_name)}: the revocation list would be of "
                    f"{len(listed) - len(gone) + len(new)} certificates, and with {size // 1024} KiB it is more "
                    f"than a Secret holds (1024 KiB): {_ROOM}"
                )
            return kept

        try:
            await self._context.write_secret(self._crl_name, change)
        except PkiError as error:
            raise Misconfigured(f"spec.ca.crl.secretName: {self._context.secret(self._crl_name)}: {error}") from None
        self._last, self._last_expiries, self._size = signed, expiries, size
        for serial in wanted:
            self._unlisted.pop(serial, None)

    def _begin_of_list(
        self, authority: Authority, before: x509.CertificateRevocationList | None, now: datetime
    ) -> datetime:
        """Dated back as certificates are, but not to before the CA's own, or the list that it follows, unless that one
        was signed by a clock that was ahead."""
        first = max(now - self._backdate, authority.certificate.not_valid_before_utc)
        follows = before is not None and before.last_update_utc <= now
        return max(first, before.last_update_utc) if before is not None and follows else first

    async def _load(self) -> Authority:
        where = f" -n {self._context.namespace}" if self._context.namespace else ""
        remedy = (
            "a CertificateRequest with isCA and that secretName makes it; or create it, for example with "
            f"`kubectl create secret tls {self._secret_name}{where} --cert=ca.crt --key=ca.key`"
        )
        try:
            data = await credentials.read(self._context, self._secret_name, "spec.ca.secretName", _KEYS, remedy)
        except Misconfigured:
            self._loaded = None  # what cannot be read any more must not go on signing
            raise
        self._loaded, before = None, self._loaded
        if before is None or before[0] != data or not before[1].valid_at(self._context.clock()):
            before = (data, await offload(sum(map(len, data.values())), self._parse, data))
        self._must_be_valid(before[1], self._context.clock())
        self._loaded = before
        return before[1]

    def _parse(self, data: Mapping[str, bytes]) -> Authority:
        try:
            now = self._context.clock()
            return load_authority(data["tls.crt"], data["tls.key"], data.get("ca.crt", b""), now=now)
        except PkiError as error:
            raise Misconfigured(f"{self._where}: {error}") from None

    def _must_be_valid(self, authority: Authority, now: datetime) -> None:
        if now < authority.not_before:
            raise Retryable(
                # Not the time now, with which each look would find a new message.
                f"{self._where}: tls.crt: the CA certificate or one above it is valid from "
                f"{_day(authority.not_before)} on only, which the operator's clock has not reached: wait, or set the "
                "clock of the operator's node right"
            )
        if not authority.valid_at(now):
            raise Misconfigured(
                f"{self._where}: the CA certificate or one above it is not valid now "
                f"(its own: {_day(authority.certificate.not_valid_before_utc)} to "
                f"{_day(authority.certificate.not_valid_after_utc)}): renew it"
            )


_ROOM = "have certificates expire sooner, or give the CA another key and name another Secret in spec.ca.crl.secretName"


def _signer(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string() or f"the CA with the serial number {serial_octets(certificate)}"


def _half_time(crl: x509.CertificateRevocationList) -> datetime:
    return crl.last_update_utc + ((crl.next_update_utc or crl.last_update_utc) - crl.last_update_utc) / 2


def _day(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
