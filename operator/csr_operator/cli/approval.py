"""`approve` and `deny`: the conditions of that name, which admission lets through from who may `approve` the issuer."""

import argparse
import sys
from datetime import UTC, datetime
from typing import Literal

from csr_operator.kube import KubeError, Object
from csr_operator.model import CertificateRequest, format_time
from csr_operator.parse import parse_issuer, parse_request

from .cluster import Cluster, Reader
from .describe import wishes
from .errors import CommandFailed
from .output import Report, ask, note, one_line

Decision = Literal["Approved", "Denied"]

# Reasons as those of `kubectl certificate approve` and `deny`.
_REASONS = {"Approved": "KubectlApprove", "Denied": "KubectlDeny"}
_VERBS = {"Approved": "approve it", "Denied": "deny it"}
_ATTEMPTS = 5


async def decide_on(cluster: Cluster, options: argparse.Namespace, decision: Decision) -> Report:
    """Write the decision on the request as its user saw it; the opposite one goes.

    That is the generation that the user names, or else the one that is shown now; at a terminal its user is asked.
    """
    name, message = options.name, options.message
    key = cluster.key(name)
    obj = await cluster.get(key)
    generation = obj["metadata"].get("generation", 0)
    if options.generation not in (None, generation):
        raise CommandFailed(
            f"the spec of {name} is of generation {generation}, and not {options.generation}: look at it again before "
            "you decide"
        )
    if options.generation is None and not options.yes and sys.stdin.isatty():
        seen = parse_request(obj)
        note(f"{seen.namespace}/{name}, generation {generation}, asks for")
        for text in wishes(seen):
            note(f"  {one_line(text)}")
        if not ask(f"Type yes to {_VERBS[decision]}: "):
            raise CommandFailed("nothing was changed")
    user = await cluster.user()
    text = _text(decision, message, user)
    for _ in range(_ATTEMPTS):
        if obj["metadata"].get("generation", 0) != generation:
            raise CommandFailed(f"the spec of {name} was changed just now: look at it again before you decide")
        if _stands(obj, decision) and not message:
            break
        try:
            conditions = _conditions(obj, decision, text, generation)
            await cluster.patch_status(key, obj["metadata"]["resourceVersion"], {"conditions": conditions})
            break
        except KubeError as error:
            if error.status != 409:
                raise
            obj = await cluster.get(key)  # most likely the operator wrote the status
    else:
        raise CommandFailed(f"{name} is changed by others all the time: try again")
    request = parse_request(obj)
    await _tell_if_without_effect(cluster, request, decision)
    data = {
        "namespace": request.namespace,
        "name": name,
        "decision": decision,
        "observedGeneration": generation,
        "by": user or None,
        "message": text,
    }
    text = f"{request.namespace}/{name}: {decision.lower()}, generation {generation}: {', '.join(wishes(request))}"
    return Report(data, text)


def _text(decision: Decision, message: str, user: str) -> str:
    if not message:
        return f"{decision.lower()} by {user or 'kubectl csr'}"
    return f"{message} (by {user})" if user else message


def _stands(obj: Object, decision: Decision) -> bool:
    """It has been decided so already, on this spec, and the opposite has not."""
    conditions = {c["type"]: c for c in (obj.get("status") or {}).get("conditions") or ()}
    own = conditions.get(decision, {})
    generation = obj["metadata"].get("generation", 0)
    alone = len({"Approved", "Denied"} & conditions.keys()) == 1
    return alone and own.get("status") == "True" and own.get("observedGeneration") == generation


def _conditions(obj: Object, decision: Decision, text: str, generation: int) -> list[Object]:
    before = (obj.get("status") or {}).get("conditions") or []
    own = next((c for c in before if c["type"] == decision and c["status"] == "True"), None)
    condition = {
        "type": decision,
        "status": "True",
        "reason": _REASONS[decision],
        "message": text,
        "observedGeneration": generation,
        "lastTransitionTime": own["lastTransitionTime"] if own is not None else format_time(datetime.now(UTC)),
    }
    return [*(c for c in before if c["type"] not in _REASONS), condition]


async def _tell_if_without_effect(cluster: Cluster, request: CertificateRequest, decision: Decision) -> None:
    """Where the issuers can be read: an approver need not have the right to."""
    reader = Reader()
    issuers = [await reader.issuer(cluster, key) for key in request.issuers]
    if all(obj is not None and not parse_issuer(obj).needs_approval for _, obj in issuers):
        asked = " or ".join(map(str, request.issuers))
        effect = "it gets its certificate all the same" if decision == "Denied" else "it needs no approval"
        note(f"note: {asked} wants no approval (spec.approval), so that this has no effect: {effect}")
