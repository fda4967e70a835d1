"""Carries out one Action: key, CSR, CA, verification, and one write of the Secret.

What went wrong comes back as `Failed`, in the words that the user reads; nothing is half written.
"""

import asyncio
import base64
import hashlib
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from .backends.base import Backend, BackendError, Issued, Order, Rejected, Retryable
from .decide import DATA_KEYS, not_owned
from .kube import Kube, KubeError, Object, secret_data
from .metrics import CA_CALLS, FAILURES, ISSUANCE_SECONDS
from .model import (
    API_VERSION,
    MANAGED_LABEL,
    CertificateRequest,
    Kind,
    Record,
    RotationPolicy,
    SecretMeta,
    format_time,
    parse_secret_meta,
)
from .pki.chain import Chain, build_chain, load_bundle
from .pki.csr import build_csr
from .pki.errors import Mismatch, PkiError
from .pki.fingerprint import sha256_fingerprint
from .pki.keys import (
    KeyAlgorithm,
    PrivateKey,
    generate,
    load_private_key,
    parameters_of,
    private_key_pem,
)
from .pki.verify import verify

_ROUNDING = timedelta(minutes=5)
"""By how much a CA may grant more than the duration that was asked for."""


@dataclass(frozen=True, slots=True)
class Written:
    """The Secret as it is now, and the CSR (PEM) that its certificate was issued for."""

    secret: SecretMeta
    csr_pem: str


class Failed(Exception):
    """An attempt that ended without a certificate.

    permanent: only a change of the spec or of the issuer helps. needs_user: nothing changes by itself.
    after: seconds that the CA asked to wait.
    """

    def __init__(
        self, reason: str, message: str, *, permanent: bool = False, needs_user: bool = False, after: float = 0.0
    ) -> None:
        super().__init__(message)
        self.reason, self.message = reason, message
        self.permanent, self.needs_user, self.after = permanent, needs_user, after
        FAILURES.labels(reason).inc()


class Performer:
    """`cpu` is where slow key generation runs, `clock` gives the time in UTC."""

    def __init__(self, kube: Kube, cpu: Executor, clock: Callable[[], datetime]) -> None:
        self._kube, self._cpu, self._clock = kube, cpu, clock

    async def issue(
        self,
        request: CertificateRequest,
        revision: int,
        secret: SecretMeta | None,
        backend_name: str,
        backend: Backend,
    ) -> Written:
        """Raises Failed, or KubeError and Unreachable where trying again is all there is to do."""
        started = time.perf_counter()
        old_key = None
        if secret is not None and request.spec.private_key.rotation_policy is RotationPolicy.NEVER:
            existing = await self._own_secret(request)
            old_key = None if existing is None else _reusable_key(request, secret_data(existing))
        key, csr = await self._key_and_csr(request, old_key)
        order = Order(
            key=hashlib.sha256(f"{request.uid}/{revision}/".encode() + _der(csr)).hexdigest(),
            csr=csr,
            profile=request.spec.template.profile,
            duration=request.spec.duration,
            private_key=key if backend.needs_private_key else None,
        )
        issued = await _submit(backend_name, backend, order)
        chain = self._checked(request, csr, issued)
        record = _record(request.issuance_hash, revision, chain)
        pem = private_key_pem(key, request.spec.private_key.encoding)
        data = {"tls.key": pem, "tls.crt": chain.pem, "ca.crt": chain.ca_pem}
        meta = await self._write(request, record, data, secret)
        ISSUANCE_SECONDS.labels(backend_name).observe(time.perf_counter() - started)
        return Written(meta, _pem(csr))

    async def restore(self, request: CertificateRequest, revision: int, secret: SecretMeta) -> Written | None:
        """Write labels, annotations and data as they should be; None if the certificate does not serve any more."""
        existing = await self._own_secret(request)
        if existing is None:
            return None
        data = secret_data(existing)
        try:
            key = load_private_key(data.get("tls.key", b""))
            csr = build_csr(request.spec.template, key)
            bundle = load_bundle(data.get("tls.crt", b"") + b"\n" + data.get("ca.crt", b""))
            chain = build_chain(csr.public_key(), bundle)
            verify(chain, csr, request.spec.template.profile, now=self._clock())
        except PkiError:
            return None
        wanted = request.spec.private_key.parameters.normalized()
        if parameters_of(key) != wanted or not _is_what_was_written(secret, chain):
            return None
        record = _record(request.issuance_hash, revision, chain)
        fresh = {
            "tls.key": private_key_pem(key, request.spec.private_key.encoding),
            "tls.crt": chain.pem,
            "ca.crt": chain.ca_pem,
        }
        return Written(await self._write(request, record, fresh, secret), _pem(csr))

    async def find(self, request: CertificateRequest) -> SecretMeta | None:
        """The request's Secret, also where the watch does not show it. Raises Failed if it is somebody else's."""
        existing = await self._own_secret(request)
        return None if existing is None else parse_secret_meta(existing)

    async def csr_pem(self, request: CertificateRequest) -> str | None:
        """The CSR for the key in the Secret, made anew: a crash came between Secret and status."""
        existing = await self._own_secret(request)
        if existing is None:
            return None
        try:
            return _pem(build_csr(request.spec.template, load_private_key(secret_data(existing).get("tls.key", b""))))
        except PkiError:
            return None

    async def _own_secret(self, request: CertificateRequest) -> Object | None:
        existing = await self._kube.get_secret(request.secret)
        if existing is not None and (meta := parse_secret_meta(existing)).owner_uid != request.uid:
            raise _foreign(meta)
        return existing

    async def _key_and_csr(
        self, request: CertificateRequest, old_key: PrivateKey | None
    ) -> tuple[PrivateKey, x509.CertificateSigningRequest]:
        template, parameters = request.spec.template, request.spec.private_key.parameters

        def make() -> tuple[PrivateKey, x509.CertificateSigningRequest]:
            key = old_key or generate(parameters)
            return key, build_csr(template, key)

        try:
            if parameters.algorithm is KeyAlgorithm.RSA:  # tens of milliseconds up to seconds, without the GIL
                return await asyncio.get_running_loop().run_in_executor(self._cpu, make)
            return make()
        except PkiError as error:
            raise Failed("InvalidRequest", str(error), permanent=True, needs_user=True) from None

    def _checked(self, request: CertificateRequest, csr: x509.CertificateSigningRequest, issued: Issued) -> Chain:
        try:
            chain = build_chain(csr.public_key(), issued.certificates)
            verify(
                chain,
                csr,
                request.spec.template.profile,
                now=self._clock(),
                not_after_limit=self._clock() + request.spec.duration + _ROUNDING,
                roots=issued.roots or None,
            )
        except Mismatch as error:
            text = "the CA's answer is not what was asked for: " + "; ".join(error.differences)
            raise Failed("AnswerMismatch", text, permanent=True, needs_user=True) from None
        except PkiError as error:
            raise Failed(
                "AnswerMismatch", f"the CA's answer is unusable: {error}", permanent=True, needs_user=True
            ) from None
        return chain

    async def _write(
        self, request: CertificateRequest, record: Record, data: Mapping[str, bytes], secret: SecretMeta | None
    ) -> SecretMeta:
        body = _secret_body(request, record, data)
        if secret is not None:
            # Only this very Secret: one of the same name that came since is a conflict.
            body["metadata"]["uid"] = secret.uid
        try:
            answer = await self._kube.apply_secret(request.secret, body, force=secret is not None)
        except KubeError as error:
            if error.status in (409, 422) and await self._own_secret(request) is not None:
                # It is ours, but newer than what we know of it, or of another type.
                raise Failed("SecretConflict", f"Secret {request.secret.name}: {error}") from None
            if error.status in (403, 422):
                raise Failed("SecretRefused", f"Secret {request.secret.name} was refused: {error}") from None
            raise
        return parse_secret_meta(answer)


