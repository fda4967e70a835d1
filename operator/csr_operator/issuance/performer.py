"""Carries out one Action: key, CSR, CA, verification, and one write of the Secret.

What went wrong comes back as `Failed`, in the words that the user reads; nothing is half written.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from csr_operator.api.keys import SecretKey
from csr_operator.api.names import (
    ADOPT_ANNOTATION,
    OWED_ANNOTATION,
    RENEWAL_WINDOW_ANNOTATION,
    REVOKED_ANNOTATION,
    SUPERSEDED,
)
from csr_operator.api.parse_secret import parse_secret_meta, parse_staged
from csr_operator.api.reasons import Reason
from csr_operator.api.request import CertificateRequest, RotationPolicy
from csr_operator.api.revocation_debts import Owed, read_owed, write_owed
from csr_operator.api.seal import Seal
from csr_operator.api.secrets import NEVER, Record, SecretMeta, Setback, Staged
from csr_operator.api.times import format_time, parse_time
from csr_operator.decisions import adoption
from csr_operator.decisions.ownership import not_owned, owner_of, owns
from csr_operator.decisions.pace import Pace, asked_of, order_pause
from csr_operator.kube.client import Kube
from csr_operator.kube.errors import KubeError
from csr_operator.kube.objects import Object, secret_data
from csr_operator.metrics import ISSUANCE_SECONDS
from csr_operator.pki.chain import Chain, build_chain, load_bundle
from csr_operator.pki.csr import CsrTemplate, build_csr, csr_digest, is_built_from, load_csr, with_common_name
from csr_operator.pki.errors import Mismatch, PkiError
from csr_operator.pki.fingerprint import serial_octets, sha256_fingerprint
from csr_operator.pki.keys import KeyEncoding, PrivateKey, generate, load_private_key, parameters_of, private_key_pem
from csr_operator.pki.signatures import is_self_signed
from csr_operator.pki.verify import CA_DECIDES, accepted, clock_words
from csr_operator.plugin.backend import Issued, Order, Pending, Renewal
from csr_operator.plugin.offload import LARGE, offload

from . import secret_body as outputs
from .backend_calls import Ca
from .failures import Failed, Overtaken
from .keymaker import takes_long
from .referenced_secrets import References

_ROUNDING = timedelta(minutes=5)
"""By how much a CA may grant more than the duration that was asked for."""

_TRIES = 5
"""How often a Secret is written over what others change in it meanwhile, before it is left for a while."""


@dataclass(frozen=True, slots=True)
class Written:
    """The Secret as it is now, the CSR (PEM) that its certificate was issued for, and what the CA said of renewal.

    lost: the serial number of what it replaced, if that was to be revoked and is not there any more.
    """

    secret: SecretMeta
    csr_pem: str
    renewal: Renewal | None = None
    lost: str = ""


@dataclass(frozen=True, slots=True)
class Ordered:
    """The CA needs time; the order is kept in its staging Secret."""

    staged: Staged
    pending: Pending
    csr_pem: str


@dataclass(frozen=True, slots=True)
class Revocations:
    """By serial number: what was revoked, and what was not and will not be, and why."""

    revoked: tuple[str, ...]
    refused: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Basis:
    """What an order starts from.

    key: None if it is not here. passwords: of the keystores. owed: what is to be revoked afterwards. lost: see Written.
    """

    csr: x509.CertificateSigningRequest
    key: PrivateKey | None = field(repr=False)
    passwords: outputs.Passwords = field(repr=False)
    owed: tuple[Owed, ...]
    lost: str = ""


class NeedsKey(Exception):
    """There is no key to be used again, and to make another takes long: `issue` has to be given one."""


class Performer:
    """`cpu` is where signatures that take long are made, `clock` gives the time in UTC.

    may_send raises Failed, or Overtaken, if this very CSR may not be sent to this CA now. All methods raise Failed, and
    KubeError and Unreachable where trying again is all there is to do; those that ask a CA for a certificate Overtaken.
    """

    def __init__(
        self,
        kube: Kube,
        cpu: Executor,
        clock: Callable[[], datetime],
        seal: Seal,
        may_send: Callable[[CertificateRequest, Ca, x509.CertificateSigningRequest], Awaitable[None]],
    ) -> None:
        self._kube, self._cpu, self._clock, self._seal, self._may_send = kube, cpu, clock, seal, may_send
        self._references = References(kube.secrets)

    async def issue(
        self,
        request: CertificateRequest,
        revision: int,
        secret: SecretMeta | None,
        ca: Ca,
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
        if secret is not None and (revoke_old or ca.traits.costs or secret.owed or keeps):
            existing = await self._own_secret(request)
            secret = self._as_decided_on(request, existing, secret)
        key, csr = await self._key_and_csr(request, None if new_key else existing, ca, made)
        passwords = await self._references.passwords(request)
        basis = _Basis(csr, key, passwords, *self._to_revoke(request, existing, revoke_old))
        plan, staged = outputs.Plan(revision, hurries), None
        if ca.traits.costs:
            await self._may_send(request, ca, csr)  # also before anything is kept for it
            staged = await self._stage(request, plan, ca, basis)
        return await self._order(request, plan, secret, ca, basis, staged, begun)

    async def resume(
        self, request: CertificateRequest, secret: SecretMeta | None, staged: Staged, ca: Ca, *, revoke_old: bool
    ) -> Written | Ordered | None:
        """Go on with an order; None if there is none any more, or none that can be gone on with."""
        stored = await self._kube.secrets.get(staged.key)
        if stored is None or stored["metadata"]["uid"] != staged.uid:
            return None
        data = secret_data(stored)
        passwords = await self._references.passwords(request)
        key = None
        if request.spec.private_key.secret_ref is not None:
            key = await self._references.key(request, ca)
        try:
            kept = data.get("tls.csr", b"")
            csr = await offload(len(kept), load_csr, kept)
            if request.spec.key_is_ours:
                key = load_private_key(data.get("tls.key", b""))
            # What is sent is what the spec asks for, whatever stands in the Secret.
            wanted = await offload(request.spec.weight, _is_of_spec, csr, request, key, ca.traits.repeats_common_name)
            wanted = wanted and csr_digest(_pem(csr)) == staged.csr
        except PkiError:
            wanted = False
        if not wanted:
            await self.discard(staged)
            return None
        # Where no Secret is known, none is looked for at each poll: the write fails if there is one.
        existing = None
        if secret is not None or revoke_old:
            existing = await self._own_secret(request)
            secret = self._as_decided_on(request, existing, secret)
        basis = _Basis(csr, key, passwords, *self._to_revoke(request, existing, revoke_old))
        plan = outputs.Plan(staged.revision, staged.hurries, staged.handle, staged.lapses)
        begun = parse_time(staged.created)
        return await self._order(request, plan, secret, ca, basis, staged, begun, repeated=not staged.handle)

    async def discard(self, staged: Staged) -> None:
        await self._kube.secrets.delete(staged.key, staged.uid)

    async def abandon(self, staged: Staged, ca: Ca) -> None:
        """Have the CA take back what its order left behind."""
        stored = await self._kube.secrets.get(staged.key)
        if stored is None or stored["metadata"]["uid"] != staged.uid:
            return
        try:
            csr = load_csr(secret_data(stored).get("tls.csr", b""))
        except PkiError:
            return  # without it, no order was placed that anybody could find
        if csr_digest(_pem(csr)) != staged.csr:
            return  # it was exchanged, and leads to the order of somebody else
        await ca.abandon(_order_key(staged.owner_uid, staged.revision, csr), csr, staged.handle)

    async def release(self, staged: Staged) -> None:
        """Let a staging Secret go whose order left nothing behind."""
        await self._kube.secrets.remove_finalizers(staged.key, staged.uid)

    async def note_renewal(self, request: CertificateRequest, renewal: Renewal | None) -> SecretMeta | None:
        """Keep when the CA wants the certificate renewed; None if that is what is kept already."""
        existing = await self._remembering(request)
        record, window = self._meta(existing).record, outputs.window_of(renewal)
        if record is None or record.window == window:
            return None
        text = None
        if window is not None:
            text = outputs.window_text(request.secret, record.serial_number, window, self._seal)
        return self._meta(await self._kube.secrets.annotate(existing, RENEWAL_WINDOW_ANNOTATION, text))

    async def restore(
        self, request: CertificateRequest, revision: int, secret: SecretMeta, pace: Pace | None, ca: Ca | None
    ) -> Written | None:
        """Write labels, annotations and data as they should be; None if the certificate does not serve any more.

        pace: as far as it is known, for a certificate that nothing is on record of. ca: the one on record, if it can be
        asked, for what is above a certificate. Raises Failed.
        """
        existing = await self._own_secret(request)
        if existing is None:
            return None
        secret = self._as_decided_on(request, existing, secret) or secret
        data = secret_data(existing)
        try:
            key = await self._key_in_use(request, data)
            if key is None:
                csr = await offload(request.spec.weight, load_csr, request.spec.csr_pem.encode())
            else:
                known = secret.record.csr if secret.record is not None else ""
                csr = await offload(request.spec.weight, _rebuilt, request, key, known)
            stored, roots = data.get("tls.crt", b""), None
            if "tls.crt" in secret.intact_data and "ca.crt" not in secret.intact_data:
                # What is above it is known elsewhere too: no other certificate is needed.
                roots = await _roots(stored, csr, ca)
            else:
                stored += b"\n" + data.get("ca.crt", b"")
            chain = await offload(len(stored), _stored_chain, stored, request, csr, self._clock(), roots)
            wanted = request.spec.private_key.parameters.normalized()
            if key is not None and request.spec.key_is_ours and parameters_of(key) != wanted:
                return None
        except PkiError:
            return None
        if not _is_what_was_written(secret, chain):
            return None
        before = secret.record
        issued = before is not None and before.sha256_fingerprint == sha256_fingerprint(chain.leaf)
        ref = request.spec.issuer_refs[0]
        issuer = before.issuer if before is not None else f"{ref.kind}/{ref.name}"
        if not issued and key is None:
            # Somebody put it there. Who has its key may have it revoked (RFC 8555, section 7.6), by who is on record or
            # else the first one. Where the key is elsewhere, anybody's certificate fits, and nobody is on record.
            issuer = ""
        record = _kept(request, revision, issuer, chain, csr, before, pace)
        basis = _Basis(csr, key, await self._references.passwords(request), self._owed(existing))
        return Written(await self._write(request, record, chain, basis, secret), _pem(csr))

    async def adopt(self, request: CertificateRequest, cas: Sequence[Ca], pace: Pace | None) -> Written:
        """Take over a Secret that somebody else has left to the request, if it holds what is asked for.

        cas: of which the certificate may be. Raises KubeError (409) if the Secret is not there to be taken any more.
        """
        existing = await self._kube.secrets.get(request.secret)
        if existing is None or not adoption.may_be_taken(request, secret := self._meta(existing)):
            raise KubeError(409, "", f"Secret {request.secret.name} has changed just now")
        if existing["type"] != outputs.secret_type(request):
            text = adoption.other_type(secret, existing["type"], outputs.secret_type(request))
            raise Failed(Reason.ADOPTION_REFUSED, text)
        data, before, spec = secret_data(existing), secret.record, request.spec
        stored = data.get("tls.crt", b"") + b"\n" + data.get("ca.crt", b"")
        differences: list[str] = []
        try:
            key = await self._key_in_use(request, data)
            if key is None:
                csr = await offload(spec.weight, load_csr, spec.csr_pem.encode())
            else:
                if spec.key_is_ours:
                    differences += adoption.key_differences(spec.private_key.parameters, key)
                csr = await offload(spec.weight, build_csr, spec.template, key)
            issuer, chain = await self._vouched(request, secret, csr, stored, cas)
            if differences:
                raise Mismatch(())
        except PkiError as error:
            differences += error.differences if isinstance(error, Mismatch) else [str(error)]
            text = adoption.refused(request, secret, differences)
            raise Failed(Reason.ADOPTION_REFUSED, text) from None
        revision = before.revision if before is not None else request.status.revision or 1
        record = _kept(request, revision, issuer, chain, csr, before, pace)
        basis = _Basis(csr, key, await self._references.passwords(request), self._owed(existing))
        return Written(await self._take(request, record, chain, basis, existing), _pem(csr))

    async def _take(
        self, request: CertificateRequest, record: Record, chain: Chain, basis: _Basis, existing: Object
    ) -> SecretMeta:
        """Write the Secret of somebody else, if it is still as it was when it was looked into. Raises KubeError."""
        key, metadata = basis.key if request.spec.key_is_ours else None, existing["metadata"]
        try:
            # In a thread, as a keystore takes long.
            data = await offload(LARGE + 1, outputs.secret_data, request, chain, key, basis.passwords)
        except PkiError as error:
            raise Failed(Reason.INVALID_REQUEST, str(error)) from None
        body = outputs.secret_body(request, record, data, basis.owed, self._seal)
        body["metadata"] |= {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
        # Kubernetes may have taken the owner from the Secret just now, because this very request is being deleted, of
        # which another watch tells. Given back to it, the Secret would be collected.
        there = (await self._kube.custom_objects.get(request.key) or {}).get("metadata", {})
        if there.get("uid") != request.uid or "deletionTimestamp" in there:
            raise KubeError(409, "", f"{request.name} no longer owns Secret {request.secret.name}")
        if ADOPT_ANNOTATION in (metadata.get("annotations") or {}):
            body["metadata"]["annotations"][ADOPT_ANNOTATION] = ""  # fulfilled; the next write removes it
        try:
            return self._meta(await self._kube.secrets.apply(request.secret, body, new=False))
        except KubeError as error:
            if error.status == 422 and (why := _in_the_way(existing, body)):
                raise Failed(Reason.SECRET_CONFLICT, why) from None
            if error.status in (403, 422):
                raise Failed(Reason.SECRET_REFUSED, f"Secret {request.secret.name} was refused: {error}") from None
            raise

    async def _vouched(
        self,
        request: CertificateRequest,
        secret: SecretMeta,
        csr: x509.CertificateSigningRequest,
        stored: bytes,
        cas: Sequence[Ca],
    ) -> tuple[str, Chain]:
        """Who has to be asked to revoke the certificate (`Kind/name`, or nobody), and its chain. Raises PkiError."""
        pool, now = await offload(len(stored), load_bundle, stored), self._clock()
        leaf = (await offload(len(stored), build_chain, csr, pool)).leaf
        if sha256_fingerprint(leaf) == secret.revoked:
            raise adoption.revoked_certificate()
        if adoption.is_left(request, secret):
            now = adoption.last_moment(leaf, now)
        weight = len(stored) + request.spec.weight
        if secret.record is not None and secret.record.sha256_fingerprint == sha256_fingerprint(leaf):
            # It passed the rules of its issuer once.
            chain = await offload(weight, adoption.check, pool, request, csr, now, None, CA_DECIDES)
            return secret.record.issuer, chain
        refusals = []
        for ca in cas:
            roots, rules = await ca.roots_of(leaf)
            try:
                chain = await offload(weight, adoption.check, pool, request, csr, now, roots, rules)
            except PkiError as error:
                refusals.append(error)
                continue
            # Where the key is elsewhere, anybody's certificate fits, and nobody is on record.
            return ca.issuer if request.spec.key_is_ours else "", chain
        if not refusals:
            text = f"Secret {secret.name} is taken over as soon as one of the issuers is ready"
            raise Failed(Reason.ISSUER_NOT_READY, text)
        raise refusals[0]

    async def revoke_current(self, request: CertificateRequest, ca: Ca) -> Revocations:
        """Have the CA revoke the certificate in the Secret."""
        existing = await self._own_secret(request)
        record = self._meta(existing).record if existing is not None else None
        if existing is None or record is None:
            return Revocations((), {})
        certificate = _recorded(existing, record)
        if certificate is not None and _stays(request, existing):
            # First: one that is revoked is not to be taken over by the next request.
            text = f"{record.sha256_fingerprint} "
            text += self._seal.code("revoked", *request.secret, record.sha256_fingerprint)
            await self._kube.secrets.annotate(existing, REVOKED_ANNOTATION, text)
        if certificate is None:
            return Revocations((), {record.serial_number: f"Secret {request.secret.name} no longer holds it"})
        reason = _reason_asked_for(request, record.serial_number) or "cessationOfOperation"
        return await _revoke(ca, ((certificate, reason),))

    async def revoke_owed(self, request: CertificateRequest, ca: Ca) -> tuple[Revocations, SecretMeta]:
        """Have the CA revoke those of its certificates that were replaced."""
        existing = await self._remembering(request)
        owed, in_use = self._owed(existing), _leaf(existing)
        due = [(one.certificate, one.reason) for one in owed if one.issuer == ca.issuer and one.certificate != in_use]
        done = await _revoke(ca, due)
        rest = tuple(one for one in owed if one.issuer != ca.issuer)
        return done, await self._remember(existing, write_owed(request.secret, rest, self._seal) if rest else None)

    async def forget(self, request: CertificateRequest) -> tuple[SecretMeta, tuple[Owed, ...]]:
        """Drop what is owed, and return it."""
        existing = await self._remembering(request)
        return await self._remember(existing, None), self._owed(existing)

    async def guard(self, secret: SecretMeta, *, guarded: bool) -> SecretMeta | None:
        """Have a Secret held, or let go, should it be deleted; None if it is gone, or going. Raises KubeError."""
        try:
            return self._meta(await self._kube.secrets.guard(secret.key, secret.uid, guarded=guarded))
        except KubeError as error:
            if error.status not in (404, 409, 422):
                raise
            return None

    async def let_go(self, request: CertificateRequest) -> None:
        """Take the finalizer from the request's Secret, also from one that has lost its owner, or its label."""
        stored = await self._kube.secrets.get(request.secret)
        if stored is None:
            return
        found = self._meta(stored)
        if found.guarded and found.owner_uid in ("", request.uid):
            await self.guard(found, guarded=False)

    async def owed_serials(self, request: CertificateRequest) -> tuple[str, ...]:
        """Of the certificates that were to be revoked, as their Secret remembers them."""
        existing = await self._own_secret(request)
        owed = self._owed(existing) if existing is not None else ()
        return tuple(serial_octets(one.certificate) for one in owed)

    async def _remembering(self, request: CertificateRequest) -> Object:
        existing = await self._own_secret(request)
        if existing is None:
            raise _gone(request)
        return existing

    async def _remember(self, existing: Object, owed: str | None) -> SecretMeta:
        return self._meta(await self._kube.secrets.annotate(existing, OWED_ANNOTATION, owed))

    def _to_revoke(
        self, request: CertificateRequest, existing: Object | None, revoke_old: bool
    ) -> tuple[tuple[Owed, ...], str]:
        """What the new Secret has to remember; and the serial number of what cannot be revoked any more."""
        if existing is None:
            return (), ""
        owed = self._owed(existing)
        record = self._meta(existing).record
        if not revoke_old or record is None:
            return owed, ""
        old = _recorded(existing, record)
        if old is None:
            return owed, record.serial_number
        if any(one.certificate == old for one in owed):
            return owed, ""
        reason = _reason_asked_for(request, record.serial_number) or SUPERSEDED
        return (*owed, Owed(record.issuer, old, reason)), ""

    def _meta(self, secret: Object) -> SecretMeta:
        return parse_secret_meta(secret, self._seal)

    def _owed(self, secret: Object) -> tuple[Owed, ...]:
        metadata = secret["metadata"]
        where = SecretKey(metadata["namespace"], metadata["name"])
        return read_owed(where, (metadata.get("annotations") or {}).get(OWED_ANNOTATION, ""), self._seal)

    async def csr_pem(self, request: CertificateRequest, staged: Staged | None, record: Record | None) -> str:
        """The CSR of the order under way, or for the key in use; empty if there is none, or it cannot be read."""
        try:
            if staged is not None:
                stored = await self._kube.secrets.get(staged.key)
                return _pem(load_csr(secret_data(stored).get("tls.csr", b""))) if stored is not None else ""
            if record is None:
                return ""
            if request.spec.csr_pem:
                return _pem(load_csr(request.spec.csr_pem.encode()))
            existing = await self._own_secret(request)
            key = None if existing is None else await self._key_in_use(request, secret_data(existing))
            if key is None:
                return ""
            return _pem(await offload(request.spec.weight, _rebuilt, request, key, record.csr))
        except (PkiError, Failed):
            return ""

    async def _order(
        self,
        request: CertificateRequest,
        plan: outputs.Plan,
        secret: SecretMeta | None,
        ca: Ca,
        basis: _Basis,
        staged: Staged | None,
        begun: datetime,
        *,
        repeated: bool = False,
    ) -> Written | Ordered:
        await self._may_send(request, ca, basis.csr)
        record = secret.record if secret is not None else None
        replaces = record if record is not None and record.issuer == ca.issuer and record.reference else None
        order = Order(
            key=_order_key(request.uid, plan.revision, basis.csr),
            csr=basis.csr,
            profile=request.spec.template.profile,
            duration=request.spec.duration,
            private_key=basis.key if ca.traits.needs_private_key else None,
            answer=await offload(len(request.wishes.imported), _brought, request, secret),
            repeated=repeated,
            replaces=replaces.reference if replaces is not None else "",
            replaces_fingerprint=replaces.sha256_fingerprint if replaces is not None else "",
        )
        try:
            answer = await ca.ask(order, staged.handle if staged is not None else "")
        except Failed as failed:
            if repeated:
                failed.unplaced = False  # it may have been at the first attempt
            if staged is not None and (failed.lapsed or failed.permanent):
                failed.staged = await self._stage(request, self._set_back(request, plan, ca, failed), ca, basis, staged)
            raise
        if isinstance(answer, Pending):
            if staged is None:
                text = f"backend {ca.name} left an order pending, which only one that says that it `costs` may do"
                raise Failed(Reason.ISSUER_NOT_READY, text, by_issuer=True)
            if answer.handle != staged.handle:
                placed = replace(plan, handle=answer.handle, setback=None)
                try:
                    staged = await self._stage(request, placed, ca, basis, staged)
                except Overtaken:
                    # Nobody will go on with it. What it left behind, the CA is told at once, or nobody tells it.
                    with contextlib.suppress(Failed):
                        await ca.abandon(order.key, basis.csr, answer.handle)
                    raise
            return Ordered(staged, answer, _pem(basis.csr))
        weight = request.spec.weight + sum(len(c.tbs_certificate_bytes) for c in (*answer.certificates, *answer.roots))
        chain = await offload(weight, self._checked, request, basis.csr, answer)
        record = outputs.record_of(
            request,
            plan.revision,
            ca.issuer,
            chain,
            _pem(basis.csr),
            self._clock(),
            plan.hurries,
            answer.reference,
            answer.renewal,
        )
        meta = await self._write(request, record, chain, basis, secret)
        ISSUANCE_SECONDS.labels(ca.name).observe(max((self._clock() - begun).total_seconds(), 0.0))
        if staged is not None:
            if staged.leaves_traces:
                await self.release(staged)
            await self.discard(staged)
        return Written(meta, _pem(basis.csr), answer.renewal, basis.lost)

    def _set_back(self, request: CertificateRequest, plan: outputs.Plan, ca: Ca, failed: Failed) -> outputs.Plan:
        """What is kept of an order that failed so; of `failed`, when it is tried again."""
        asked = asked_of(request.wishes.renew, ca.version)
        if failed.permanent:
            return replace(plan, setback=Setback(NEVER, asked, failed.reason, failed.message))
        failed.after = max(failed.after, order_pause(plan.lapses))
        setback = None
        if failed.after:
            again = format_time(self._clock() + failed.after)
            failed.message += f"; another order is placed at {again}"
            setback = Setback(again, asked, failed.reason, failed.message)
        return replace(plan, handle="", lapses=plan.lapses + 1, setback=setback)

    async def _stage(
        self, request: CertificateRequest, plan: outputs.Plan, ca: Ca, basis: _Basis, before: Staged | None = None
    ) -> Staged:
        """Keep what the order needs. before: as it was kept until now. Raises Overtaken."""
        pem = b""
        if basis.key is not None and request.spec.key_is_ours:
            pem = private_key_pem(basis.key, KeyEncoding.PKCS8)
        body = outputs.staging_body(
            request, plan, ca.issuer, pem, _pem(basis.csr), self._seal, leaves_traces=ca.traits.abandons
        )
        where = outputs.staging_key(request)
        if before is not None:
            body["metadata"]["uid"] = before.uid
        try:
            staged = parse_staged(await self._kube.secrets.apply(where, body, new=before is None), self._seal)
        except KubeError as error:
            if error.status == 409:
                there = await self._kube.secrets.get(where)
                found = parse_staged(there, self._seal) if there is not None else None
                if there is None and before is not None:
                    # Somebody deleted it. The order is there nevertheless, unless its request went as well.
                    await self._may_send(request, ca, basis.csr)
                    return await self._stage(request, plan, ca, basis)
                if there is None or (found is not None and found.owner_uid == request.uid):
                    raise Overtaken(found) from None  # it is our own order, of which the watch has not told yet
                text = f"Secret {where.name} is there already, where key and CSR are to be kept: delete that Secret"
                raise Failed(Reason.SECRET_NOT_OWNED, text) from None
            if error.status in (403, 422):
                text = f"Secret {where.name}, for the order, was refused: {error}"
                raise Failed(Reason.SECRET_REFUSED, text) from None
            raise
        assert staged is not None
        return staged

    def _as_decided_on(
        self, request: CertificateRequest, existing: Object | None, known: SecretMeta | None
    ) -> SecretMeta | None:
        """The Secret as it was read now. Raises Overtaken if it is not the one that was decided on.

        Such as one that the operator wrote without hearing of it, which holds what its order came to already.
        """
        if existing is None:
            if known is not None:
                raise _gone(request)
            return None
        found = self._meta(existing)
        if known is None or not _is_the_same(found, known):
            raise Overtaken(found)
        return found

    async def _own_secret(self, request: CertificateRequest) -> Object | None:
        existing = await self._kube.secrets.get(request.secret)
        if existing is not None and not owns(request, meta := self._meta(existing)):
            raise Failed(Reason.SECRET_NOT_OWNED, not_owned(meta.name, owner_of(meta)))
        return existing

    async def _key_and_csr(
        self, request: CertificateRequest, existing: Object | None, ca: Ca, made: PrivateKey | None
    ) -> tuple[PrivateKey | None, x509.CertificateSigningRequest]:
        spec = request.spec
        try:
            if spec.csr_pem:
                return None, await offload(spec.weight, load_csr, spec.csr_pem.encode())
            if spec.private_key.secret_ref is not None:
                key = await self._references.key(request, ca)
                return key, await offload(
                    spec.weight, build_csr, _template(request, ca.traits.repeats_common_name), key
                )
            parameters = spec.private_key.parameters
            old_key = None if existing is None else _reusable_key(request, secret_data(existing))
            if not takes_long(parameters):
                key = old_key or generate(parameters)
                return key, await offload(
                    spec.weight, build_csr, _template(request, ca.traits.repeats_common_name), key
                )
            if (slow_key := old_key or made) is None:
                raise NeedsKey
            # To sign with one takes up to tens of milliseconds, without the GIL.
            loop = asyncio.get_running_loop()
            template = _template(request, ca.traits.repeats_common_name)
            return slow_key, await loop.run_in_executor(self._cpu, build_csr, template, slow_key)
        except PkiError as error:
            raise Failed(Reason.INVALID_REQUEST, str(error)) from None

    async def _key_in_use(self, request: CertificateRequest, data: Mapping[str, bytes]) -> PrivateKey | None:
        """None if it never enters the cluster."""
        if request.spec.csr_pem:
            return None
        if request.spec.private_key.secret_ref is not None:
            return await self._references.key(request, None)
        return load_private_key(data.get("tls.key", b""))

    def _checked(self, request: CertificateRequest, csr: x509.CertificateSigningRequest, issued: Issued) -> Chain:
        try:
            return check_answer(request, csr, issued, now := self._clock())
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

    async def _write(
        self,
        request: CertificateRequest,
        record: Record,
        chain: Chain,
        basis: _Basis,
        secret: SecretMeta | None,
    ) -> SecretMeta:
        key = basis.key if request.spec.key_is_ours else None
        try:
            # To derive a keystore's key takes long by design.
            stores = request.spec.outputs
            weight = LARGE + 1 if stores.pkcs12 or stores.jks else 0
            data = await offload(weight, outputs.secret_data, request, chain, key, basis.passwords)
        except PkiError as error:
            raise Failed(Reason.INVALID_REQUEST, str(error)) from None
        # What is in use is never to be revoked, whatever was to be before.
        owed = tuple(one for one in basis.owed if one.certificate != chain.leaf)
        body = outputs.secret_body(request, record, data, owed, self._seal)
        for _ in range(_TRIES):
            if secret is not None:
                # Only this very Secret, as it was when it was read: whoever wrote to it since is looked at first.
                body["metadata"] |= {"uid": secret.uid, "resourceVersion": secret.resource_version}
            try:
                return self._meta(await self._kube.secrets.apply(request.secret, body, new=secret is None))
            except KubeError as error:
                refused = error
            secret = await self._unchanged(request, body, secret, refused)
        raise refused  # it never stands still: later

    async def _unchanged(
        self, request: CertificateRequest, body: Object, secret: SecretMeta | None, refused: KubeError
    ) -> SecretMeta:
        """The Secret as it is now, if what others did to it is nothing to the operator: it is to be written over.

        Raises Overtaken if it is, Failed if the API server will not take what is to be written, else what it said.
        """
        existing = await self._own_secret(request) if refused.status in (409, 422) else None
        found = self._meta(existing) if existing is not None else None
        if refused.status == 409 and found is not None and refused.reason in ("Conflict", "AlreadyExists"):
            if secret is None or not _is_the_same(found, secret):
                raise Overtaken(found)
            if found.resource_version != secret.resource_version:
                return found
        if refused.status == 422 and existing is not None and (why := _in_the_way(existing, body)):
            raise Failed(Reason.SECRET_CONFLICT, why)
        if refused.status in (403, 422) or found is not None:
            raise Failed(Reason.SECRET_REFUSED, f"Secret {request.secret.name} was refused: {refused}")
        raise refused


