"""The kinds of objects that the operator reads and writes, and where the Kubernetes API has them: the one table."""

from dataclasses import dataclass
from enum import StrEnum

from csr_operator.api.keys import Kind
from csr_operator.api.names import GROUP, MANAGED_LABEL, VERSION, is_name

from .errors import KubeError


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource of the Kubernetes API (https://kubernetes.io/docs/reference/using-api/api-concepts/)."""

    group: str
    """Empty for the core group."""

    version: str
    plural: str
    kind: str
    namespaced: bool = True
    selector: str = ""
    """Of labels: what is watched. The server filters, so that others cost nothing. Empty for all."""
    metadata_only: bool = False
    """What is watched is never sent here but for its metadata."""
    in_batches: bool = False
    """Changes are read several at a time (`batches.py`): there are many of it, and a request that is seen a tenth of a
    second late loses nothing. An issuer that is seen after its requests would have them wait."""

    def path(self, namespace: str = "", name: str = "") -> str:
        """Of all objects in the cluster or, with `namespace`, of those in one; with `name` that of one object.

        Raises KubeError for what is no name of an object: `..` in a path would lead to another namespace.
        """
        if name and not is_name(name):
            raise KubeError(404, "NotFound", f"{name!r} is not a valid name of a {self.kind}")
        root = f"/apis/{self.group}" if self.group else "/api"
        scope = f"namespaces/{namespace}/" if namespace and self.namespaced else ""
        return f"{root}/{self.version}/{scope}{self.plural}" + (f"/{name}" if name else "")


SECRETS = Resource("", "v1", "secrets", "Secret", selector=MANAGED_LABEL, metadata_only=True, in_batches=True)

WATCHED = {
    Kind.SECRET: SECRETS,
    Kind.CERTIFICATE_REQUEST: Resource(GROUP, VERSION, "certificaterequests", "CertificateRequest", in_batches=True),
    Kind.ISSUER: Resource(GROUP, VERSION, "issuers", "Issuer"),
    Kind.CLUSTER_ISSUER: Resource(GROUP, VERSION, "clusterissuers", "ClusterIssuer", namespaced=False),
}
"""All that is watched: our own kinds whole, and of the Secrets that the operator wrote no more than the metadata."""

NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
PODS = Resource("", "v1", "pods", "Pod")
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
EVENTS = Resource("events.k8s.io", "v1", "events", "Event")
SELF_SUBJECT_REVIEWS = Resource(
    "authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview", namespaced=False
)


class RouteKind(StrEnum):
    """What leads a CA's challenge to the operator, or only remembers it; `challenges/routes.py` says which."""

    INGRESS = "Ingress"
    HTTP_ROUTE = "HTTPRoute"
    CONFIG_MAP = "ConfigMap"


ROUTES = {
    RouteKind.INGRESS: Resource("networking.k8s.io", "v1", "ingresses", "Ingress"),
    RouteKind.HTTP_ROUTE: Resource("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute"),
    RouteKind.CONFIG_MAP: Resource("", "v1", "configmaps", "ConfigMap"),
}
