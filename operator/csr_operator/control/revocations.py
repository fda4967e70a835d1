"""Has certificates revoked, and tells of those that stay valid; lets go of what waited for that."""

import logging
from collections.abc import Callable
from datetime import datetime

from csr_operator.api.keys import issuer_name
from csr_operator.api.names import REVOCATION_FINALIZER
from csr_operator.api.reasons import Reason
from csr_operator.api.request import CertificateRequest
from csr_operator.api.secrets import Record, SecretMeta
from csr_operator.api.times import format_time
from csr_operator.decisions.actions import Revoke
from csr_operator.decisions.revocation import unrevocable
from csr_operator.issuance.revocation import Revoker
from csr_operator.kube.client import Kube
from csr_operator.kube.errors import KubeError
from csr_operator.kube.events import Events
from csr_operator.pki.fingerprint import serial_octets

from .issuers import Issuers, KnownIssuer
from .journal import Journal
from .reports import Reports
from .store import Store


class Revocations:
    """clock: the time now, in UTC. What does I/O raises Failed, KubeError and Unreachable."""

    def __init__(
        self,
        kube: Kube,
        revoker: Revoker,
        store: Store,
        issuers: Issuers,
        reports: Reports,
        events: Events,
        journal: Journal,
        clock: Callable[[], datetime],
    ) -> None:
        self._kube, self._revoker, self._store, self._issuers = kube, revoker, store, issuers
        self._reports, self._events, self._journal, self._clock = reports, events, journal, clock

    async def revoke(self, request: CertificateRequest, action: Revoke, live: KnownIssuer) -> None:
        """Have revoked what `action` says, by the issuer that it names."""
        meta = None
        if action.current:
            done = await self._revoker.revoke_current(request, live.ca)
        else:
            done, meta = await self._revoker.revoke_debts(request, live.ca)
        for serial_number in done.revoked:
            text = f"{live.ca.issuer} revoked the certificate {serial_number}"
            self._events.normal(request, Reason.REVOKED, text)
            self._journal.say(logging.INFO, request.key, text)
        for serial_number, why in done.refused.items():
            self.tell_unrevoked(request, serial_number, why)
        if meta is None:
            await self.release(request)
        else:
            self._store.wrote_secret(meta)

    async def forget(self, request: CertificateRequest) -> None:
        """Give up what is still to be revoked."""
        written, forgotten = await self._revoker.forget(request)
        self._store.wrote_secret(written)
        for debt in forgotten:
            ends = format_time(debt.certificate.not_valid_after_utc)
            why = self._unrevocable(request, debt.issuer, ends)
            if why and not request.wishes.abandon_revocation:
                self.tell_unrevoked(request, serial_octets(debt.certificate), why)

    async def guard(self, request: CertificateRequest, secret: SecretMeta | None) -> None:
        """Have request and Secret wait, when they are deleted, for what is to be revoked."""
        if not request.is_guarded:
            await self._finalize(request, add=True)
        elif secret is not None and (meta := await self._revoker.guard(secret, guarded=True)) is not None:
            self._store.wrote_secret(meta)

    async def release(self, request: CertificateRequest, unrevoked: str = "") -> None:
        """Let the request go, and its Secret. unrevoked: what stays valid, and why.

        The request first: should this end in between, its Secret is known to wait for nobody.
        """
        with self._store.releasing(request):
            if not await self._finalize(request, add=False):
                return
            await self._revoker.let_go(request)
        if unrevoked:
            self._reports.note_unrevoked(request, unrevoked)

    async def release_secret(self, request: CertificateRequest, secret: SecretMeta) -> None:
        """Let the Secret alone go: there is nothing to wait for, or it was deleted."""
        if secret.deleted:
            if await self._kube.namespaces.is_going(request.namespace):
                # So is the request, soon, and then the certificate is revoked if that can be done.
                raise KubeError(409, "", f"namespace {request.namespace} is being deleted")
            for serial_number in await self._revoker.list_serials_to_revoke(request) if secret.debts else ():
                why = f"Secret {secret.name}, which recorded the revocation, was deleted"
                self.tell_unrevoked(request, serial_number, why)
        meta = await self._revoker.guard(secret, guarded=False)
        if meta is None:
            raise KubeError(404, "NotFound", f"Secret {secret.name} is gone")  # as the watch is about to show
        self._store.wrote_secret(meta)

    def tell_unrevoked(self, request: CertificateRequest, serial_number: str, why: str) -> None:
        """It was to be revoked, and stays valid."""
        self._reports.note_unrevoked(request, f"the certificate {serial_number} was not revoked: {why}")

    def tell_of_replaced(self, request: CertificateRequest, before: Record) -> None:
        """Another certificate was issued in the place of that of `before`; tell if that was to be revoked and cannot
        be."""
        wanted = request.spec.revocation.on_rotation or request.wishes.revoke == before.serial_number
        if wanted and (why := self._unrevocable(request, before.issuer, before.not_after)):
            self.tell_unrevoked(request, before.serial_number, why)

    def tell_what_stays_valid(self, request: CertificateRequest) -> None:
        """It is gone. Where its CA cannot revoke, no finalizer kept it for that."""
        secret, status = self._store.own_secret(request), request.status
        record = secret.record if secret is not None else None
        if not request.spec.revocation.on_delete:
            return
        if record is not None:
            number, why = record.serial_number, self._unrevocable(request, record.issuer, record.not_after)
        else:  # the Secret went first, as it does with `--cascade=foreground`
            number, first = status.serial_number, issuer_name(request.issuers[0])
            why = self._unrevocable(request, first, status.not_after) if number else ""
        if why:
            self.tell_unrevoked(request, number, why)

    def _unrevocable(self, request: CertificateRequest, issuer: str, not_after: str) -> str:
        key = request.issuer_key(issuer)
        live = self._issuers.get(key) if key is not None else None
        try:
            return unrevocable(key, not_after, live.state if live is not None else None, self._clock())
        except ValueError:
            return ""  # from a status, where anything may stand

    async def _finalize(self, request: CertificateRequest, *, add: bool) -> bool:
        """False if it has changed, and is looked at anew, or is gone."""
        finalizers = [f for f in request.finalizers if f != REVOCATION_FINALIZER]
        if add:
            finalizers.append(REVOCATION_FINALIZER)
        try:
            await self._kube.custom_objects.patch_finalizers(request.key, request.resource_version, finalizers)
        except KubeError as error:
            if error.status != 409 and not error.is_not_found:
                raise
            return False
        return True
