"""The Secrets that certificates are in: each request's own is read, and written at once or not at all."""

from cryptography import x509

from csr_operator.api.keys import SecretKey
from csr_operator.api.names import OWED_ANNOTATION, RENEWAL_WINDOW_ANNOTATION
from csr_operator.api.parse_secret import parse_secret_meta
from csr_operator.api.reasons import Reason
from csr_operator.api.request import CertificateRequest
from csr_operator.api.revocation_debts import RevocationDebt, read_debts
from csr_operator.api.seal import Seal
from csr_operator.api.secrets import Record, SecretMeta
from csr_operator.decisions.ownership import not_owned, owner_of, owns
from csr_operator.kube.errors import KubeError
from csr_operator.kube.objects import Object, secret_data
from csr_operator.kube.secrets import Secrets
from csr_operator.pki.chain import Chain, load_bundle
from csr_operator.pki.errors import PkiError
from csr_operator.pki.fingerprint import sha256_fingerprint
from csr_operator.plugin.backend import Renewal
from csr_operator.plugin.offload import LARGE, offload

from . import secret_body as outputs
from .attempt import Basis
from .failures import Failed, Overtaken

_TRIES = 5
"""How often a Secret is written over what others change in it meanwhile, before it is left for a while."""


class IssuedSecrets:
    """client: of the Kubernetes API. seal: what tells the operator's own state from that of others.

    All that reads or writes raises KubeError.
    """

    def __init__(self, client: Secrets, seal: Seal) -> None:
        self._client, self._seal = client, seal

    def meta(self, secret: Object) -> SecretMeta:
        """What the operator goes by, of a Secret as it was read."""
        return parse_secret_meta(secret, self._seal)

    def read_debts(self, secret: Object) -> tuple[RevocationDebt, ...]:
        """What its Secret remembers that is to be revoked."""
        metadata = secret["metadata"]
        where = SecretKey(metadata["namespace"], metadata["name"])
        return read_debts(where, (metadata.get("annotations") or {}).get(OWED_ANNOTATION, ""), self._seal)

    async def own(self, request: CertificateRequest) -> Object | None:
        """The request's Secret; None if there is none. Raises Failed if it is somebody else's."""
        existing = await self._client.get(request.secret)
        if existing is not None and not owns(request, meta := self.meta(existing)):
            raise Failed(Reason.SECRET_NOT_OWNED, not_owned(meta.name, owner_of(meta)))
        return existing

    async def present(self, request: CertificateRequest) -> Object:
        """As `own`, where it has to be there."""
        existing = await self.own(request)
        if existing is None:
            raise _gone(request)
        return existing

    def as_decided_on(
        self, request: CertificateRequest, existing: Object | None, known: SecretMeta | None
    ) -> SecretMeta | None:
        """The Secret as it was read now. Raises Overtaken if it is not the one that was decided on.

        Such as one that the operator wrote without hearing of it, which holds what its order came to already.
        """
        if existing is None:
            if known is not None:
                raise _gone(request)
            return None
        current = self.meta(existing)
        if known is None or current.essence != known.essence:
            raise Overtaken(current)
        return current

    async def note_renewal(self, request: CertificateRequest, renewal: Renewal | None) -> SecretMeta | None:
        """Keep when the CA wants the certificate renewed; None if that is what is kept already."""
        existing = await self.present(request)
        record, window = self.meta(existing).record, outputs.window_of(renewal)
        if record is None or record.window == window:
            return None
        text = None
        if window is not None:
            text = outputs.window_text(request.secret, record.serial_number, window, self._seal)
        return self.meta(await self._client.annotate(existing, RENEWAL_WINDOW_ANNOTATION, text))

    async def write(
        self,
        request: CertificateRequest,
        record: Record,
        chain: Chain,
        basis: Basis,
        secret: SecretMeta | None,
    ) -> SecretMeta:
        """Write what the certificate brings, and return the Secret as it is then.

        secret: as it was when it was decided on; None if there was none. Raises Failed, and Overtaken if others changed
        what the operator goes by.
        """
        key = basis.key if request.spec.key_is_ours else None
        try:
            # To derive a keystore's key takes long by design.
            stores = request.spec.outputs
            weight = LARGE + 1 if stores.pkcs12 or stores.jks else 0
            data = await offload(weight, outputs.secret_data, request, chain, key, basis.passwords)
        except PkiError as error:
            raise Failed(Reason.INVALID_REQUEST, str(error)) from None
        # What is in use is never to be revoked, whatever was to be before.
        debts = tuple(debt for debt in basis.debts if debt.certificate != chain.leaf)
        body = outputs.secret_body(request, record, data, debts, self._seal)
        for _ in range(_TRIES):
            if secret is not None:
                # Only this very Secret, as it was when it was read: whoever wrote to it since is looked at first.
                body["metadata"] |= {"uid": secret.uid, "resourceVersion": secret.resource_version}
            try:
                return self.meta(await self._client.apply(request.secret, body, new=secret is None))
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
        existing = await self.own(request) if refused.status in (409, 422) else None
        current = self.meta(existing) if existing is not None else None
        if refused.status == 409 and current is not None and refused.reason in ("Conflict", "AlreadyExists"):
            if secret is None or current.essence != secret.essence:
                raise Overtaken(current)
            if current.resource_version != secret.resource_version:
                return current
        if refused.status == 422 and existing is not None and (why := find_conflict(existing, body)):
            raise Failed(Reason.SECRET_CONFLICT, why)
        if refused.status in (403, 422) or current is not None:
            raise Failed(Reason.SECRET_REFUSED, f"Secret {request.secret.name} was refused: {refused}")
        raise refused


def find_conflict(existing: Object, body: Object) -> str:
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


def _gone(request: CertificateRequest) -> KubeError:
    """As the watch is about to show."""
    return KubeError(404, "NotFound", f"Secret {request.secret.name} is gone")


def leaf_in(secret: Object) -> x509.Certificate | None:
    """The certificate in a Secret; None if it cannot be read."""
    try:
        return load_bundle(secret_data(secret).get("tls.crt", b""))[0]
    except PkiError:
        return None


def recorded_leaf(secret: Object, record: Record) -> x509.Certificate | None:
    """The certificate in the Secret, if it is the one that the operator stored: no other is the request's to revoke."""
    leaf = leaf_in(secret)
    return leaf if leaf is not None and sha256_fingerprint(leaf) == record.sha256_fingerprint else None
