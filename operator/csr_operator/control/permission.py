"""Policy and approval, looked at once more of the very CSR that is about to be sent to a CA."""

from cryptography import x509

from csr_operator.api.request import CertificateRequest
from csr_operator.decisions.obstacles import find_denial
from csr_operator.decisions.policy import key_violations, violations
from csr_operator.decisions.policy_facts import facts_of_csr
from csr_operator.issuance.backend_calls import GuardedBackend
from csr_operator.issuance.failures import Failed, Overtaken
from csr_operator.kube.namespaces import Namespaces
from csr_operator.pki.keys import parameters_of
from csr_operator.plugin.offload import offload

from .issuers import Issuers
from .store import Store


class Permission:
    """By what is known of the request and of the issuer at this moment."""

    def __init__(self, store: Store, issuers: Issuers, namespaces: Namespaces) -> None:
        self._store, self._issuers, self._namespaces = store, issuers, namespaces

    async def check(self, request: CertificateRequest, ca: GuardedBackend, csr: x509.CertificateSigningRequest) -> None:
        """Raises Failed if it may not be sent, Overtaken if request or issuer is another one meanwhile."""
        there = self._store.request(request.key)
        if there is None or (there.uid, there.generation, there.being_deleted) != (
            request.uid,
            request.generation,
            request.being_deleted,
        ):
            raise Overtaken
        key = request.issuer_key(ca.issuer)
        live = self._issuers.get(key) if key is not None else None
        if key is None or live is None or live.state is None or live.ca.backend is not ca.backend:
            raise Overtaken
        policy = live.state.policy
        needs_labels = policy is not None and policy.needs_labels
        labels = await self._namespaces.get_labels(request.namespace) if needs_labels else {}
        if policy is not None:
            facts = await offload(request.spec.weight, facts_of_csr, csr, request)
            denials = await offload(request.spec.weight, violations, policy, facts, request.namespace, labels)
        else:
            denials = key_violations(parameters_of(csr.public_key()))
        hold = find_denial(there, key, live.state, denials)
        if hold is not None:
            raise Failed(hold.reason, hold.message, names_issuer=hold.names_issuer)
