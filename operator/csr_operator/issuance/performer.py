"""Carries out one Action: key, CSR, CA, verification, and one write of the Secret.

What went wrong comes back as `Failed`, in the words that the user reads; nothing is half written.
"""

import contextlib
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cryptography import x509

from csr_operator.api.reasons import Reason
from csr_operator.api.request import CertificateRequest, RotationPolicy
from csr_operator.api.seal import Seal
from csr_operator.api.secrets import Record, SecretMeta, Staged
from csr_operator.api.times import parse_time
from csr_operator.kube.client import Kube
from csr_operator.kube.objects import secret_data
from csr_operator.metrics import ISSUANCE_SECONDS
from csr_operator.pki.chain import Chain, load_bundle
from csr_operator.pki.csr import load_csr
from csr_operator.pki.errors import Mismatch, PkiError
from csr_operator.pki.fingerprint import sha256_fingerprint
from csr_operator.pki.keys import PrivateKey
from csr_operator.pki.verify import clock_words
from csr_operator.plugin.backend import Issued, Order, Pending
from csr_operator.plugin.offload import offload

from . import secret_body as outputs
from .answer import check_answer
from .attempt import Basis, Ordered, Written
from .backend_calls import GuardedBackend
from .failures import Failed, Overtaken
from .issued_secrets import IssuedSecrets
from .referenced_secrets import References
from .restore import Restorer
from .revocation import Revoker
from .signing_requests import SigningRequests, pem_of
from .staging import MaySend, Staging, order_key, set_back
from .takeover import Takeover


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One certificate, from one CA."""

    request: CertificateRequest
    plan: outputs.Plan
    ca: GuardedBackend
    basis: Basis
    secret: SecretMeta | None
    """The request's Secret as it was decided on; None if there was none."""
    staged: Staged | None
    """Where the order is kept; None if it costs nothing to place another."""
    begun: datetime
    repeated: bool = False
    """It may have been placed before, of which nothing is kept."""

    @property
    def order_key(self) -> str:
        return order_key(self.request.uid, self.plan.revision, self.basis.csr)


