"""Takes over a Secret that somebody else has left to a request."""

from collections.abc import Callable, Sequence
from datetime import datetime

from cryptography import x509

from csr_operator.api.names import ADOPT_ANNOTATION
from csr_operator.api.reasons import Reason
from csr_operator.api.request import CertificateRequest
from csr_operator.api.seal import Seal
from csr_operator.api.secrets import Record, SecretMeta
from csr_operator.decisions import adoption
from csr_operator.decisions.pace import Pace
from csr_operator.kube.client import Kube
from csr_operator.kube.errors import KubeError
from csr_operator.kube.objects import Object, secret_data
from csr_operator.pki.chain import Chain, build_chain, load_bundle
from csr_operator.pki.errors import Mismatch, PkiError
from csr_operator.pki.fingerprint import sha256_fingerprint
from csr_operator.pki.verify import CA_DECIDES
from csr_operator.plugin.offload import LARGE, offload

from . import secret_body as outputs
from .attempt import Basis, Written
from .backend_calls import GuardedBackend
from .failures import Failed
from .issued_secrets import IssuedSecrets, find_conflict
from .referenced_secrets import References
from .signing_requests import SigningRequests


class Takeover:
    """kube: the Kubernetes API. clock: the time in UTC."""

    def __init__(
        self,
        kube: Kube,
        secrets: IssuedSecrets,
        csrs: SigningRequests,
        references: References,
        clock: Callable[[], datetime],
        seal: Seal,
    ) -> None:
        self._kube, self._secrets, self._csrs, self._references = kube, secrets, csrs, references
        self._clock, self._seal = clock, seal

    async def adopt(self, request: CertificateRequest, cas: Sequence[GuardedBackend], pace: Pace | None) -> Written:
        """Take over a Secret that somebody else has left to the request, if it holds what is asked for.

        cas: of which the certificate may be. pace: as far as it is known, where nothing is on record of it. Raises
        Failed, and KubeError (409) if the Secret is not there to be taken any more.
        """
        existing = await self._kube.secrets.get(request.secret)
        if existing is None or not adoption.may_be_taken(request, secret := self._secrets.meta(existing)):
            raise KubeError(409, "", f"Secret {request.secret.name} has changed just now")
        if existing["type"] != outputs.secret_type(request):
            text = adoption.other_type(secret, existing["type"], outputs.secret_type(request))
            raise Failed(Reason.ADOPTION_REFUSED, text)
        data, before, spec = secret_data(existing), secret.record, request.spec
        stored = data.get("tls.crt", b"") + b"\n" + data.get("ca.crt", b"")
        differences: list[str] = []
        try:
            key = await self._csrs.key_in_use(request, data)
            if key is not None and spec.key_is_ours:
                differences += adoption.key_differences(spec.private_key.parameters, key)
            csr = await self._csrs.csr_in_use(request, key, "")
            issuer, chain = await self._vouched(request, secret, csr, stored, cas)
            if differences:
                raise Mismatch(())
        except PkiError as error:
            differences += error.differences if isinstance(error, Mismatch) else [str(error)]
            text = adoption.describe_refusal(request, secret, differences)
            raise Failed(Reason.ADOPTION_REFUSED, text) from None
        revision = before.revision if before is not None else request.status.revision or 1
        basis = Basis(csr, key, await self._references.passwords(request), self._secrets.read_debts(existing))
        record = outputs.kept_record(request, revision, issuer, chain, basis.csr_pem, before, pace)
        return Written(await self._take(request, record, chain, basis, existing), basis.csr_pem)

    async def _take(
        self, request: CertificateRequest, record: Record, chain: Chain, basis: Basis, existing: Object
    ) -> SecretMeta:
        """Write the Secret of somebody else, if it is still as it was when it was looked into. Raises KubeError."""
        key, metadata = basis.key if request.spec.key_is_ours else None, existing["metadata"]
        try:
            # In a thread, as a keystore takes long.
            data = await offload(LARGE + 1, outputs.secret_data, request, chain, key, basis.passwords)
        except PkiError as error:
            raise Failed(Reason.INVALID_REQUEST, str(error)) from None
        body = outputs.secret_body(request, record, data, basis.debts, self._seal)
        body["metadata"] |= {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
        # Kubernetes may have taken the owner from the Secret just now, because this very request is being deleted, of
        # which another watch tells. Given back to it, the Secret would be collected.
        there = (await self._kube.custom_objects.get(request.key) or {}).get("metadata", {})
        if there.get("uid") != request.uid or "deletionTimestamp" in there:
            raise KubeError(409, "", f"{request.name} no longer owns Secret {request.secret.name}")
        if ADOPT_ANNOTATION in (metadata.get("annotations") or {}):
            body["metadata"]["annotations"][ADOPT_ANNOTATION] = ""  # fulfilled; the next write removes it
        try:
            return self._secrets.meta(await self._kube.secrets.apply(request.secret, body, new=False))
        except KubeError as error:
            if error.status == 422 and (why := find_conflict(existing, body)):
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
        cas: Sequence[GuardedBackend],
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
