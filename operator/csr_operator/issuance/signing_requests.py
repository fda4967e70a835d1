"""Key and CSR of a request: made anew, as an order kept them, or as the certificate in use was issued for them."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import Executor

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from csr_operator.api.reasons import Reason
from csr_operator.api.request import CertificateRequest, RotationPolicy
from csr_operator.kube.objects import Object, secret_data
from csr_operator.pki.csr import CsrTemplate, build_csr, csr_digest, is_built_from, load_csr, with_common_name
from csr_operator.pki.errors import PkiError
from csr_operator.pki.keys import PrivateKey, generate, load_private_key, parameters_of
from csr_operator.plugin.offload import offload

from .backend_calls import GuardedBackend
from .failures import Failed
from .keymaker import takes_long
from .referenced_secrets import References


class NeedsKey(Exception):
    """There is no key to be used again, and to make another takes long: one has to be handed in."""


class SigningRequests:
    """references: where keys are that are not the operator's. cpu: where signatures that take long are made."""

    def __init__(self, references: References, cpu: Executor) -> None:
        self._references, self._cpu = references, cpu

    async def made(
        self, request: CertificateRequest, existing: Object | None, ca: GuardedBackend, made: PrivateKey | None
    ) -> tuple[PrivateKey | None, x509.CertificateSigningRequest]:
        """Those of a new order, with the key in the Secret if that is to be used again.

        made: a key that was made beforehand. Raises NeedsKey, and Failed if the spec cannot be fulfilled.
        """
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

    async def kept(
        self, request: CertificateRequest, ca: GuardedBackend, data: Mapping[str, bytes], digest: str
    ) -> tuple[PrivateKey | None, x509.CertificateSigningRequest] | None:
        """Those that a staging Secret keeps for an order.

        digest: the `csr_digest` on record. None if they are not what the spec asks for, whatever stands there. Raises
        Failed.
        """
        key = None
        if request.spec.private_key.secret_ref is not None:
            key = await self._references.key(request, ca)
        try:
            kept = data.get("tls.csr", b"")
            csr = await offload(len(kept), load_csr, kept)
            if request.spec.key_is_ours:
                key = load_private_key(data.get("tls.key", b""))
            wanted = await offload(request.spec.weight, _is_of_spec, csr, request, key, ca.traits.repeats_common_name)
        except PkiError:
            return None
        return (key, csr) if wanted and csr_digest(pem_of(csr)) == digest else None

    async def key_in_use(self, request: CertificateRequest, data: Mapping[str, bytes]) -> PrivateKey | None:
        """The key of the certificate in the Secret; None if it never enters the cluster. Raises PkiError, Failed."""
        if request.spec.csr_pem:
            return None
        if request.spec.private_key.secret_ref is not None:
            return await self._references.key(request, None)
        return load_private_key(data.get("tls.key", b""))

    async def csr_in_use(
        self, request: CertificateRequest, key: PrivateKey | None, digest: str
    ) -> x509.CertificateSigningRequest:
        """What a certificate with this key was issued for, as far as spec and digest tell. Raises PkiError."""
        if key is None:
            return await offload(request.spec.weight, load_csr, request.spec.csr_pem.encode())
        return await offload(request.spec.weight, _rebuilt, request, key, digest)


def pem_of(csr: x509.CertificateSigningRequest) -> str:
    """The CSR as PEM text."""
    return csr.public_bytes(Encoding.PEM).decode()


def _reusable_key(request: CertificateRequest, data: Mapping[str, bytes]) -> PrivateKey | None:
    if request.spec.private_key.rotation_policy is not RotationPolicy.NEVER:
        return None
    try:
        key = load_private_key(data.get("tls.key", b""))
    except PkiError:
        return None
    return key if parameters_of(key) == request.spec.private_key.parameters.normalized() else None


def _template(request: CertificateRequest, repeats_common_name: bool) -> CsrTemplate:
    """What a CSR is built from. Raises PkiError."""
    template = request.spec.template
    return with_common_name(template) if repeats_common_name else template


def _rebuilt(request: CertificateRequest, key: PrivateKey, digest: str) -> x509.CertificateSigningRequest:
    """The CSR that a certificate was issued for, with that `csr_digest` if it is one of those that the spec makes."""
    csr = build_csr(request.spec.template, key)
    if digest and csr_digest(pem_of(csr)) != digest:
        other = build_csr(with_common_name(request.spec.template), key)
        return other if csr_digest(pem_of(other)) == digest else csr
    return csr


def _is_of_spec(
    csr: x509.CertificateSigningRequest, request: CertificateRequest, key: PrivateKey | None, repeats_common_name: bool
) -> bool:
    """Made of nothing but the spec and the key. Raises PkiError if the spec makes none."""
    if request.spec.csr_pem:
        return csr == load_csr(request.spec.csr_pem.encode())
    assert key is not None
    return key.public_key() == csr.public_key() and is_built_from(csr, _template(request, repeats_common_name), key)
