"""Which Secrets of others a request takes over, and whether what is in them is what it asks for: pure.

To give a Secret away is in the hands of who may write it: they name the request in an annotation. One that the operator
wrote itself, and whose request left it behind, needs none.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from cryptography import x509

from csr_operator.api.keys import Kind
from csr_operator.api.request import CertificateRequest
from csr_operator.api.secrets import SecretMeta
from csr_operator.pki.chain import Chain
from csr_operator.pki.errors import Mismatch
from csr_operator.pki.keys import KeyParameters, PrivateKey, parameters_of
from csr_operator.pki.verify import Rules, accepted


def is_wished(request: CertificateRequest, secret: SecretMeta) -> bool:
    """Who may write the Secret wants this request to have it."""
    return secret.adopt == request.name


def is_left(request: CertificateRequest, secret: SecretMeta) -> bool:
    """The operator wrote it for a request that let it go, and for none of another name."""
    return secret.left_for in ("", request.name)


def may_be_taken(request: CertificateRequest, secret: SecretMeta) -> bool:
    """As far as it is known without looking into it. A Secret with another owner never."""
    return not secret.owner_uid and (is_wished(request, secret) or is_left(request, secret))


def still_owned(request: CertificateRequest, secret: SecretMeta) -> str:
    """The words for one that is to be taken over, and has another owner."""
    kind, _, name = secret.owner.partition(" ")
    # cert-manager has a CertificateRequest as well, which kubectl may take the whole word for.
    ours = kind == Kind.CERTIFICATE_REQUEST
    whose = f"csreq {name} -n {secret.namespace}" if ours else f"{kind.lower()} {name}"
    return (
        f"Secret {secret.name} is to be taken over for {request.name}, and belongs to {secret.owner} by its "
        f"metadata.ownerReferences: release it, for example with `kubectl delete {whose} --cascade=orphan`, "
        "or remove the entry"
    )


def other_type(secret: SecretMeta, given: str, wanted: str) -> str:
    """The words for one of another type."""
    return (
        f"Secret {secret.name} is of type {given}, where {wanted} is needed, and Kubernetes does not "
        f"allow changing that: copy it into one of type {wanted}, or delete it"
    )


def describe_refusal(request: CertificateRequest, secret: SecretMeta, differences: Sequence[str]) -> str:
    """The words for one whose content is not what the request asks for."""
    name = secret.name
    otherwise = f"delete Secret {name}" if is_left(request, secret) else f"remove the annotation of Secret {name}"
    return (
        f"Secret {name} is not taken over, as it does not hold what {request.name} asks for: {'; '.join(differences)}: "
        f"change the request, or {otherwise}"
    )


def key_differences(wanted: KeyParameters, key: PrivateKey) -> list[str]:
    """What the spec asks for, where it is not this key."""
    given, wanted = parameters_of(key), wanted.normalized()
    if given == wanted:
        return []
    return [f"private key: it is {_key_words(given)}, where spec.privateKey asks for {_key_words(wanted)}"]


def check(
    chain_pool: Sequence[x509.Certificate],
    request: CertificateRequest,
    csr: x509.CertificateSigningRequest,
    now: datetime,
    roots: Sequence[x509.Certificate] | None,
    rules: Rules,
) -> Chain:
    """The chain of the certificate for the key of `csr`, if it is what the request asks for and valid now.

    csr: as the spec makes it of the key in use. roots: what it has to lead to; None for anything. Raises PkiError,
    mostly Mismatch.
    """
    return accepted(csr, chain_pool, request.spec.template.profile, now=now, roots=roots, rules=rules)


def last_moment(leaf: x509.Certificate, now: datetime) -> datetime:
    """Now, or while it was still valid: what has expired is replaced as soon as it is taken over."""
    return min(now, leaf.not_valid_after_utc - timedelta(seconds=1))


def revoked_certificate() -> Mismatch:
    """The certificate is not to be used any more."""
    text = "the certificate was revoked, or was to be, when the request before was deleted"
    return Mismatch([text])


def _key_words(parameters: KeyParameters) -> str:
    return f"{parameters.algorithm} {parameters.size or ''}".rstrip()
