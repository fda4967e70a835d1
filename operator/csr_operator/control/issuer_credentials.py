"""Which Secrets an issuer may use: pure.

Who may create an Issuer may have the operator send a credential wherever they like. A Secret is therefore one only if
whoever made it says so, and creating Issuers is no way of reading Secrets.
"""

from csr_operator.api.issuer import Issuer
from csr_operator.api.keys import Kind
from csr_operator.api.names import CREDENTIAL_LABEL, CREDENTIAL_TYPE, STATE_KEY
from csr_operator.kube.issuer_secrets import is_written_by
from csr_operator.kube.objects import Object

_OF_KUBERNETES = frozenset(
    (
        "kubernetes.io/service-account-token",
        "bootstrap.kubernetes.io/token",
        "kubernetes.io/dockercfg",
        "kubernetes.io/dockerconfigjson",
    )
)
"""Credentials for Kubernetes itself, and for registries (https://kubernetes.io/docs/concepts/configuration/secret/)."""


def find_refusal(secret: Object, issuer: Issuer) -> str:
    """Why the issuer may not use the Secret, in words with the remedy; empty if it may."""
    metadata, kind = secret["metadata"], secret.get("type") or "Opaque"
    name, namespace = metadata["name"], metadata["namespace"]
    title = f"Secret {namespace}/{name}"
    if name == STATE_KEY:
        return f"{title} is the operator's own: name another"
    if kind in _OF_KUBERNETES:
        return f"{title} is of type {kind}, which is for Kubernetes and never for an issuer: name another"
    if issuer.kind is Kind.CLUSTER_ISSUER:
        return ""  # who makes one administers the cluster, and the namespace of these Secrets is for that
    if kind == CREDENTIAL_TYPE or (metadata.get("labels") or {}).get(CREDENTIAL_LABEL) == "true":
        return ""
    if kind == "kubernetes.io/tls" and issuer.backend == "ca":
        return ""  # its key signs, and is sent nowhere
    if is_written_by(secret, issuer):
        return ""
    if issuer.backend == "ca":
        # A label would let any other issuer of the namespace send the key somewhere.
        return (
            f"{title} is of type {kind}, and the key pair of a CA has to be of type kubernetes.io/tls: create it "
            "again with that type, as the type of a Secret cannot be changed"
        )
    return (
        f"{title} is not allowed as a credential of issuers: whoever may change it has to allow that with "
        f"`kubectl label --overwrite secret {name} -n {namespace} {CREDENTIAL_LABEL}=true`"
    )
