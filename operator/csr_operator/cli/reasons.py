"""What each reason that the operator sets means, and what to do about it.

In the texts, {request} is the request with its namespace as kubectl takes it (`www -n shop`), {secret} the name of its
Secret, {issuer} its issuer (`csrissuer ca -n shop`), {namespace} its namespace, {generation} the
generation of its spec.
"""

from typing import NamedTuple


class Advice(NamedTuple):
    meaning: str
    remedy: str


_LOG = "`kubectl logs -n csr-operator-system deployment/csr-operator`"
_AGAIN = (
    "The operator tries again by itself: after a second at first, then at longer intervals, at most a minute after it "
    "failed last."
)
_EDIT = "`kubectl edit csreq {request}`"

REQUEST = {
    "Issued": Advice("The Secret holds a certificate that fits the spec and is in force.", "Nothing."),
    "Issuing": Advice(
        "The certificate is on its way: the operator is at work, or the CA is.",
        f"Wait a moment, and look again. If it stays so, look at the operator's log: {_LOG}.",
    ),
    "Expired": Advice(
        "The certificate has expired and no other has taken its place: whoever uses Secret {secret} serves one that "
        "clients refuse.",
        "Remove what keeps the operator from issuing another, which is said here as well; it then does so at once.",
    ),
    "NotYetValid": Advice(
        "The certificate becomes valid at the time given here, and clients refuse it until then.",
        "Wait, if that is soon. Otherwise check whether the clocks of the operator's node and of the CA are right: "
        "where one was wrong and was set right, `kubectl csr renew {request}` has another certificate issued.",
    ),
    "IssuerNotFound": Advice(
        "An issuer that the request names does not exist. The operator goes on as soon as it is there.",
        f"Create the issuer, or correct name and kind (Issuer or ClusterIssuer) of spec.issuerRef: {_EDIT}.",
    ),
    "IssuerNotReady": Advice(
        "The issuer is there, but its CA cannot be used. The operator looks at it at intervals, and goes on as soon as "
        "it is ready.",
        "Fix the issuer: `kubectl describe {issuer}` says what is wrong.",
    ),
    "Queued": Advice(
        "The issuer has as many requests at work, or has taken as many within a minute, as its spec.limits allow. It "
        "takes this one as soon as there is room.",
        "Wait. If the CA can take more, have the issuer's owner raise spec.limits; if it hangs, look after the CA.",
    ),
    "IssuerUnavailable": Advice(
        f"The CA did not answer, or asked to be left alone for a while. {_AGAIN} A CA that asks for a longer "
        "pause gets it.",
        "Wait. If it lasts, check whether the CA is up and can be reached from the operator.",
    ),
    "OrderFailed": Advice(
        "The CA took the order and could not fulfil it, for the reason given here. Another one is placed at the "
        "time that is given: soon at first, then after hours, then once a day.",
        "Fix what the CA names: most often it could not verify that the name is yours.",
    ),
    "AbandoningOrder": Advice(
        "An order that is no longer needed is being taken back from the CA before another one is placed.",
        f"Wait a moment. If it stays so, look at the operator's log: {_LOG}.",
    ),
    "Rejected": Advice(
        "The CA refuses this request, for the reason given here. It is not asked again as long as spec and issuer stay "
        "as they are.",
        f"Change the spec ({_EDIT}), or talk to whoever runs the CA. To ask it again: `kubectl csr renew {{request}}`.",
    ),
    "AnswerMismatch": Advice(
        "The CA signed something other than what was asked for; each difference is listed. Nothing was stored: the "
        "Secret is as it was.",
        f"Ask for what the CA grants ({_EDIT}), or have the CA corrected. With a manual issuer, "
        "import another: `kubectl csr import {request} FILE`. Otherwise ask the CA again: "
        "`kubectl csr renew {request}`. If it is only not valid yet, it is looked at again by itself: correct the "
        "clock of the operator's node, or the CA's.",
    ),
    "InvalidSpec": Advice(
        "A field of the spec, or something in the CSR that it holds, cannot be read or used, although admission let it "
        "pass. Nothing is done for this request.",
        f"Correct the field that is named: {_EDIT}.",
    ),
    "InvalidRequest": Advice(
        "No certificate signing request, or no Secret, can be made of this spec. The CA was not asked.",
        f"Correct the field that is named: {_EDIT}.",
    ),
    "ReferenceMissing": Advice(
        f"The request refers to a value in a Secret that is not there. {_AGAIN} So where the Secret itself is "
        "missing, nothing has to be done but to create it.",
        "Create the Secret, or add the key to it, in namespace {namespace}; or correct the reference in the spec.",
    ),
    "KeyUnusable": Advice(
        f"The private key in the Secret that spec.privateKey.secretRef names cannot be used. {_AGAIN}",
        "Put a private key into it in PEM, without a passphrase: RSA of 2048 to 8192 bits, ECDSA P-256, P-384 or "
        "P-521, Ed25519 or ML-DSA.",
    ),
    "PasswordUnusable": Advice(
        f"The password in the Secret that passwordSecretRef of a keystore names cannot be used. {_AGAIN}",
        "Put another password into it, as the message says, in namespace {namespace}.",
    ),
    "PolicyDenied": Advice(
        "The issuer's policy does not allow what the request asks for; the rule is named. The CA was not asked.",
        f"Ask for what the rule permits ({_EDIT}; the rules are in spec.policy of `kubectl get {{issuer}} -o yaml`), "
        "or have the issuer's owner change the policy.",
    ),
    "ApprovalPending": Advice(
        "The issuer signs only approved requests, and this one is not approved as it is now: a change of the spec "
        "needs approval again.",
        "Somebody with the permission `approve` on the issuer has to review the request, as shown above, and run "
        "`kubectl csr approve {request} --generation {generation}`, or "
        "`kubectl csr deny {request} --generation {generation} --message ...`.",
    ),
    "Denied": Advice(
        "Somebody who decides on requests of this issuer has denied this one as it is now.",
        f"Change the request ({_EDIT}), which needs a new decision, or have it approved after all: "
        "`kubectl csr approve {request} --generation {generation}`.",
    ),
    "ActionRequired": Advice(
        "Somebody has to sign the CSR, to prove control of the names, or to approve the order at the CA. Key and CSR "
        "are kept until the answer arrives.",
        "Do what the message says. With a manual issuer: `kubectl csr export {request}` prints the CSR; have it "
        "signed, and import certificate and chain with `kubectl csr import {request} FILE`.",
    ),
    "Pending": Advice(
        "The CA is working on the order, or what it wants to see is not visible everywhere yet. Key and CSR are kept "
        "until the answer arrives.",
        "Wait. If it lasts, look after what the message names.",
    ),
    "RevocationPending": Advice(
        "A certificate of this request has to be revoked, and its CA cannot be asked to, for the reason given here. If "
        "the request is being deleted, the deletion waits for that.",
        "Fix what the message names. If its CA is gone for good, abandon the revocation: "
        "`kubectl annotate csreq {request} csr-operator.dev/abandon-revocation=true`.",
    ),
    "SecretNotOwned": Advice(
        "A Secret that the request needs the name of is somebody else's, or another request's, and is left untouched. "
        "Nothing is issued until the name is free.",
        "Do what the message says. spec.secretName cannot be changed.",
    ),
    "AdoptionRefused": Advice(
        "Secret {secret} is to be taken over with the certificate in it, but cannot be, for the reasons listed. "
        "It is left untouched, and no CA was asked. The operator looks at it again at intervals.",
        f"Ask for what is in the Secret ({_EDIT}), or have it corrected.",
    ),
    "SecretNotCollected": Advice(
        "Secret {secret} belongs to an earlier request of this name, and Kubernetes is about to delete it. The "
        "operator then goes on by itself.",
        "Wait. If it lasts, check whether the kube-controller-manager is running, which deletes it.",
    ),
    "RenewalLoop": Advice(
        "Certificates of this request keep having to be replaced within a tenth of their lifetime, so each further one "
        "is issued after a longer pause, up to a day. The message names the cause.",
        "Remove the cause. To have one issued now: `kubectl csr renew {request}`.",
    ),
    "RepairLoop": Advice(
        "Somebody changes Secret {secret} again and again. It is restored each time, but only after a pause, of up "
        "to a minute, until nobody has changed it for 5 minutes.",
        "Have what the message names leave the Secret alone. Who writes to it: "
        "`kubectl get secret {secret} -n {namespace} -o yaml --show-managed-fields`.",
    ),
    "SecretConflict": Advice(
        "Secret {secret} is immutable, or of another type than the spec asks for, and Kubernetes allows neither to "
        "be changed. The certificate in it stays until the Secret is deleted.",
        "Delete the Secret: `kubectl delete secret {secret} -n {namespace}`; the operator creates it again, with "
        "another certificate. Or change the spec back.",
    ),
    "SecretRefused": Advice(
        "The API server does not take the Secret: a quota, an admission policy, its size, or a missing permission. "
        f"What is in the Secret stays as it is. {_AGAIN}",
        "See the API server's message, and raise the quota, change the policy, make room in the Secret or restore the "
        "operator's permissions (deploy/rbac.yaml).",
    ),
}
"""Of the conditions of a CertificateRequest."""