def check_answer(
    request: CertificateRequest, csr: x509.CertificateSigningRequest, issued: Issued, now: datetime
) -> Chain:
    """The chain in a CA's answer, up to the issuer's root where that is known.

    Raises PkiError if it is not what was asked for; mostly Mismatch, which has each difference.
    """
    return accepted(
        csr,
        issued.certificates,
        request.spec.template.profile,
        now=now,
        not_after_limit=None if issued.any_duration else now + request.spec.duration + _ROUNDING,
        roots=issued.roots or None,
        rules=issued.rules,
    )


async def _roots(
    stored: bytes, csr: x509.CertificateSigningRequest, ca: Ca | None
) -> Sequence[x509.Certificate] | None:
    """What the CA says that is above the certificate for the CSR; None if it is not known. Raises PkiError, Failed."""
    if ca is None:
        return None
    leaf = (await offload(len(stored), build_chain, csr, load_bundle(stored))).leaf
    known = (await ca.roots_of(leaf))[0] or ()
    return [one for one in known if is_self_signed(one)] or None


def _stored_chain(
    stored: bytes,
    request: CertificateRequest,
    csr: x509.CertificateSigningRequest,
    now: datetime,
    roots: Sequence[x509.Certificate] | None,
) -> Chain:
    """Raises PkiError if it does not serve. It passed the rules of its issuer once."""
    profile = request.spec.template.profile
    return accepted(csr, load_bundle(stored), profile, now=now, roots=roots, rules=CA_DECIDES)


