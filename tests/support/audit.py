"""What was asked of the API server, and by whom: its audit log, read."""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from devcluster import ControlPlane

OPERATOR = "system:serviceaccount:csr-operator-system:csr-operator"
"""The user that the operator is, whichever of its parts asks."""

_READS = frozenset({"get", "list", "watch"})


@dataclass(frozen=True, slots=True)
class ApiCall:
    """One request that was answered.

    resource: with the subresource, as in RBAC ("certificaterequests/status"); empty for a path that is no resource.
    namespace, name: empty where the request names none.
    query: the query parameters, one value each.
    """

    user: str
    user_agent: str
    verb: str
    resource: str
    namespace: str
    name: str
    code: int
    query: dict[str, str]

    @property
    def is_write(self) -> bool:
        return self.verb not in _READS


def api_calls(
    cluster: ControlPlane,
    *,
    user: str | None = None,
    user_agent: str | None = None,
    verb: str | None = None,
    resource: str | None = None,
    namespace: str | None = None,
) -> list[ApiCall]:
    """The requests answered until now, oldest first, that fit all that is given.

    user_agent: how it begins. A request of a whole resource (no namespace) fits `namespace=""` only.
    """
    return [
        call
        for call in _parsed(cluster.audit_events())
        if (user is None or call.user == user)
        and (user_agent is None or call.user_agent.startswith(user_agent))
        and (verb is None or call.verb == verb)
        and (resource is None or call.resource == resource)
        and (namespace is None or call.namespace == namespace)
    ]


def writes(cluster: ControlPlane, namespace: str) -> list[ApiCall]:
    """What the operator wrote, or tried to, in `namespace`; without the Leases by which replicas agree."""
    calls = api_calls(cluster, user=OPERATOR, namespace=namespace)
    return [call for call in calls if call.is_write and call.resource != "leases"]


def _parsed(events: Iterable[dict[str, object]]) -> Iterable[ApiCall]:
    for event in events:
        target = event.get("objectRef")
        target = target if isinstance(target, dict) else {}
        parts = (target.get("resource", ""), target.get("subresource", ""))
        user, status = event.get("user"), event.get("responseStatus")
        yield ApiCall(
            user=user.get("username", "") if isinstance(user, dict) else "",
            user_agent=str(event.get("userAgent", "")),
            verb=str(event["verb"]),
            resource="/".join(part for part in parts if part),
            namespace=target.get("namespace", ""),
            name=target.get("name", ""),
            code=status.get("code", 0) if isinstance(status, dict) else 0,
            query={key: values[0] for key, values in parse_qs(urlsplit(str(event["requestURI"])).query).items()},
        )
