"""What the API server says to a challenge, as an error of the backend that presents it."""

from csr_operator.kube.errors import KubeError, Unreachable
from csr_operator.kube.resources import RouteKind
from csr_operator.plugin.errors import BackendError, Misconfigured, Rejected, Retryable


def to_backend_error(error: KubeError | Unreachable, solver: str, kind: RouteKind, namespace: str) -> BackendError:
    """solver: of the issuer's spec, for the message."""
    text = f"{solver}: the {kind} of the challenge, in namespace {namespace}: {error}"
    if isinstance(error, Unreachable):
        return Retryable(text)
    if error.status == 404 and kind is RouteKind.HTTP_ROUTE:
        return Misconfigured(f"{text}: is the Gateway API (gateway.networking.k8s.io/v1) installed?")
    if error.status in (403, 404):
        return Misconfigured(f"{text}: apply deploy/ to the namespace that the operator runs in")
    return Rejected(text) if error.status == 422 else Retryable(text)
