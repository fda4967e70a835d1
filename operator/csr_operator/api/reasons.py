"""The reasons of conditions and events: each is a member of `Reason`, and has one row in `ROWS`.

What `kubectl csr` and docs/reference.md say of a reason comes from its row, and so does what it means for a request
that failed by it.
"""

# ruff: noqa: S105 - these are words about Secrets, and no secrets

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum, auto


class Reason(StrEnum):
    """Equal to the word that stands in the API; what is read from there may be any other text as well."""

    # Of the conditions of a CertificateRequest.
    ISSUED = "Issued"
    ISSUING = "Issuing"
    QUEUED = "Queued"
    NOT_YET_VALID = "NotYetValid"
    EXPIRED = "Expired"
    ISSUER_NOT_FOUND = "IssuerNotFound"
    ISSUER_NOT_READY = "IssuerNotReady"
    ORDER_FAILED = "OrderFailed"
    ABANDONING_ORDER = "AbandoningOrder"
    ISSUER_UNAVAILABLE = "IssuerUnavailable"
    PENDING = "Pending"
    ACTION_REQUIRED = "ActionRequired"
    APPROVAL_PENDING = "ApprovalPending"
    DENIED = "Denied"
    POLICY_DENIED = "PolicyDenied"
    REJECTED = "Rejected"
    ANSWER_MISMATCH = "AnswerMismatch"
    INVALID_SPEC = "InvalidSpec"
    INVALID_REQUEST = "InvalidRequest"
    REFERENCE_MISSING = "ReferenceMissing"
    KEY_UNUSABLE = "KeyUnusable"
    PASSWORD_UNUSABLE = "PasswordUnusable"
    SECRET_NOT_OWNED = "SecretNotOwned"
    ADOPTION_REFUSED = "AdoptionRefused"
    SECRET_NOT_COLLECTED = "SecretNotCollected"
    SECRET_CONFLICT = "SecretConflict"
    SECRET_REFUSED = "SecretRefused"
    REVOCATION_PENDING = "RevocationPending"
    RENEWAL_LOOP = "RenewalLoop"
    REPAIR_LOOP = "RepairLoop"
    # Of events alone.
    ADOPTED = "Adopted"
    STILL_PENDING = "StillPending"
    NOT_REVOKED = "NotRevoked"
    RENEWAL_SUGGESTED = "RenewalSuggested"
    STATE_NOT_AUTHENTIC = "StateNotAuthentic"
    # Of an event of the operator itself.
    REPLICA_LOST = "ReplicaLost"
    # Of the conditions of an Issuer or ClusterIssuer.
    READY = "Ready"
    MISCONFIGURED = "Misconfigured"
    SECRET_NOT_FOUND = "SecretNotFound"
    UNAVAILABLE = "Unavailable"
    # Why a certificate is issued in the place of another.
    RENEWAL = "Renewal"
    RENEWAL_REQUESTED = "RenewalRequested"
    REVOKED = "Revoked"
    SPEC_CHANGED = "SpecChanged"
    SECRET_MISSING = "SecretMissing"
    SECRET_DAMAGED = "SecretDamaged"
    CLOCK_SET_BACK = "ClockSetBack"
    ISSUER_ROTATED = "IssuerRotated"

    @property
    def row(self) -> "Row":
        """What there is to know of it."""
        return ROWS[self]


class Seen(Enum):
    """Where a reason is seen."""

    REQUEST = auto()
    """In the conditions of a CertificateRequest."""
    EVENT = auto()
    """In an event of a CertificateRequest, and in no condition."""
    REPLICA = auto()
    """In an event of a pod of the operator, or of the Lease of a process of it that is in no pod."""
    ISSUER = auto()
    """In the conditions of an Issuer or ClusterIssuer."""
    CERTIFICATE = auto()
    """In the event that tells of another certificate."""


class With(StrEnum):
    """Which condition a reason is with, besides Ready."""

    NONE = ""
    STALLED = "Stalled"
    RECONCILING = "Reconciling"
    EITHER = "either"
    """It depends on the case: who gives the reason says whether somebody has to act."""