def _is_what_was_written(secret: SecretMeta, chain: Chain) -> bool:
    """Not merely a good certificate: somebody may have put another there, or cut off what is above it."""
    record = secret.record
    wanted = {"tls.crt"} if record is not None and not record.issuer_fingerprint else {"tls.crt", "ca.crt"}
    if wanted <= secret.intact_data:
        return True
    if record is None or record.sha256_fingerprint != sha256_fingerprint(chain.leaf):
        return False
    if chain.root is not None:
        return True
    # Not every CA's root is known. Where nothing is the operator's any more, the Secret is from a backup.
    known = not secret.intact_data or "tls.crt" in secret.intact_data
    return known and outputs.above(chain) == record.issuer_fingerprint


def _kept(
    request: CertificateRequest,
    revision: int,
    issuer: str,
    chain: Chain,
    csr: x509.CertificateSigningRequest,
    before: Record | None,
    pace: Pace | None,
) -> Record:
    """The record of a certificate that is there already. before: what was on record."""
    # It was hardly stored before it became valid; but whatever it says of that, no brake is let go by it.
    stored_at, hurries = chain.leaf.not_valid_before_utc, 0
    if before is not None:
        stored_at, hurries = parse_time(before.stored), before.hurries
    elif pace is not None:
        stored_at, hurries = pace.stored, pace.hurries
    record = outputs.record_of(request, revision, issuer, chain, _pem(csr), stored_at, hurries)
    if before is None:
        return record
    record = replace(record, renew=before.renew)  # a renewal that is asked for is still to come
    if before.sha256_fingerprint == record.sha256_fingerprint:
        record = replace(record, reference=before.reference, window=before.window)
    return record


