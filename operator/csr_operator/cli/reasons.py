"""What `kubectl csr` says of each reason: mostly what the operator's own table says.

The texts have the placeholders that `api.reasons.Row` names.
"""

from enum import StrEnum
from typing import NamedTuple

from csr_operator.api.reasons import ROWS, Reason, Seen


class Advice(NamedTuple):
    """What a reason means, and what to do about it; `remedy` may be empty."""

    meaning: str
    remedy: str


class Unsaid(StrEnum):
    """A reason that the operator cannot give."""

    UNSEEN = "Unseen"
    OUTDATED = "Outdated"
    LATE = "Late"
    BEING_DELETED = "BeingDeleted"


def _advice(seen: Seen) -> dict[str, Advice]:
    return {reason: Advice(row.meaning, row.remedy) for reason, row in ROWS.items() if row.seen is seen}


REQUEST = _advice(Seen.REQUEST)
"""Of the conditions of a CertificateRequest."""

ISSUER = _advice(Seen.ISSUER)
"""Of the conditions of an Issuer or ClusterIssuer."""

REISSUED = {
    str(reason): row.meaning[0].lower() + row.meaning[1:].removesuffix(".")
    for reason, row in ROWS.items()
    if row.seen is Seen.CERTIFICATE
}
"""Why a certificate was issued in the place of another, as a part of a sentence."""

_DELETE = "`kubectl delete secret {secret} -n {namespace}`"
UNOWNED: dict[str, str] = {
    Reason.SECRET_NOT_OWNED: "If the Secret holds a certificate that the request should continue with: "
    f"`kubectl csr adopt {{request}}`. If nobody needs the Secret: {_DELETE}. Otherwise delete this request, and "
    "create it with another spec.secretName, which cannot be changed.",
    Reason.ADOPTION_REFUSED: f"{Reason.ADOPTION_REFUSED.row.remedy} To get another certificate instead: {_DELETE}.",
}
"""What to do where the Secret is nobody else's, so that deleting it harms no other request."""

_LOOKS = (
    "Wait a moment. If it stays so, check whether the operator runs (`kubectl get pods -n csr-operator-system`) and "
    "whether it watches namespace {namespace}."
)

UNSAID = {
    Unsaid.UNSEEN: Advice("The operator has not looked at this request yet.", _LOOKS),
    Unsaid.OUTDATED: Advice(
        "The spec has changed since the operator last looked at it: what follows is about the spec before.", _LOOKS
    ),
    Unsaid.LATE: Advice(
        "The renewal is late, and the operator does not say why: it does not seem to run.",
        "Check whether it does: `kubectl get pods -n csr-operator-system`, and its log: "
        "`kubectl logs -n csr-operator-system deployment/csr-operator --all-pods`.",
    ),
    Unsaid.BEING_DELETED: Advice(
        "The request is being deleted.",
        "If it does not go away, see which finalizers are left: `kubectl get csreq {request} -o yaml`. "
        "csr-operator.dev/revocation goes when the certificate has been revoked, or with the annotation "
        "csr-operator.dev/abandon-revocation=true.",
    ),
}
