"""`adopt`: a Secret that is there already, for the request that names it, by an annotation on the Secret."""

from argparse import Namespace
from collections.abc import Sequence
from datetime import datetime

from cryptography import x509

from csr_operator.api.names import ADOPT_ANNOTATION
from csr_operator.api.parse_request import parse_request
from csr_operator.api.parse_secret import parse_secret_meta
from csr_operator.api.request import CertificateRequest
from csr_operator.api.secrets import SecretMeta
from csr_operator.decisions import adoption
from csr_operator.decisions.ownership import owner_of, owns
from csr_operator.issuance.secret_body import secret_type
from csr_operator.kube.objects import Object, secret_data
from csr_operator.pki.chain import load_bundle
from csr_operator.pki.csr import build_csr
from csr_operator.pki.errors import Mismatch, PkiError
from csr_operator.pki.fingerprint import sha256_fingerprint
from csr_operator.pki.keys import load_private_key
from csr_operator.pki.verify import CA_DECIDES

from .certificates import title
from .cluster import Cluster
from .errors import CommandFailed
from .output import Report, ask, note, one_line
from .state import state_of
from .waiting import Patience, wait_for


async def adopt(cluster: Cluster, name: str, options: Namespace, now: datetime) -> Report:
    """Say on the Secret that the request is to have it, once the user has seen whose certificate it is and said yes."""
    request = parse_request(await cluster.get(cluster.key(name)))
    secret_name = request.spec.secret_name
    secret = await cluster.get_secret(request.secret)
    if secret is None:
        raise CommandFailed(f"Secret {secret_name} does not exist: {name} gets a certificate without it")
    meta = parse_secret_meta(secret, None)
    leaf = _leaf(request, secret, meta, now)
    whose = owner_of(meta)
    description = f"Secret {request.namespace}/{secret_name}{f' of {whose}' if whose else ''} with {title(leaf)}"
    if not options.yes:
        note(f"Let {name} take over {description}, issued by {leaf.issuer.rfc4514_string() or 'an unnamed issuer'}?")
        note("It then renews the certificate, and the Secret is deleted with it unless spec.deletionPolicy is Retain.")
        if not ask("Type yes to continue: "):
            raise CommandFailed("nothing was changed")
    await cluster.annotate_secret(secret, ADOPT_ANNOTATION, name)
    fingerprint = sha256_fingerprint(leaf)
    data = {"namespace": request.namespace, "name": name, "secret": secret_name, "sha256Fingerprint": fingerprint}
    text = f"{request.namespace}/{name}: {description}: the operator is asked to take it over"
    if options.wait:
        after = await wait_for(
            cluster,
            request,
            lambda r: state_of(r, now).ready and r.status.sha256_fingerprint == fingerprint,
            Patience(options.timeout),
        )
        data["revision"] = str(after.status.revision)
        text = f"{request.namespace}/{name}: {description}: taken over, revision {after.status.revision}"
    return Report(data, text)


def _leaf(request: CertificateRequest, secret: Object, meta: SecretMeta, now: datetime) -> x509.Certificate:
    """The certificate. Raises CommandFailed for what the operator would refuse, as far as that is known here."""
    if owns(request, meta):
        raise CommandFailed(f"Secret {meta.name} already belongs to {request.name}")
    if meta.owner_uid:
        raise CommandFailed(adoption.still_owned(request, meta))
    if secret.get("immutable"):
        raise CommandFailed(
            f"Secret {meta.name} is immutable, so that nothing can be renewed in it: delete it and create it again "
            "without `immutable: true`"
        )
    if secret["type"] != (wanted := secret_type(request)):
        raise CommandFailed(adoption.other_type(meta, secret["type"], wanted))
    try:
        pool = load_bundle(secret_data(secret).get("tls.crt", b""))
    except PkiError as error:
        raise CommandFailed(f"tls.crt in Secret {meta.name}: {error}") from None
    if differences := _differences(request, secret, pool, now):
        lines = "\n".join(f"  {one_line(text)}" for text in differences)
        raise CommandFailed(f"Secret {meta.name} does not hold what {request.name} asks for:\n{lines}")
    return pool[0]


def _differences(
    request: CertificateRequest, secret: Object, pool: Sequence[x509.Certificate], now: datetime
) -> list[str]:
    """Whose certificate it could be, and a key that is elsewhere, are left to the operator."""
    if not request.spec.key_is_ours:
        return []
    differences: list[str] = []
    try:
        key = load_private_key(secret_data(secret).get("tls.key", b""))
        differences += adoption.key_differences(request.spec.private_key.parameters, key)
        adoption.check(pool, request, build_csr(request.spec.template, key), now, None, CA_DECIDES)
    except PkiError as error:
        differences += error.differences if isinstance(error, Mismatch) else [str(error)]
    return differences