async def _submit(name: str, backend: Backend, order: Order) -> Issued:
    outcome = "error"
    try:
        issued = await backend.submit(order)
        outcome = "ok"
        return issued
    except Retryable as error:
        outcome = "retryable"
        raise Failed("IssuerUnavailable", str(error), after=error.after) from error
    except Rejected as error:
        outcome = "rejected"
        raise Failed("Rejected", str(error), permanent=True, needs_user=True) from error
    except BackendError as error:
        outcome = "misconfigured"
        raise Failed("IssuerNotReady", str(error)) from error
    finally:
        CA_CALLS.labels(name, "submit", outcome).inc()


def _secret_body(request: CertificateRequest, record: Record, data: Mapping[str, bytes]) -> Object:
    template = request.spec.secret_template
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": request.secret.name,
            "namespace": request.namespace,
            "labels": {**dict(template.labels), MANAGED_LABEL: "true"},
            "annotations": {**dict(template.annotations), **record.annotations()},
            "ownerReferences": [
                {
                    "apiVersion": API_VERSION,
                    "kind": Kind.CERTIFICATE_REQUEST.value,
                    "name": request.name,
                    "uid": request.uid,
                    "controller": True,
                }
            ],
        },
        "type": "kubernetes.io/tls",
        "data": {name: base64.b64encode(value).decode() for name, value in data.items()},
    }


def _record(issuance_hash: str, revision: int, chain: Chain) -> Record:
    leaf = chain.leaf
    issuer = chain.intermediates[0] if chain.intermediates else chain.root or leaf
    return Record(
        issuance_hash=issuance_hash,
        revision=revision,
        serial_number=f"{leaf.serial_number:X}",
        not_before=format_time(leaf.not_valid_before_utc),
        not_after=format_time(leaf.not_valid_after_utc),
        sha256_fingerprint=sha256_fingerprint(leaf),
        issuer_fingerprint=sha256_fingerprint(issuer),
    )


def _is_what_was_written(secret: SecretMeta, chain: Chain) -> bool:
    """Not merely a good certificate: somebody may have put another there, or cut off what is above it."""
    if secret.intact_data >= DATA_KEYS:
        return True
    record = secret.record
    return record is not None and record.sha256_fingerprint == sha256_fingerprint(chain.leaf) and chain.root is not None


def _reusable_key(request: CertificateRequest, data: Mapping[str, bytes]) -> PrivateKey | None:
    if request.spec.private_key.rotation_policy is not RotationPolicy.NEVER:
        return None
    try:
        key = load_private_key(data.get("tls.key", b""))
    except PkiError:
        return None
    return key if parameters_of(key) == request.spec.private_key.parameters.normalized() else None


def _foreign(meta: SecretMeta) -> Failed:
    return Failed("SecretNotOwned", not_owned(meta.name, meta.owner), needs_user=True)


def _der(csr: x509.CertificateSigningRequest) -> bytes:
    return csr.public_bytes(Encoding.DER)


def _pem(csr: x509.CertificateSigningRequest) -> str:
    return csr.public_bytes(Encoding.PEM).decode()
