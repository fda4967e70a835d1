"""What the operator wrote, as the API server's audit log has it."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from tests.support.operator import NAMESPACE

_OPERATOR = f"system:serviceaccount:{NAMESPACE}:csr-operator"
_WRITES = {"create", "update", "patch", "delete", "deletecollection"}


def timestamp() -> str:
    """Now, in the audit log's form: the two compare as text."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def writes(events: Iterable[Mapping[str, Any]], since: str, until: str) -> Counter[str]:
    """The operator's writes received between two timestamps, by verb and resource; one that failed is marked so."""
    counts: Counter[str] = Counter()
    for event in events:
        if (
            event["user"]["username"] == _OPERATOR
            and event["verb"] in _WRITES
            and event.get("objectRef", {}).get("resource") != "leases"  # by which replicas agree, whatever they do
            and since <= event["requestReceivedTimestamp"] < until
        ):
            what = event["objectRef"]
            resource = "/".join(filter(None, (what["resource"], what.get("subresource"))))
            code = event["responseStatus"]["code"]
            counts[f"{event['verb']} {resource}" + (f" ({code})" if code >= 400 else "")] += 1
    return counts