@dataclass(frozen=True, slots=True)
class Row:
    """What there is to know of one reason.

    In the texts, {request} is the request with its namespace as kubectl takes it (`www -n shop`), {secret} the name of
    its Secret, {issuer} its issuer (`csrissuer ca -n shop`), {namespace} its namespace, {generation} the generation of
    its spec. What is to be typed stands in backticks.
    """

    seen: Seen
    meaning: str
    """In sentences, for users."""
    remedy: str = ""
    """What to do; empty for why a certificate was issued."""
    detail: str = ""
    """What docs/reference.md says besides, as Markdown: numbers and exceptions, and where there is more."""
    beside: With = With.NONE
    permanent: bool = False
    """Of a failure: only a change of the spec or of the issuer helps."""
    by_issuer: bool = False
    """Of a failure: it is this issuer's answer; another one may do."""
    lapsed: bool = False
    """Of a failure: the order is dead, and a new one has to be placed."""

    @property
    def needs_user(self) -> bool:
        """Nothing changes by itself, unless it is said otherwise where the reason is given."""
        return self.beside is With.STALLED


_LOG = "`kubectl logs -n csr-operator-system deployment/csr-operator --all-pods`"
_AGAIN = (
    "The operator tries again by itself: after a second at first, then at longer intervals, at most a minute after it "
    "failed last."
)
_EDIT = "`kubectl edit csreq {request}`"
_TAKE_OVER = "[taken over](operations.md#take-over-existing-secrets)"

