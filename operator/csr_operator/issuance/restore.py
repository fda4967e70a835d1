"""Repairs a Secret, from what is in it and on record of it."""

from collections.abc import Callable, Sequence
from datetime import datetime

from cryptography import x509

from csr_operator.api.request import CertificateRequest
from csr_operator.api.secrets import SecretMeta
from csr_operator.decisions.pace import Pace
from csr_operator.kube.objects import secret_data
from csr_operator.pki.chain import Chain, build_chain, load_bundle
from csr_operator.pki.errors import PkiError
from csr_operator.pki.fingerprint import sha256_fingerprint
from csr_operator.pki.keys import parameters_of
from csr_operator.pki.signatures import is_self_signed
from csr_operator.pki.verify import CA_DECIDES, accepted
from csr_operator.plugin.offload import offload

from . import secret_body as outputs
from .attempt import Basis, Written
from .backend_calls import GuardedBackend
from .issued_secrets import IssuedSecrets
from .referenced_secrets import References
from .signing_requests import SigningRequests


class Restorer:
    """clock: the time in UTC."""

    def __init__(
        self, secrets: IssuedSecrets, csrs: SigningRequests, references: References, clock: Callable[[], datetime]
    ) -> None:
        self._secrets, self._csrs, self._references, self._clock = secrets, csrs, references, clock

    async def restore(
        self,
        request: CertificateRequest,
        revision: int,
        secret: SecretMeta,
        pace: Pace | None,
        ca: GuardedBackend | None,
    ) -> Written | None:
        """Write labels, annotations and data as they should be; None if the certificate does not serve any more.

        pace: as far as it is known, for a certificate that nothing is on record of. ca: the one on record, if it can be
        asked, for what is above a certificate. Raises Failed, KubeError, and Overtaken if the Secret has changed.
        """
        existing = await self._secrets.own(request)
        if existing is None:
            return None
        secret = self._secrets.as_decided_on(request, existing, secret) or secret
        data = secret_data(existing)
        try:
            key = await self._csrs.key_in_use(request, data)
            known = secret.record.csr if secret.record is not None else ""
            csr = await self._csrs.csr_in_use(request, key, known)
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
        basis = Basis(csr, key, await self._references.passwords(request), self._secrets.read_debts(existing))
        record = outputs.kept_record(request, revision, issuer, chain, basis.csr_pem, before, pace)
        return Written(await self._secrets.write(request, record, chain, basis, secret), basis.csr_pem)


async def _roots(
    stored: bytes, csr: x509.CertificateSigningRequest, ca: GuardedBackend | None
) -> Sequence[x509.Certificate] | None:
    """What the CA says that is above the certificate for the CSR; None if it is not known. Raises PkiError, Failed."""
    if ca is None:
        return None
    leaf = (await offload(len(stored), build_chain, csr, load_bundle(stored))).leaf
    known = (await ca.roots_of(leaf))[0] or ()
    return [certificate for certificate in known if is_self_signed(certificate)] or None


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