class Performer:
    """`cpu` is where signatures that take long are made, `clock` gives the time in UTC.

    may_send raises Failed, or Overtaken, if this very CSR may not be sent to this CA now. All methods raise Failed, and
    KubeError and Unreachable where trying again is all there is to do; those that ask a CA for a certificate Overtaken.
    """

    def __init__(self, kube: Kube, cpu: Executor, clock: Callable[[], datetime], seal: Seal, may_send: MaySend) -> None:
        self._clock, self._may_send = clock, may_send
        self._references = References(kube.secrets)
        self._csrs = SigningRequests(self._references, cpu)
        self.secrets = IssuedSecrets(kube.secrets, seal)
        """What is read and written of the requests' Secrets."""
        self.staging = Staging(kube.secrets, seal, may_send)
        """Orders under way."""
        self.revoker = Revoker(kube.secrets, self.secrets, seal)
        """Revocations, and what waits for them."""
        self.restorer = Restorer(self.secrets, self._csrs, self._references, clock)
        """Repairs."""
        self.takeover = Takeover(kube, self.secrets, self._csrs, self._references, clock, seal)
        """Secrets of others."""

    async def issue(
        self,
        request: CertificateRequest,
        revision: int,
        secret: SecretMeta | None,
        ca: GuardedBackend,
        *,
        revoke_old: bool,
        hurries: int = 0,
        new_key: bool = False,
        made: PrivateKey | None = None,
    ) -> Written | Ordered:
        """Have a certificate issued, or ordered.

        hurries: as the record is to say. new_key: in any case, if it is the operator's to make. made: one that was made
        beforehand, as is to be done with those that take long. Raises NeedsKey if it was not.
        """
        begun, existing = self._clock(), None
        keeps = request.spec.private_key.rotation_policy is RotationPolicy.NEVER
        if secret is not None and (revoke_old or ca.traits.costs or secret.debts or keeps):
            existing = await self.secrets.own(request)
            secret = self.secrets.as_decided_on(request, existing, secret)
        key, csr = await self._csrs.made(request, None if new_key else existing, ca, made)
        passwords = await self._references.passwords(request)
        basis = Basis(csr, key, passwords, *self.revoker.to_revoke(request, existing, revoke_old))
        plan, staged = outputs.Plan(revision, hurries), None
        if ca.traits.costs:
            await self._may_send(request, ca, csr)  # also before anything is kept for it
            staged = await self.staging.keep(request, plan, ca, basis)
        return await self._order(_Attempt(request, plan, ca, basis, secret, staged, begun))

    async def resume(
        self,
        request: CertificateRequest,
        secret: SecretMeta | None,
        staged: Staged,
        ca: GuardedBackend,
        *,
        revoke_old: bool,
    ) -> Written | Ordered | None:
        """Go on with an order; None if there is none any more, or none that can be gone on with."""
        data = await self.staging.read(staged)
        if data is None:
            return None
        passwords = await self._references.passwords(request)
        kept = await self._csrs.kept(request, ca, data, staged.csr)
        if kept is None:
            await self.staging.discard(staged)
            return None
        # Where no Secret is known, none is looked for at each poll: the write fails if there is one.
        existing = None
        if secret is not None or revoke_old:
            existing = await self.secrets.own(request)
            secret = self.secrets.as_decided_on(request, existing, secret)
        key, csr = kept
        basis = Basis(csr, key, passwords, *self.revoker.to_revoke(request, existing, revoke_old))
        plan = outputs.Plan(staged.revision, staged.hurries, staged.handle, staged.lapses)
        begun = parse_time(staged.created)
        return await self._order(_Attempt(request, plan, ca, basis, secret, staged, begun, repeated=not staged.handle))

    async def csr_pem(self, request: CertificateRequest, staged: Staged | None, record: Record | None) -> str:
        """The CSR of the order under way, or for the key in use; empty if there is none, or it cannot be read."""
        try:
            if staged is not None:
                return await self.staging.csr_pem(staged)
            if record is None:
                return ""
            if request.spec.csr_pem:
                return pem_of(load_csr(request.spec.csr_pem.encode()))
            existing = await self.secrets.own(request)
            key = None if existing is None else await self._csrs.key_in_use(request, secret_data(existing))
            if key is None:
                return ""
            return pem_of(await self._csrs.csr_in_use(request, key, record.csr))
        except (PkiError, Failed):
            return ""

    async def _order(self, attempt: _Attempt) -> Written | Ordered:
        request, plan, ca, basis, staged = attempt.request, attempt.plan, attempt.ca, attempt.basis, attempt.staged
        await self._may_send(request, ca, basis.csr)
        try:
            answer = await ca.ask(await _order_of(attempt), staged.handle if staged is not None else "")
        except Failed as failed:
            if attempt.repeated:
                failed.unplaced = False  # it may have been at the first attempt
            if staged is not None and (failed.lapsed or failed.permanent):
                rest = set_back(request, plan, ca, failed, self._clock())
                failed.staged = await self.staging.keep(request, rest, ca, basis, staged)
            raise
        if isinstance(answer, Pending):
            return Ordered(await self._keep_placed(attempt, answer), answer, basis.csr_pem)
        return await self._store(attempt, answer)

    async def _keep_placed(self, attempt: _Attempt, answer: Pending) -> Staged:
        """The order as it is kept from now on."""
        ca, basis, staged = attempt.ca, attempt.basis, attempt.staged
        if staged is None:
            text = f"backend {ca.name} left an order pending, which only one that says that it `costs` may do"
            raise Failed(Reason.ISSUER_NOT_READY, text, by_issuer=True)
        if answer.handle == staged.handle:
            return staged
        placed = replace(attempt.plan, handle=answer.handle, setback=None)
        try:
            return await self.staging.keep(attempt.request, placed, ca, basis, staged)
        except Overtaken:
            # Nobody will go on with it. What it left behind, the CA is told at once, or nobody tells it.
            with contextlib.suppress(Failed):
                await ca.abandon(attempt.order_key, basis.csr, answer.handle)
            raise

    async def _store(self, attempt: _Attempt, answer: Issued) -> Written:
        request, plan, ca, basis, staged = attempt.request, attempt.plan, attempt.ca, attempt.basis, attempt.staged
        weight = request.spec.weight + sum(len(c.tbs_certificate_bytes) for c in (*answer.certificates, *answer.roots))
        chain = await offload(weight, accept, request, basis.csr, answer, self._clock())
        record = outputs.record_of(
            request,
            plan.revision,
            ca.issuer,
            chain,
            basis.csr_pem,
            self._clock(),
            plan.hurries,
            answer.reference,
            answer.renewal,
        )
        meta = await self.secrets.write(request, record, chain, basis, attempt.secret)
        ISSUANCE_SECONDS.labels(ca.name).observe(max((self._clock() - attempt.begun).total_seconds(), 0.0))
        if staged is not None:
            if staged.leaves_traces:
                await self.staging.release(staged)
            await self.staging.discard(staged)
        return Written(meta, basis.csr_pem, answer.renewal, basis.lost, staged)


