"""The objects in Kubernetes that lead a CA's http-01 challenge to the operator. All functions are pure.

What a ClusterIssuer has made is in the operator's own namespace, beside the Service that leads to it; the Ingress or
HTTPRoute of an Issuer is in the issuer's namespace, where whoever rules over its hosts can see to it. The key
authorization, which is public, is kept in an annotation in the operator's namespace, and believed nowhere else, so that
every replica can answer.
"""

import hashlib
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from csr_acme.challenges import HTTP_PATH
from csr_operator.api.issuer import Issuer
from csr_operator.api.keys import Kind
from csr_operator.api.names import GROUP, MANAGER
from csr_operator.api.times import format_time, parse_time
from csr_operator.kube.objects import Object
from csr_operator.kube.resources import RouteKind
from csr_operator.pki.general_names import is_address
from csr_operator.plugin.errors import Misconfigured

SERVICE = "csr-operator-acme"
"""In `deploy/service.yaml`; its port 80 is where the operator answers."""

CHALLENGE_LABEL = f"{GROUP}/challenge"
"""Its value is the challenge's type."""

FRESH = timedelta(hours=6)
"""After this an object that is still needed is written again, which tells the other replicas that it is."""

LONGEST = timedelta(days=7)
"""No order waits longer than that (Let's Encrypt's own limit); its backend went without withdrawing the challenge."""

HOST = f"{GROUP}/challenge-host"
"""An annotation, as those below."""

ANSWER = f"{GROUP}/challenge-answer"
"""The key authorization."""

ISSUER = f"{GROUP}/challenge-issuer"
"""Whose it is, for readers."""

PRESENTED = f"{GROUP}/challenge-presented-at"
"""When the order's backend last asked for it."""

_TOKEN = f"{GROUP}/challenge-token"
_ROUTE = f"{GROUP}/challenge-route"
_PORT = 80

_IS_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,256}")
_IS_ANSWER = re.compile(r"[A-Za-z0-9_.-]{1,512}")


@dataclass(frozen=True, slots=True)
class Challenge:
    """host: as `host_name` spells it. answer: the key authorization."""

    host: str
    token: str
    answer: str

    @property
    def key(self) -> tuple[str, str]:
        return self.host, self.token

    @property
    def object_name(self) -> str:
        return f"acme-{hashlib.sha256(f'{self.host} {self.token}'.encode()).hexdigest()[:32]}"


def host_name(text: str) -> str:
    """A DNS name or IP address, or a header Host with one, in a single spelling and without its port."""
    host = text.strip().lower()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host.removesuffix(".")


def is_token(text: str) -> bool:
    """base64url, as RFC 8555, section 8.3 has it, and of bounded length."""
    return _IS_TOKEN.fullmatch(text) is not None


def is_answer(text: str) -> bool:
    """A key authorization: a token, a full stop and a thumbprint (RFC 8555, section 8.1)."""
    return _IS_ANSWER.fullmatch(text) is not None


def check_route(route: Mapping[str, Any], issuer: Issuer) -> None:
    """Raises Misconfigured for what this issuer must not ask for.

    By an annotation the controller may be had to read the Secrets beside the Ingress, and who may create Issuers need
    not be one who may create Ingresses.
    """
    if issuer.kind is not Kind.CLUSTER_ISSUER and _ingress_metadata(route).get("annotations"):
        raise Misconfigured(
            "http01.ingress.ingressTemplate.metadata.annotations: only a ClusterIssuer sets annotations: leave them "
            "out, or use a ClusterIssuer"
        )


def route_kind(route: Mapping[str, Any]) -> RouteKind:
    """Without an Ingress or HTTPRoute, a ConfigMap holds the answer for the other replicas."""
    if "ingress" in route:
        return RouteKind.INGRESS
    return RouteKind.HTTP_ROUTE if "gatewayHTTPRoute" in route else RouteKind.CONFIG_MAP


def route_namespace(kind: RouteKind, issuer: Issuer, home: str) -> str:
    """Where the object of that kind is made. home: the operator's own namespace."""
    return home if kind is RouteKind.CONFIG_MAP else issuer.namespace or home


def note_object(challenge: Challenge, kind: RouteKind, issuer: Issuer, home: str, now: datetime) -> Object:
    """The answer to a challenge whose route (of that kind) is elsewhere, for server-side apply in `home`."""
    note = route_object(challenge, {}, issuer, home, now)
    note["metadata"]["annotations"][_ROUTE] = f"{kind}/{route_namespace(kind, issuer, home)}"
    return note