_DELETE = "`kubectl delete secret {secret} -n {namespace}`"
UNOWNED = {
    "SecretNotOwned": "If the Secret holds a certificate that the request should continue with: "
    f"`kubectl csr adopt {{request}}`. If nobody needs the Secret: {_DELETE}. Otherwise delete this request, and "
    "create it with another spec.secretName, which cannot be changed.",
    "AdoptionRefused": f"{REQUEST['AdoptionRefused'].remedy} To get another certificate instead: {_DELETE}.",
}
"""What to do where the Secret is nobody else's, so that deleting it harms no other request."""

UNSEEN = Advice(
    "The operator has not looked at this request yet.",
    "Wait a moment. If it stays so, check whether the operator runs (`kubectl get pods -n csr-operator-system`) and "
    "whether it watches namespace {namespace}.",
)
OUTDATED = Advice(
    "The spec has changed since the operator last looked at it: what follows is about the spec before.",
    UNSEEN.remedy,
)
LATE = Advice(
    "The renewal is late, and the operator does not say why: it does not seem to run.",
    f"Check whether it does: `kubectl get pods -n csr-operator-system`, and its log: {_LOG}.",
)
BEING_DELETED = Advice(
    "The request is being deleted.",
    "If it does not go away, see which finalizers are left: `kubectl get csreq {request} -o yaml`. "
    "csr-operator.dev/revocation goes when the certificate has been revoked, or with the annotation "
    "csr-operator.dev/abandon-revocation=true.",
)