def _stays(request: CertificateRequest, secret: Object) -> bool:
    """The Secret outlives the request, whose deletion is under way."""
    owners = [owner["uid"] for owner in secret["metadata"].get("ownerReferences") or ()]
    return request.spec.retain or "orphan" in request.finalizers or request.uid not in owners


def _reusable_key(request: CertificateRequest, data: Mapping[str, bytes]) -> PrivateKey | None:
    if request.spec.private_key.rotation_policy is not RotationPolicy.NEVER:
        return None
    try:
        key = load_private_key(data.get("tls.key", b""))
    except PkiError:
        return None
    return key if parameters_of(key) == request.spec.private_key.parameters.normalized() else None


def _reason_asked_for(request: CertificateRequest, serial_number: str) -> str | None:
    """Why its user wants this certificate revoked; None if they do not, or do not say so."""
    return request.wishes.revoke_because if request.wishes.revoke == serial_number else None


async def _revoke(ca: Ca, due: Iterable[tuple[x509.Certificate, str]]) -> Revocations:
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


def _template(request: CertificateRequest, repeats_common_name: bool) -> CsrTemplate:
    """What a CSR is built from. Raises PkiError."""
    template = request.spec.template
    return with_common_name(template) if repeats_common_name else template


def _rebuilt(request: CertificateRequest, key: PrivateKey, digest: str) -> x509.CertificateSigningRequest:
    """The CSR that a certificate was issued for, with that `csr_digest` if it is one of those that the spec makes."""
    csr = build_csr(request.spec.template, key)
    if digest and csr_digest(_pem(csr)) != digest:
        other = build_csr(with_common_name(request.spec.template), key)
        return other if csr_digest(_pem(other)) == digest else csr
    return csr