def read_route(obj: Object) -> tuple[RouteKind, str] | None:
    """Kind and namespace of the route that a note is about; None if there is none elsewhere."""
    kind, _, namespace = (obj["metadata"].get("annotations") or {}).get(_ROUTE, "").partition("/")
    return (RouteKind(kind), namespace) if kind in list(RouteKind) and namespace else None


def route_object(challenge: Challenge, route: Mapping[str, Any], issuer: Issuer, home: str, now: datetime) -> Object:
    """For server-side apply. route: `http01` of the issuer's solver. home: the operator's own namespace."""
    kind = route_kind(route)
    wanted: Mapping[str, Any] = {}
    body: Object = {}
    if kind is RouteKind.INGRESS:
        wanted = _ingress_metadata(route)
        body = {"apiVersion": "networking.k8s.io/v1", "spec": _ingress_spec(challenge, route["ingress"])}
    elif kind is RouteKind.HTTP_ROUTE:
        wanted = {"labels": route["gatewayHTTPRoute"].get("labels", {})}
        spec = _http_route_spec(challenge, route["gatewayHTTPRoute"], "" if issuer.namespace in ("", home) else home)
        body = {"apiVersion": "gateway.networking.k8s.io/v1", "spec": spec}
    else:
        body = {"apiVersion": "v1"}
    annotations = {
        HOST: challenge.host,
        _TOKEN: challenge.token,
        ANSWER: challenge.answer,
        ISSUER: str(issuer.key),
        PRESENTED: format_time(now),
    }
    if (ingress_class := route.get("ingress", {}).get("class")) is not None:
        annotations["kubernetes.io/ingress.class"] = ingress_class
    return {
        **body,
        "kind": str(kind),
        "metadata": {
            "name": challenge.object_name,
            "namespace": route_namespace(kind, issuer, home),
            "labels": {
                **wanted.get("labels", {}),
                CHALLENGE_LABEL: "http-01",
                "app.kubernetes.io/managed-by": MANAGER,
            },
            "annotations": {**wanted.get("annotations", {}), **annotations},
        },
    }


def parse_challenge(obj: Object) -> Challenge | None:
    """None if somebody spoiled the object."""
    annotations = obj["metadata"].get("annotations") or {}
    host, token, answer = (annotations.get(name, "") for name in (HOST, _TOKEN, ANSWER))
    return Challenge(host_name(host), token, answer) if is_token(token) and is_answer(answer) else None


def presented_at(obj: Object) -> datetime:
    """When a backend last asked for it."""
    metadata = obj["metadata"]
    try:
        return parse_time(metadata["annotations"][PRESENTED])
    except (KeyError, TypeError, ValueError):
        return parse_time(metadata["creationTimestamp"])


def _ingress_metadata(route: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata: Mapping[str, Any] = route.get("ingress", {}).get("ingressTemplate", {}).get("metadata", {})
    return metadata


def _ingress_spec(challenge: Challenge, ingress: Mapping[str, Any]) -> Object:
    path = {
        "path": HTTP_PATH + challenge.token,
        "pathType": ingress.get("pathType", "Exact"),
        "backend": {"service": {"name": SERVICE, "port": {"number": _PORT}}},
    }
    # The API takes no IP address for a host; a rule without one is for all that has no rule of its own.
    rule: Object = {} if is_address(challenge.host) else {"host": challenge.host}
    spec: Object = {"rules": [{**rule, "http": {"paths": [path]}}]}
    if "ingressClassName" in ingress:
        spec["ingressClassName"] = ingress["ingressClassName"]
    return spec


def _http_route_spec(challenge: Challenge, route: Mapping[str, Any], home: str) -> Object:
    """home: where the Service is, if that is another namespace than the route's: it takes a ReferenceGrant there."""
    elsewhere = {"namespace": home} if home else {}
    spec: Object = {
        "parentRefs": [dict(parent) for parent in route["parentRefs"]],
        "rules": [
            {
                "matches": [{"path": {"type": "Exact", "value": HTTP_PATH + challenge.token}}],
                "backendRefs": [{"name": SERVICE, "port": _PORT, **elsewhere}],
            }
        ],
    }
    if not is_address(challenge.host):
        spec["hostnames"] = [challenge.host]
    return spec
