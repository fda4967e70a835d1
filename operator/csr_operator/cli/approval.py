"""`approve` and `deny`: the conditions of that name, which admission lets through from who may `approve` the issuer."""

import argparse
import sys
from datetime import UTC, datetime
from typing import Literal

from csr_operator.api.parse_issuer import parse_issuer
from csr_operator.api.parse_request import parse_request
from csr_operator.api.request import CertificateRequest
from csr_operator.api.times import format_time
from csr_operator.kube.errors import KubeError
from csr_operator.kube.objects import Object

from .cluster import Cluster, Reader
from .describe import names
from .errors import CommandFailed
from .output import Report, ask, facts, note, one_line
from .review import all_of_it, asks, last_change, unusual
from .several import report_each

Decision = Literal["Approved", "Denied"]

# Reasons as those of `kubectl certificate approve` and `deny`.
_REASONS = {"Approved": "KubectlApprove", "Denied": "KubectlDeny"}
_VERBS = {"Approved": "Approve", "Denied": "Deny"}
_ATTEMPTS = 5


async def decide_on(cluster: Cluster, options: argparse.Namespace, decision: Decision) -> Report:
    """Write the decision on each request as its user saw it; the opposite one goes. What fails does not stop the rest.

    That is the generation that the user names, or else the one that is shown: at a terminal its user is asked, and
    elsewhere has to say so. Raises CommandFailed.
    """
    if options.generation is None and not options.yes and not sys.stdin.isatty():
        where = f" -n {options.namespace}" if options.namespace else ""
        raise CommandFailed(
            f"stdin is not a terminal, so there is no confirmation: review the request (kubectl csr status "
            f"{options.names[0]}{where}), and pass the generation that you reviewed as --generation N, or -y for the "
            "current one"
        )
    return await report_each(options.names, lambda name: _decide(cluster, options, name, decision))


async def _decide(cluster: Cluster, options: argparse.Namespace, name: str, decision: Decision) -> Report:
    key = cluster.key(name)
    obj = await cluster.get(key)
    generation = obj["metadata"].get("generation", 0)
    if options.generation not in (None, generation):
        raise CommandFailed(
            f"the spec of {name} is at generation {generation}, not {options.generation}: review it again before "
            "you decide"
        )
    seen = parse_request(obj)
    note(f"CertificateRequest {seen.namespace}/{name}, generation {generation}, asks for:")
    note(facts(all_of_it(seen, last_change(obj)), indent="  "))
    if options.generation is None and not options.yes and not ask(f"{_VERBS[decision]} it? [y/N] "):
        raise CommandFailed("nothing was changed")
    user = await cluster.user()
    text = _text(decision, options.message, user)
    for _ in range(_ATTEMPTS):
        # Another one of that name begins with generation 1 again.
        if (obj["metadata"]["uid"], obj["metadata"].get("generation", 0)) != (seen.uid, generation):
            raise CommandFailed(f"the spec of {name} has just been changed: review it again before you decide")
        if _stands(obj, decision) and not options.message:
            break
        try:
            # With this resource version, which a changed spec does not have.
            conditions = _conditions(obj, decision, text, generation)
            await cluster.patch_status(key, obj["metadata"]["resourceVersion"], {"conditions": conditions})
            break
        except KubeError as error:
            if error.status != 409:
                raise
            obj = await cluster.get(key)  # most likely the operator wrote the status
    else:
        raise CommandFailed(f"{name} keeps being changed by others: try again")
    has_effect = await _has_effect(cluster, seen, decision)
    data = {
        "namespace": seen.namespace,
        "name": name,
        "decision": decision,
        "observedGeneration": generation,
        "by": user or None,
        "message": text,
        "asks": asks(seen, last_change(obj)),
        "hasEffect": has_effect,
    }
    what = "; ".join(one_line(part) for part in (*unusual(seen), names(seen)) if part)
    return Report(
        data, f"{seen.namespace}/{name}: {decision.lower()}, generation {generation}: {what}", has_effect is not False
    )


def _text(decision: Decision, message: str, user: str) -> str:
    message = "".join(c for c in message if c.isprintable() or c == "\n").strip()
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


async def _has_effect(cluster: Cluster, request: CertificateRequest, decision: Decision) -> bool | None:
    """Whether an issuer of the request asks for a decision; None where none can be read, which an approver may not be
    allowed to."""
    reader = Reader()
    answers = [await reader.issuer(cluster, key) for key in request.issuers]
    issuers = [parse_issuer(obj) for _, obj in answers if obj is not None]
    if any(issuer.needs_approval for issuer in issuers):
        return True
    if len(issuers) < len(answers):
        return None
    issuer = " and ".join(map(str, request.issuers))
    effect = "it is signed all the same" if decision == "Denied" else "it is signed in any case"
    note(f"note: this has no effect now, as spec.approval of {issuer} is not Manual: {effect}")
    return False