def _is_of_spec(
    csr: x509.CertificateSigningRequest, request: CertificateRequest, key: PrivateKey | None, repeats_common_name: bool
) -> bool:
    """Made of nothing but the spec and the key. Raises PkiError if the spec makes none."""
    if request.spec.csr_pem:
        return csr == load_csr(request.spec.csr_pem.encode())
    assert key is not None
    return key.public_key() == csr.public_key() and is_built_from(csr, _template(request, repeats_common_name), key)


def _leaf(secret: Object) -> x509.Certificate | None:
    try:
        return load_bundle(secret_data(secret).get("tls.crt", b""))[0]
    except PkiError:
        return None


def _recorded(secret: Object, record: Record) -> x509.Certificate | None:
    """The certificate in the Secret, if it is the one that the operator stored: no other is the request's to revoke."""
    leaf = _leaf(secret)
    return leaf if leaf is not None and sha256_fingerprint(leaf) == record.sha256_fingerprint else None


def _order_key(uid: str, revision: int, csr: x509.CertificateSigningRequest) -> str:
    return hashlib.sha256(f"{uid}/{revision}/".encode() + csr.public_bytes(Encoding.DER)).hexdigest()


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


def _gone(request: CertificateRequest) -> KubeError:
    """As the watch is about to show."""
    return KubeError(404, "NotFound", f"Secret {request.secret.name} is gone")


def _is_the_same(found: SecretMeta, known: SecretMeta) -> bool:
    """Nothing changed of what the operator goes by."""
    return _essence(found) == _essence(known)


def _essence(secret: SecretMeta) -> tuple[object, ...]:
    return secret.uid, secret.owner_uid, secret.record, secret.owed, secret.deleted


def _in_the_way(existing: Object, body: Object) -> str:
    """What of a Secret nobody can change, so that only its deletion helps; mostly nothing."""
    name = body["metadata"]["name"]
    if existing["type"] != body["type"]:
        return (
            f"Secret {name} is of type {existing['type']}, where {body['type']} is needed now, "
            "and Kubernetes does not allow changing that: delete the Secret"
        )
    if existing.get("immutable"):
        return f"Secret {name} is immutable, so that nothing in it can be replaced: delete the Secret"
    return ""


def _pem(csr: x509.CertificateSigningRequest) -> str:
    return csr.public_bytes(Encoding.PEM).decode()
