"""The staging Secrets: key, CSR and handle of an order, as long as it is under way."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from csr_operator.api.parse_secret import parse_staged
from csr_operator.api.reasons import Reason
from csr_operator.api.request import CertificateRequest
from csr_operator.api.seal import Seal
from csr_operator.api.secrets import NEVER, Setback, Staged
from csr_operator.api.times import format_time
from csr_operator.decisions.pace import cause_of, order_pause
from csr_operator.kube.errors import KubeError
from csr_operator.kube.objects import secret_data
from csr_operator.kube.secrets import Secrets
from csr_operator.pki.csr import csr_digest, load_csr
from csr_operator.pki.errors import PkiError
from csr_operator.pki.keys import KeyEncoding, private_key_pem

from . import secret_body as outputs
from .attempt import Basis
from .backend_calls import GuardedBackend
from .failures import Failed, Overtaken
from .signing_requests import pem_of

MaySend = Callable[[CertificateRequest, GuardedBackend, x509.CertificateSigningRequest], Awaitable[None]]
"""Raises Failed, or Overtaken, if this very CSR may not be sent to this CA now."""


class Staging:
    """client: of the Kubernetes API. All methods raise KubeError."""

    def __init__(self, client: Secrets, seal: Seal, may_send: MaySend) -> None:
        self._client, self._seal, self._may_send = client, seal, may_send

    async def read(self, staged: Staged) -> Mapping[str, bytes] | None:
        """What is kept for the order; None if that is not there any more."""
        stored = await self._client.get(staged.key)
        if stored is None or stored["metadata"]["uid"] != staged.uid:
            return None
        return secret_data(stored)

    async def csr_pem(self, staged: Staged) -> str:
        """The CSR of an order; empty if it is not kept any more. Raises PkiError."""
        stored = await self._client.get(staged.key)
        return pem_of(load_csr(secret_data(stored).get("tls.csr", b""))) if stored is not None else ""

    async def keep(
        self,
        request: CertificateRequest,
        plan: outputs.Plan,
        ca: GuardedBackend,
        basis: Basis,
        before: Staged | None = None,
    ) -> Staged:
        """Keep what the order needs. before: as it was kept until now. Raises Failed, Overtaken."""
        pem = b""
        if basis.key is not None and request.spec.key_is_ours:
            pem = private_key_pem(basis.key, KeyEncoding.PKCS8)
        body = outputs.staging_body(
            request, plan, ca.issuer, pem, basis.csr_pem, self._seal, leaves_traces=ca.traits.abandons
        )
        where = outputs.staging_key(request)
        if before is not None:
            body["metadata"]["uid"] = before.uid
        try:
            staged = parse_staged(await self._client.apply(where, body, new=before is None), self._seal)
        except KubeError as error:
            if error.status == 409:
                there = await self._client.get(where)
                kept = parse_staged(there, self._seal) if there is not None else None
                if there is None and before is not None:
                    # Somebody deleted it. The order is there nevertheless, unless its request went as well.
                    await self._may_send(request, ca, basis.csr)
                    return await self.keep(request, plan, ca, basis)
                if there is None or (kept is not None and kept.owner_uid == request.uid):
                    raise Overtaken(kept) from None  # it is our own order, of which the watch has not told yet
                text = f"Secret {where.name} is there already, where key and CSR are to be kept: delete that Secret"
                raise Failed(Reason.SECRET_NOT_OWNED, text) from None
            if error.status in (403, 422):
                text = f"Secret {where.name}, for the order, was refused: {error}"
                raise Failed(Reason.SECRET_REFUSED, text) from None
            raise
        assert staged is not None
        return staged

    async def discard(self, staged: Staged) -> None:
        """Delete it."""
        await self._client.delete(staged.key, staged.uid)

    async def abandon(self, staged: Staged, ca: GuardedBackend) -> None:
        """Have the CA take back what its order left behind. Raises Failed."""
        data = await self.read(staged)
        if data is None:
            return
        try:
            csr = load_csr(data.get("tls.csr", b""))
        except PkiError:
            return  # without it, no order was placed that anybody could find
        if csr_digest(pem_of(csr)) != staged.csr:
            return  # it was exchanged, and leads to the order of somebody else
        await ca.abandon(order_key(staged.owner_uid, staged.revision, csr), csr, staged.handle)

    async def release(self, staged: Staged) -> None:
        """Let a staging Secret go whose order left nothing behind."""
        await self._client.remove_finalizers(staged.key, staged.uid)


def order_key(uid: str, revision: int, csr: x509.CertificateSigningRequest) -> str:
    """By what a CA's backend finds an order again, whoever places it: that of this revision, for this CSR."""
    return hashlib.sha256(f"{uid}/{revision}/".encode() + csr.public_bytes(Encoding.DER)).hexdigest()


def set_back(
    request: CertificateRequest, plan: outputs.Plan, ca: GuardedBackend, failed: Failed, now: datetime
) -> outputs.Plan:
    """What is kept of an order that failed so; of `failed`, when it is tried again."""
    cause = cause_of(request.wishes.renew, ca.version)
    if failed.permanent:
        return replace(plan, setback=Setback(NEVER, cause, failed.reason, failed.message))
    failed.after = max(failed.after, order_pause(plan.lapses))
    setback = None
    if failed.after:
        again = format_time(now + failed.after)
        failed.message += f"; another order is placed at {again}"
        setback = Setback(again, cause, failed.reason, failed.message)
    return replace(plan, handle="", lapses=plan.lapses + 1, setback=setback)
