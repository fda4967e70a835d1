"""Whose a Secret is, and what becomes of one that is not the request's."""

from csr_operator.api.keys import Kind
from csr_operator.api.reasons import Reason
from csr_operator.api.request import CertificateRequest
from csr_operator.api.secrets import SecretMeta

from .actions import Adopt, Hold
from .adoption import is_left, is_wished, may_be_taken, still_owned
from .obstacles import missing_issuer
from .world import World


def owns(request: CertificateRequest, secret: SecretMeta) -> bool:
    """The Secret is this request's; one that outlived an earlier request of that name (Retain) counts.

    While a request goes, so does what Kubernetes has just taken its owner from (`--cascade=orphan`).
    """
    if secret.owner_uid:
        return secret.owner_uid == request.uid
    if request.being_deleted and is_left(request, secret) and secret.record is not None:
        return secret.record.issuance_hash == request.issuance_hash
    return secret.retained_for == request.name


def precedence(request: CertificateRequest, secret: SecretMeta | None) -> tuple[bool, bool, bool, str, str]:
    """Of the requests that name one Secret, the one with the least of these is to have it.

    Whose it is; whom it is to be given to; for whose spec it says that it was made, which after a restore tells more
    than any time of creation; the oldest.
    """
    if secret is None:
        return True, True, True, request.created, request.uid
    fits = secret.issuance_hash == request.issuance_hash
    return not owns(request, secret), not is_wished(request, secret), not fits, request.created, request.uid


def take_over_or_leave(request: CertificateRequest, world: World, secret: SecretMeta) -> Adopt | Hold:
    """What becomes of somebody else's Secret: it is taken over if that is wished for, or if it was left behind."""
    until = world.now + world.recheck  # of the Secrets of others, no watch shows what becomes of them
    wished = is_wished(request, secret)
    if wished and secret.owner_uid:
        return Hold.of(Reason.ADOPTION_REFUSED, still_owned(request, secret), until=until)
    if not may_be_taken(request, secret):
        text = not_owned(secret.name, owner_of(secret))
        if not secret.owner_uid:
            text += f"; to take it over, if it holds what the request asks for: `kubectl csr adopt {request.name} "
            text += f"-n {request.namespace}`"
        return Hold.of(Reason.SECRET_NOT_OWNED, text, until=until)
    if world.rival and not wished:
        owner = f"{Kind.CERTIFICATE_REQUEST} {world.rival}"
        return Hold.of(Reason.SECRET_NOT_OWNED, not_owned(secret.name, owner), until=until)
    if secret.record is None and not any(issuer.ready for issuer in world.issuers.values()):
        # Whose certificate it could be is not known otherwise.
        key = request.issuers[0]
        if (state := world.issuers.get(key)) is None:
            return Hold.of(Reason.ISSUER_NOT_FOUND, missing_issuer(request, world, key), until=until)
        return Hold.of(Reason.ISSUER_NOT_READY, f"{key} is not ready: {state.message}", until=until)
    return Adopt()


def owner_of(secret: SecretMeta) -> str:
    """Whose a Secret is, for a message; empty if nobody says so."""
    if secret.retained_for and not secret.owner_uid:
        return f"{Kind.CERTIFICATE_REQUEST} {secret.retained_for}, by its deletionPolicy Retain,"
    return secret.owner


def not_owned(name: str, owner: str) -> str:
    """The words for a Secret that is somebody else's."""
    return f"Secret {name} {of_somebody_else(owner)}"


def of_somebody_else(owner: str) -> str:
    """The words for such a Secret without its name: whose it is, and what may be done."""
    whose = f"belongs to {owner}" if owner else "was not made by the operator"
    # spec.secretName cannot be changed; and what is another request's would only be made again.
    remedy = "delete this request, and create it with another spec.secretName"
    if not owner.startswith(f"{Kind.CERTIFICATE_REQUEST} "):
        remedy = f"delete the Secret if nobody needs it; or {remedy}"
    return f"{whose} and is left untouched: {remedy}"