ROWS: Mapping[Reason, Row] = {
    Reason.ISSUED: Row(
        Seen.REQUEST,
        "The Secret holds a certificate that fits the spec and is in force.",
        "Nothing.",
        "`Ready` is true. As an event: another certificate was issued.",
    ),
    Reason.ISSUING: Row(
        Seen.REQUEST,
        "The certificate is on its way: the operator is at work, or the CA is.",
        f"Wait a moment, and look again. If it stays so, look at the operator's log: {_LOG}.",
        "With `Reconciling`: the CA has not answered for a while, or the RSA key is not made yet.",
    ),
    Reason.QUEUED: Row(
        Seen.REQUEST,
        "The issuer has as many requests at work, or has taken as many within a minute, as its spec.limits allow. It "
        "takes this one as soon as there is room.",
        "Wait. If the CA can take more, have the issuer's owner raise spec.limits; if it hangs, look after the CA.",
        "[Namespaces come in turn](operations.md#many-tenants-one-issuer).",
        With.RECONCILING,
    ),
    Reason.NOT_YET_VALID: Row(
        Seen.REQUEST,
        "The certificate becomes valid at the time given here, and clients refuse it until then.",
        "Wait, if that is soon. Otherwise check whether the clocks of the operator's node and of the CA are right: "
        "where one was wrong and was set right, `kubectl csr renew {request}` has another certificate issued.",
        "Where that is more than an hour away and another one costs nothing, another one is issued.",
    ),
    Reason.EXPIRED: Row(
        Seen.REQUEST,
        "The certificate has expired and no other has taken its place: whoever uses Secret {secret} serves one that "
        "clients refuse.",
        "Remove what keeps the operator from issuing another, which is said here as well; it then does so at once.",
        "What keeps it is the reason of `Stalled` or `Reconciling` beside it.",
    ),
    Reason.ISSUER_NOT_FOUND: Row(
        Seen.REQUEST,
        "An issuer that the request names does not exist. The operator goes on as soon as it is there.",
        "Create the issuer, in the namespace of the request, or correct name and kind of spec.issuerRef: "
        f"{_EDIT}. A ClusterIssuer serves all namespaces.",
        beside=With.RECONCILING,
    ),
    Reason.ISSUER_NOT_READY: Row(
        Seen.REQUEST,
        "The issuer is there, but its CA cannot be used. The operator looks at it at intervals, and goes on as soon as "
        "it is ready.",
        "Fix the issuer: `kubectl describe {issuer}` says what is wrong.",
        beside=With.RECONCILING,
    ),
    Reason.ORDER_FAILED: Row(
        Seen.REQUEST,
        "The CA took the order and could not fulfil it, for the reason given here. Another one is placed at the "
        "time that is given: soon at first, then after hours, then once a day.",
        "Fix what the CA names: most often it could not verify that the name is yours.",
        "From the second failure on, that is after 5 minutes, then after 30 minutes, 1 hour, 6 hours and a day each, "
        "also over restarts.",
        With.RECONCILING,
        by_issuer=True,
        lapsed=True,
    ),
    Reason.ABANDONING_ORDER: Row(
        Seen.REQUEST,
        "An order that is no longer needed is being taken back from the CA before another one is placed.",
        f"Wait a moment. If it stays so, look at the operator's log: {_LOG}.",
        "The log says what the CA answers.",
        With.RECONCILING,
    ),
    Reason.ISSUER_UNAVAILABLE: Row(
        Seen.REQUEST,
        f"The CA did not answer, or asked to be left alone for a while. {_AGAIN} A CA that asks for a longer "
        "pause gets it.",
        "Wait. If it lasts, check whether the CA is up and can be reached from the operator.",
        beside=With.RECONCILING,
        by_issuer=True,
    ),
    Reason.PENDING: Row(
        Seen.REQUEST,
        "The CA is working on the order, or what it wants to see is not visible everywhere yet. Key and CSR are kept "
        "until the answer arrives.",
        "Wait. If it lasts, look after what the message names.",
        "What it wants to see is what proves control of the names.",
        With.RECONCILING,
    ),
    Reason.ACTION_REQUIRED: Row(
        Seen.REQUEST,
        "Somebody has to sign the CSR, to prove control of the names, or to approve the order at the CA. Key and CSR "
        "are kept until the answer arrives.",
        "Do what the message says. With a manual issuer: `kubectl csr export {request}` prints the CSR; have it "
        "signed, and import certificate and chain with `kubectl csr import {request} FILE`.",
        "Control is proved by a DNS record, for example. More: [manual signing](operations.md#manual-signing).",
        With.RECONCILING,
    ),
    Reason.ADOPTED: Row(
        Seen.EVENT,
        "A Secret that was there already was taken over, with its certificate.",
        "Nothing.",
    ),
    Reason.STILL_PENDING: Row(
        Seen.EVENT,
        "A reminder, once a day, as long as the reason is `ActionRequired`.",
        "As for `ActionRequired`.",
    ),
    Reason.APPROVAL_PENDING: Row(
        Seen.REQUEST,
        "The issuer signs only approved requests, and this one is not approved as it is now: a change of the spec "
        "needs approval again.",
        "Somebody with the permission `approve` on the issuer has to review the request, as shown above, and run "
        "`kubectl csr approve {request} --generation {generation}`, or "
        "`kubectl csr deny {request} --generation {generation} --message ...`.",
        "`kubectl csr status` shows what is to be reviewed. More: [approval](operations.md#approval).",
        With.RECONCILING,
        by_issuer=True,
    ),
    Reason.DENIED: Row(
        Seen.REQUEST,
        "Somebody who decides on requests of this issuer has denied this one as it is now.",
        f"Change the request ({_EDIT}), which needs a new decision, or have it approved after all: "
        "`kubectl csr approve {request} --generation {generation}`.",
        "The message is theirs.",
        With.STALLED,
        by_issuer=True,
    ),
    Reason.POLICY_DENIED: Row(
        Seen.REQUEST,
        "The issuer's policy does not allow what the request asks for; the rule is named. The CA was not asked.",
        f"Ask for what the rule permits ({_EDIT}; the rules are in spec.policy of `kubectl get {{issuer}} -o yaml`), "
        "or have the issuer's owner change the policy.",
        "The message names the field as well.",
        With.STALLED,
        by_issuer=True,
    ),
    Reason.REJECTED: Row(
        Seen.REQUEST,
        "The CA refuses this request, for the reason given here. It is not asked again as long as spec and issuer stay "
        "as they are.",
        f"Change the spec ({_EDIT}), or talk to whoever runs the CA. To ask it again: `kubectl csr renew {{request}}`.",
        "The message is the CA's.",
        With.STALLED,
        permanent=True,
        by_issuer=True,
    ),
    Reason.ANSWER_MISMATCH: Row(
        Seen.REQUEST,
        "The CA signed something other than what was asked for; each difference is listed. Nothing was stored: the "
        "Secret is as it was.",
        f"Ask for what the CA grants ({_EDIT}), or have the CA corrected. With a manual issuer, "
        "import another: `kubectl csr import {request} FILE`. Otherwise ask the CA again: "
        "`kubectl csr renew {request}`. If it is only not valid yet, it is looked at again by itself: correct the "
        "clock of the operator's node, or the CA's.",
        "What is only not valid yet is with `Reconciling`.",
        With.STALLED,
        permanent=True,
        by_issuer=True,
    ),
    Reason.INVALID_SPEC: Row(
        Seen.REQUEST,
        "A field of the spec, or something in the CSR that it holds, cannot be read or used, although admission let it "
        "pass. Nothing is done for this request.",
        f"Correct the field that is named: {_EDIT}.",
        beside=With.STALLED,
    ),
    Reason.INVALID_REQUEST: Row(
        Seen.REQUEST,
        "No certificate signing request, or no Secret, can be made of this spec. The CA was not asked.",
        f"Correct the field that is named: {_EDIT}.",
        "For example, the key cannot serve for a usage that is asked for.",
        With.STALLED,
        permanent=True,
    ),
    Reason.REFERENCE_MISSING: Row(
        Seen.REQUEST,
        f"The request refers to a value in a Secret that is not there. {_AGAIN} So where the Secret itself is "
        "missing, nothing has to be done but to create it.",
        "Create the Secret, or add the key to it, in namespace {namespace}; or correct the reference in the spec.",
        "The value is a private key or a password. Where the Secret is not there: `Reconciling`. Where it has not that "
        "entry: `Stalled`.",
        With.EITHER,
    ),
    Reason.KEY_UNUSABLE: Row(
        Seen.REQUEST,
        f"The private key in the Secret that spec.privateKey.secretRef names cannot be used. {_AGAIN}",
        "Put a private key into it in PEM, without a passphrase: RSA of 2048 to 8192 bits, ECDSA P-256, P-384 or "
        "P-521, Ed25519 or ML-DSA.",
        beside=With.STALLED,
    ),
    Reason.PASSWORD_UNUSABLE: Row(
        Seen.REQUEST,
        f"The password in the Secret that passwordSecretRef of a keystore names cannot be used. {_AGAIN}",
        "Put another password into it, as the message says, in namespace {namespace}.",
        beside=With.STALLED,
    ),
    Reason.SECRET_NOT_OWNED: Row(
        Seen.REQUEST,
        "A Secret that the request needs the name of is somebody else's, or another request's, and is left untouched. "
        "Nothing is issued until the name is free.",
        "Do what the message says. spec.secretName cannot be changed.",
        f"It helps to delete that Secret, to name another one in another request, or to have it {_TAKE_OVER}.",
        With.STALLED,
    ),
    Reason.ADOPTION_REFUSED: Row(
        Seen.REQUEST,
        "Secret {secret} is to be taken over with the certificate in it, but cannot be, for the reasons listed. "
        "It is left untouched, and no CA was asked. The operator looks at it again at intervals.",
        f"Ask for what is in the Secret ({_EDIT}), or have it corrected.",
        f"What is to be {_TAKE_OVER} has to hold what is asked for, and to have no other owner. To delete the Secret "
        "helps as well: another certificate is issued.",
        With.STALLED,
    ),
    Reason.SECRET_NOT_COLLECTED: Row(
        Seen.REQUEST,
        "Secret {secret} belongs to an earlier request of this name, and Kubernetes is about to delete it. The "
        "operator then goes on by itself.",
        "Wait. If it lasts, check whether the kube-controller-manager is running, which deletes it.",
        beside=With.RECONCILING,
    ),
    Reason.SECRET_CONFLICT: Row(
        Seen.REQUEST,
        "Secret {secret} is immutable, or of another type than the spec asks for, and Kubernetes allows neither to "
        "be changed. The certificate in it stays until the Secret is deleted.",
        "Delete the Secret: `kubectl delete secret {secret} -n {namespace}`; the operator creates it again, with "
        "another certificate. Or change the spec back.",
        beside=With.STALLED,
    ),
    Reason.SECRET_REFUSED: Row(
        Seen.REQUEST,
        "The API server does not take the Secret: a quota, an admission policy, its size, or a missing permission. "
        f"What is in the Secret stays as it is. {_AGAIN}",
        "See the API server's message, and raise the quota, change the policy, make room in the Secret or restore the "
        "operator's permissions (deploy/rbac.yaml).",
        beside=With.RECONCILING,
    ),
    Reason.REVOCATION_PENDING: Row(
        Seen.REQUEST,
        "A certificate of this request has to be revoked, and its CA cannot be asked to, for the reason given here. If "
        "the request is being deleted, the deletion waits for that.",
        "Fix what the message names. If its CA is gone for good, abandon the revocation: "
        "`kubectl annotate csreq {request} csr-operator.dev/abandon-revocation=true`.",
        "It is told also if the annotation `csr-operator.dev/revoke` has an unknown reason, or no serial number.",
        With.EITHER,
    ),
    Reason.NOT_REVOKED: Row(
        Seen.EVENT,
        "A certificate that was to be revoked was not. Its issuer cannot do that, the Secret no longer holds it, or it "
        "went with its namespace.",
        "Have it revoked at the CA, if it matters.",
    ),
    Reason.RENEWAL_LOOP: Row(
        Seen.REQUEST,
        "Certificates of this request keep having to be replaced within a tenth of their lifetime, so each further one "
        "is issued after a longer pause, up to a day. The message names the cause.",
        "Remove the cause. To have one issued now: `kubectl csr renew {request}`.",
        "The first is replaced at once, the next ones after 1 minute, 10 minutes, 1 hour, 6 hours and then a day each.",
        With.RECONCILING,
    ),
    Reason.REPAIR_LOOP: Row(
        Seen.REQUEST,
        "Somebody changes Secret {secret} again and again. It is restored each time, but only after a pause, of up "
        "to a minute, until nobody has changed it for 5 minutes.",
        "Have what the message names leave the Secret alone. Who writes to it: "
        "`kubectl get secret {secret} -n {namespace} -o yaml --show-managed-fields`.",
        "The message names the field manager and the entries of the data.",
        With.RECONCILING,
    ),
    Reason.RENEWAL_SUGGESTED: Row(
        Seen.EVENT,
        "The CA asks to renew the certificate within the time that is named (renewal information, RFC 9773), and has a "
        "page that says why.",
        "Read that page.",
    ),
    Reason.STATE_NOT_AUTHENTIC: Row(
        Seen.EVENT,
        "What the operator keeps in annotations of a Secret is not authentic: somebody else wrote it, or the key of "
        "the state was lost or replaced. It is ignored, and a certificate in use stays in use.",
        "If the key was not replaced: find out who writes to the Secret (the audit log says).",
        "More: [the key of the state](operations.md#the-key-of-the-state).",
    ),
    Reason.REPLICA_LOST: Row(
        Seen.REPLICA,
        "A replica of the operator ended without a word, or cannot reach the API server any more. The others take over "
        "its requests, and place no order twice.",
        "Nothing, if another one has taken its place: `kubectl get pods -n csr-operator-system`. Otherwise, or if it "
        "comes again, see why: `kubectl describe pod`, and `kubectl logs --previous`, with the name and the namespace "
        "of the pod.",
        "The message names the pod, and outside of pods host and process. "
        "More: [several replicas](operations.md#several-replicas).",
    ),
    Reason.READY: Row(
        Seen.ISSUER,
        "The CA can be asked for certificates.",
        "Nothing.",
        "The message says as whom it signs, and until when.",
    ),
    Reason.MISCONFIGURED: Row(
        Seen.ISSUER,
        "The issuer itself is the problem: a field of it, or a Secret that it names, which does not hold what is "
        "required, or an expired CA.",
        "Correct what its message names. The operator sees a change of the issuer at once, and one of a Secret within "
        "half a minute.",
        "Such a Secret may have a key that does not belong to its certificate, or one that is not a CA's. It is looked "
        "at again with every check.",
        With.STALLED,
    ),
    Reason.SECRET_NOT_FOUND: Row(
        Seen.ISSUER,
        "A Secret that the issuer names is not there yet. The operator looks again by itself.",
        "Create the Secret that its message names, or correct the name in the issuer.",
        "It does so with every check.",
        With.RECONCILING,
    ),
    Reason.UNAVAILABLE: Row(
        Seen.ISSUER,
        "The CA does not answer. It is asked again at intervals.",
        "Check whether the CA is up and can be reached from the operator.",
        beside=With.RECONCILING,
    ),
    Reason.RENEWAL: Row(Seen.CERTIFICATE, "The renewal time was reached.", detail="It is `status.renewalTime`."),
    Reason.RENEWAL_REQUESTED: Row(
        Seen.CERTIFICATE,
        "Renewal was requested (`kubectl csr renew`).",
        detail="The annotation `csr-operator.dev/renew` changed.",
    ),
    Reason.REVOKED: Row(
        Seen.CERTIFICATE,
        "The previous certificate was to be revoked.",
        detail="The annotation `csr-operator.dev/revoke` names it. The event `Revoked` says that the CA did it.",
    ),
    Reason.SPEC_CHANGED: Row(
        Seen.CERTIFICATE,
        "The spec asked for something else.",
        detail="Such as for a name, the key, `duration` or the issuer.",
    ),
    Reason.SECRET_MISSING: Row(Seen.CERTIFICATE, "The Secret was not there.", detail="Somebody deleted it."),
    Reason.SECRET_DAMAGED: Row(
        Seen.CERTIFICATE, "What was in the Secret was no longer usable.", detail="Somebody changed it."
    ),
    Reason.CLOCK_SET_BACK: Row(
        Seen.CERTIFICATE,
        "The previous certificate becomes valid much later: a clock was wrong.",
        detail="By more than an hour: it was made by a clock that was ahead.",
    ),
    Reason.ISSUER_ROTATED: Row(
        Seen.CERTIFICATE,
        "The issuer had another CA certificate.",
        detail="The reissuing is spread over `--rotation-spread`.",
    ),
}
"""In the order in which docs/reference.md has them."""
