"""What keeps a certificate from being issued: an issuer that is missing or not ready, its policy, approval, a failure.

The words say what it is and what helps. `Hold.until` is when to look again, where no event tells.
"""

from collections.abc import Sequence
from dataclasses import replace

from csr_operator.api.conditions import Condition
from csr_operator.api.keys import IssuerRef, Kind, ObjectKey
from csr_operator.api.reasons import Reason
from csr_operator.api.request import CertificateRequest
from csr_operator.api.secrets import SecretMeta

from .actions import Hold
from .policy import violations
from .policy_facts import facts_of
from .world import IssuerState, World, still_counts


def find_obstacle(request: CertificateRequest, world: World, key: ObjectKey) -> Hold | None:
    """Why the issuer `key`, one that the request names, cannot be asked now; None if it can."""
    issuer = world.issuers.get(key)
    if issuer is None:
        return Hold.of(Reason.ISSUER_NOT_FOUND, missing_issuer(request, world, key), names_issuer=True)
    failure = (world.failures or {}).get(key)
    if failure is not None and still_counts(failure, request, issuer.version, world.now):
        return Hold(failure.reason, failure.message, failure.needs_user, failure.retry_at, failure.names_issuer)
    # No watch shows when a namespace gets another label.
    until = world.now + world.recheck if issuer.policy is not None and issuer.policy.needs_labels else None
    denials = violations(issuer.policy, facts_of(request), request.namespace, world.labels or {})
    if (hold := find_denial(request, key, issuer, denials)) is not None:
        return replace(hold, until=until) if hold.reason is Reason.POLICY_DENIED else hold
    if not issuer.ready:
        return Hold.of(Reason.ISSUER_NOT_READY, f"{key} is not ready: {issuer.message}", names_issuer=True)
    return None


def find_own_obstacle(request: CertificateRequest, world: World) -> Hold | None:
    """What failed before any issuer was asked, and would fail again; None if nothing did."""
    failure = (world.failures or {}).get(None)
    if failure is not None and still_counts(failure, request, "", world.now):
        return Hold(failure.reason, failure.message, failure.needs_user, until=failure.retry_at)
    return None


def find_denial(
    request: CertificateRequest, key: ObjectKey, issuer: IssuerState, denials: Sequence[str]
) -> Hold | None:
    """Why this issuer may not be asked: its policy, of which `denials` are the violations, or an approval.

    None if it may be.
    """
    if denials:
        message = f"{key} does not allow it: {'; '.join(denials)}"
        return Hold.of(Reason.POLICY_DENIED, message, names_issuer=True)
    return _approval(request, key) if issuer.needs_approval else None


def _approval(request: CertificateRequest, key: ObjectKey) -> Hold | None:
    def given(kind: str) -> Condition | None:
        condition = request.status.condition(kind)
        if condition is None or condition.status != "True" or condition.observed_generation != request.generation:
            return None  # it was given to another spec
        return condition

    if (denied := given("Denied")) is not None:
        return Hold.of(Reason.DENIED, f"{denied.message or 'denied'}; change the request, or have it approved")
    if given("Approved") is None:
        command = f"kubectl csr approve {request.name} -n {request.namespace} --generation {request.generation}"
        message = f"{key} needs approval: somebody who may approve its requests has to run `{command}`"
        return Hold.of(Reason.APPROVAL_PENDING, message, names_issuer=True)
    return None


def missing_issuer(request: CertificateRequest, world: World, key: ObjectKey) -> str:
    """The words for an issuer that does not exist."""
    namesake, ref = namesake_of(request, key), ref_field(request, key)
    if namesake not in world.namesakes:
        return f"{ref}.name: {key} does not exist: create it, or correct the name"
    return f"{ref}.name: {key} does not exist: {namesake} does: set {ref}.kind to {namesake.kind}, or create {key}"


def namesake_of(request: CertificateRequest, key: ObjectKey) -> ObjectKey:
    """The issuer of the other kind that may have been meant."""
    ref = IssuerRef(key.name, Kind.CLUSTER_ISSUER if key.kind is Kind.ISSUER else Kind.ISSUER)
    return ref.key(request.namespace)


def ref_field(request: CertificateRequest, key: ObjectKey) -> str:
    """Where the spec names this issuer, for a message."""
    return f"spec.issuerRefs[{request.issuers.index(key)}]" if len(request.issuers) > 1 else "spec.issuerRef"


def hold_repair(secret: SecretMeta) -> Hold:
    """While the next repair of a Secret waits, which somebody changes again and again."""
    whom = (
        f"{secret.changed_by}: have that leave it alone" if secret.changed_by else "somebody: find out who, such as by "
    )
    if not secret.changed_by:
        whom += f"`kubectl get secret {secret.name} -n {secret.namespace} -o yaml --show-managed-fields`"
    text = (
        f"Secret {secret.namespace}/{secret.name} is restored only after a pause, as it is changed again and again by "
    )
    return Hold.of(Reason.REPAIR_LOOP, text + whom)