async def _order_of(attempt: _Attempt) -> Order:
    """As the CA is given it."""
    request, ca, basis, secret = attempt.request, attempt.ca, attempt.basis, attempt.secret
    record = secret.record if secret is not None else None
    replaces = record if record is not None and record.issuer == ca.issuer and record.reference else None
    return Order(
        key=attempt.order_key,
        csr=basis.csr,
        profile=request.spec.template.profile,
        duration=request.spec.duration,
        private_key=basis.key if ca.traits.needs_private_key else None,
        answer=await offload(len(request.wishes.imported), _brought, request, secret),
        repeated=attempt.repeated,
        replaces=replaces.reference if replaces is not None else "",
        replaces_fingerprint=replaces.sha256_fingerprint if replaces is not None else "",
    )


def accept(request: CertificateRequest, csr: x509.CertificateSigningRequest, issued: Issued, now: datetime) -> Chain:
    """The chain in a CA's answer. Raises Failed, with what to wait for, if it is not what was asked for."""
    try:
        return check_answer(
            request,
            csr,
            issued.certificates,
            now,
            roots=issued.roots,
            rules=issued.rules,
            any_duration=issued.any_duration,
        )
    except Mismatch as error:
        differences = "; ".join(error.differences)
        if error.not_before is not None:
            # It comes into force by itself, or once a clock is set right.
            text = f"the CA's answer is not valid yet: {differences}; {clock_words(error, now)}"
            wait = max(error.not_before - now, timedelta(0))
            raise Failed(Reason.ANSWER_MISMATCH, text, permanent=False, needs_user=False, after=wait) from None
        if error.is_over:
            text = f"the CA's answer is not valid any more: {differences}; {clock_words(error, now)}"
            raise Failed(Reason.ANSWER_MISMATCH, text, permanent=False) from None
        text = f"the CA's answer is not what was asked for: {differences}"
        raise Failed(Reason.ANSWER_MISMATCH, text) from None
    except PkiError as error:
        text = f"the CA's answer is unusable: {error}"
        raise Failed(Reason.ANSWER_MISMATCH, text) from None


def _brought(request: CertificateRequest, secret: SecretMeta | None) -> bytes:
    """What a person brought, unless the Secret holds it already: a renewal waits for something newer."""
    brought = request.wishes.imported.encode()
    record = secret.record if secret is not None else None
    if brought and record is not None:
        try:
            if record.sha256_fingerprint in map(sha256_fingerprint, load_bundle(brought)):
                return b""
        except PkiError:
            pass  # the backend says what is wrong with it
    return brought