ISSUER = {
    "Ready": Advice("The CA can be asked for certificates.", "Nothing."),
    "Misconfigured": Advice(
        "The issuer itself is the problem: a field of it, or a Secret that it names, which does not hold what is "
        "required, or an expired CA.",
        "Correct what its message names. The operator sees a change of the issuer at once, and one of a Secret within "
        "half a minute.",
    ),
    "SecretNotFound": Advice(
        "A Secret that the issuer names is not there yet. The operator looks again by itself.",
        "Create the Secret that its message names, or correct the name in the issuer.",
    ),
    "Unavailable": Advice(
        "The CA does not answer. It is asked again at intervals.",
        "Check whether the CA is up and can be reached from the operator.",
    ),
}
"""Of the conditions of an Issuer or ClusterIssuer."""

REISSUED = {
    "Renewal": "the renewal time was reached",
    "RenewalRequested": "renewal was requested (`kubectl csr renew`)",
    "SpecChanged": "the spec asked for something else",
    "SecretMissing": "the Secret was not there",
    "SecretDamaged": "what was in the Secret was no longer usable",
    "IssuerRotated": "the issuer had another CA certificate",
    "Revoked": "the previous certificate was to be revoked",
    "ClockSetBack": "the previous certificate becomes valid much later: a clock was wrong",
}
"""Why a certificate was issued in the place of another, as the event says."""
