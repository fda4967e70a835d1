"""Cases for `spec.acme.solvers[].http01`: (spec, field, a part of the answer) where refused."""

from collections.abc import Mapping
from typing import Any

HTTP01 = "spec.acme.solvers[0].http01"
EMPTY: dict[str, Any] = {}


def http01(**fields: Any) -> dict[str, Any]:
    solver = {"http01": fields}
    return {"acme": {"server": "letsencrypt", "privateKeySecretRef": {"name": "account"}, "solvers": [solver]}}


def ingress(**fields: Any) -> dict[str, Any]:
    return http01(ingress=fields)


def gateway(labels: Any = None, **parent: Any) -> dict[str, Any]:
    return http01(gatewayHTTPRoute={"labels": labels or {}, "parentRefs": [{"name": "web", **parent}]})


def annotated(annotations: Mapping[str, str]) -> dict[str, Any]:
    return ingress(ingressTemplate={"metadata": {"annotations": annotations}})


REFUSED: list[tuple[Mapping[str, Any], str, str]] = [
    (
        http01(ingress=EMPTY, gatewayHTTPRoute={"parentRefs": [{"name": "web"}]}),
        HTTP01,
        "takes one of ingress and gatewayHTTPRoute; write another entry",
    ),
    (
        ingress(ingressClassName="nginx", **{"class": "nginx"}),
        f"{HTTP01}.ingress.class",
        "takes one of ingressClassName and class",
    ),
    (ingress(ingressClassName="Nginx"), f"{HTTP01}.ingress.ingressClassName", "use lower-case letters"),
    *(
        (spec, field, says)
        for labels, says in (
            ({"a": "b c"}, "hyphens, underscores and dots, with a letter or digit at both ends"),
            ({"a b": "c"}, "write it as name or example.com/name"),
            ({"A.com/b": "c"}, "write it as name or example.com/name"),
        )
        for spec, where in (
            (ingress(ingressTemplate={"metadata": {"labels": labels}}), "ingress.ingressTemplate.metadata"),
            (gateway(labels), "gatewayHTTPRoute"),
        )
        for field in (f"{HTTP01}.{where}.labels" + ("[a]" if labels.keys() == {"a"} else ""),)
    ),
    *(
        (
            gateway(**{field: "a_b"}),
            f"{HTTP01}.gatewayHTTPRoute.parentRefs[0].{field}",
            "use lower-case letters",
        )
        for field in ("name", "namespace", "sectionName")
    ),
]
_ANNOTATIONS = f"{HTTP01}.ingress.ingressTemplate.metadata.annotations"
REFUSED_ISSUERS = [(annotated({"example.com/a": "b"}), _ANNOTATIONS, "leave them out, or use a ClusterIssuer")]
REFUSED_CLUSTER_ISSUERS = [(annotated({"a b": "c"}), _ANNOTATIONS, "write it as name or example.com/name")]

ACCEPTED: list[Mapping[str, Any]] = [
    http01(selfCheck=False),
    ingress(),
    ingress(
        ingressClassName="nginx.example-1",
        pathType="ImplementationSpecific",
        ingressTemplate={"metadata": {"labels": {"example.com/a": "", "b": "C.d_e"}, "annotations": EMPTY}},
    ),
    ingress(**{"class": "gce"}, pathType="Exact"),
    gateway(),
    gateway({"a": "b"}, namespace="infra", sectionName="http.a", port=80, kind="ListenerSet", group="example.com"),
]
ACCEPTED_CLUSTER_ISSUERS = [annotated({"nginx.ingress.kubernetes.io/ssl-redirect": "false"})]
