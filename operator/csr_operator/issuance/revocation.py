"""Revokes what is in use no more, and remembers in each Secret what is still to be revoked."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cryptography import x509

from csr_operator.api.names import OWED_ANNOTATION, REVOKED_ANNOTATION, SUPERSEDED
from csr_operator.api.request import CertificateRequest
from csr_operator.api.revocation_debts import RevocationDebt, write_debts
from csr_operator.api.seal import Seal
from csr_operator.api.secrets import SecretMeta
from csr_operator.kube.errors import KubeError
from csr_operator.kube.objects import Object
from csr_operator.kube.secrets import Secrets
from csr_operator.pki.fingerprint import serial_octets

from .backend_calls import GuardedBackend
from .failures import Failed
from .issued_secrets import IssuedSecrets, leaf_in, recorded_leaf


@dataclass(frozen=True, slots=True)
class Revocations:
    """What came of it, by serial number."""

    revoked: tuple[str, ...]
    """What was revoked."""
    refused: Mapping[str, str]
    """What was not and will not be, and why."""


class Revoker:
    """client: of the Kubernetes API. All methods raise Failed and KubeError, if nothing else is said."""

    def __init__(self, client: Secrets, secrets: IssuedSecrets, seal: Seal) -> None:
        self._client, self._secrets, self._seal = client, secrets, seal

    async def revoke_current(self, request: CertificateRequest, ca: GuardedBackend) -> Revocations:
        """Have the CA revoke the certificate in the Secret."""
        existing = await self._secrets.own(request)
        record = self._secrets.meta(existing).record if existing is not None else None
        if existing is None or record is None:
            return Revocations((), {})
        certificate = recorded_leaf(existing, record)
        if certificate is not None and _stays(request, existing):
            # First: one that is revoked is not to be taken over by the next request.
            text = f"{record.sha256_fingerprint} "
            text += self._seal.code("revoked", *request.secret, record.sha256_fingerprint)
            await self._client.annotate(existing, REVOKED_ANNOTATION, text)
        if certificate is None:
            return Revocations((), {record.serial_number: f"Secret {request.secret.name} no longer holds it"})
        reason = _reason_asked_for(request, record.serial_number) or "cessationOfOperation"
        return await _revoke(ca, ((certificate, reason),))

    async def revoke_debts(self, request: CertificateRequest, ca: GuardedBackend) -> tuple[Revocations, SecretMeta]:
        """Have the CA revoke those of its certificates that were replaced."""
        existing = await self._secrets.present(request)
        debts, in_use = self._secrets.read_debts(existing), leaf_in(existing)
        due = [
            (debt.certificate, debt.reason) for debt in debts if debt.issuer == ca.issuer and debt.certificate != in_use
        ]
        done = await _revoke(ca, due)
        rest = tuple(debt for debt in debts if debt.issuer != ca.issuer)
        return done, await self._remember(existing, write_debts(request.secret, rest, self._seal) if rest else None)

    async def forget(self, request: CertificateRequest) -> tuple[SecretMeta, tuple[RevocationDebt, ...]]:
        """Drop what is owed, and return it."""
        existing = await self._secrets.present(request)
        return await self._remember(existing, None), self._secrets.read_debts(existing)

    async def guard(self, secret: SecretMeta, *, guarded: bool) -> SecretMeta | None:
        """Have a Secret held, or let go, should it be deleted; None if it is gone, or going. Raises KubeError."""
        try:
            return self._secrets.meta(await self._client.guard(secret.key, secret.uid, guarded=guarded))
        except KubeError as error:
            if error.status not in (404, 409, 422):
                raise
            return None

    async def let_go(self, request: CertificateRequest) -> None:
        """Take the finalizer from the request's Secret, also from one that has lost its owner, or its label."""
        stored = await self._client.get(request.secret)
        if stored is None:
            return
        meta = self._secrets.meta(stored)
        if meta.guarded and meta.owner_uid in ("", request.uid):
            await self.guard(meta, guarded=False)

    async def list_serials_to_revoke(self, request: CertificateRequest) -> tuple[str, ...]:
        """Of the certificates that were to be revoked, as their Secret remembers them."""
        existing = await self._secrets.own(request)
        debts = self._secrets.read_debts(existing) if existing is not None else ()
        return tuple(serial_octets(debt.certificate) for debt in debts)

    def to_revoke(
        self, request: CertificateRequest, existing: Object | None, revoke_old: bool
    ) -> tuple[tuple[RevocationDebt, ...], str]:
        """What the new Secret has to remember; and the serial number of what cannot be revoked any more."""
        if existing is None:
            return (), ""
        debts = self._secrets.read_debts(existing)
        record = self._secrets.meta(existing).record
        if not revoke_old or record is None:
            return debts, ""
        old = recorded_leaf(existing, record)
        if old is None:
            return debts, record.serial_number
        if any(debt.certificate == old for debt in debts):
            return debts, ""
        reason = _reason_asked_for(request, record.serial_number) or SUPERSEDED
        return (*debts, RevocationDebt(record.issuer, old, reason)), ""

    async def _remember(self, existing: Object, value: str | None) -> SecretMeta:
        return self._secrets.meta(await self._client.annotate(existing, OWED_ANNOTATION, value))


def _stays(request: CertificateRequest, secret: Object) -> bool:
    """The Secret outlives the request, whose deletion is under way."""
    owners = [owner["uid"] for owner in secret["metadata"].get("ownerReferences") or ()]
    return request.spec.retain or "orphan" in request.finalizers or request.uid not in owners


def _reason_asked_for(request: CertificateRequest, serial_number: str) -> str | None:
    """Why its user wants this certificate revoked; None if they do not, or do not say so."""
    return request.wishes.revoke_because if request.wishes.revoke == serial_number else None


async def _revoke(ca: GuardedBackend, due: Iterable[tuple[x509.Certificate, str]]) -> Revocations:
    """due: with the reason of each, one of REVOCATION_REASONS."""
    revoked: list[str] = []
    refused: dict[str, str] = {}
    for certificate, reason in due:
        serial_number = serial_octets(certificate)
        try:
            await ca.revoke(certificate, x509.ReasonFlags(reason))
            revoked.append(serial_number)
        except Failed as failed:
            if not failed.permanent:
                raise
            refused[serial_number] = failed.message
    return Revocations(tuple(revoked), refused)
