"""How a request stands, and what is said of that: from what was read, without a cluster."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from csr_operator.api.parse_issuer import parse_issuer
from csr_operator.api.parse_request import parse_request
from csr_operator.api.parse_secret import parse_secret_meta
from csr_operator.api.times import format_time
from csr_operator.cli import reasons
from csr_operator.cli.describe import facts
from csr_operator.cli.explain import Finding, Happening, Seen, event_words, findings, is_contested
from csr_operator.cli.state import Rank, headline, state_of

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def at(**distance: int) -> str:
    return format_time(NOW + timedelta(**distance))


def condition(kind: str, status: str, reason: str, message: str = "words", generation: int = 1) -> dict[str, Any]:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "observedGeneration": generation,
        "lastTransitionTime": at(hours=-3),
    }


CERTIFICATE = {
    "serialNumber": "1F",
    "revision": 2,
    "notBefore": at(days=-30),
    "notAfter": at(days=60),
    "renewalTime": at(days=30),
}
READY = condition("Ready", "True", "Issued", f"valid until {CERTIFICATE['notAfter']}")


def seen(*conditions: dict[str, Any], issuer: dict[str, Any] | None = None, **parts: Any) -> Seen:
    """status: fields of it, or None for none at all. metadata: fields of it."""
    status = parts.pop("status", {})
    obj = {
        "metadata": {
            "namespace": "shop",
            "name": "www",
            "uid": "6f1c2f4e-0000-4000-8000-000000000001",
            "resourceVersion": "7",
            "generation": 1,
            "creationTimestamp": at(days=-30),
            **parts.pop("metadata", {}),
        },
        "spec": {"secretName": "www-tls", "issuerRef": {"name": "ca"}, "dnsNames": ["www.example.com"]},
        "status": {} if status is None else {"conditions": conditions, "observedGeneration": 1, **status},
    }
    request = parse_request(obj)
    (key,) = request.issuers
    found = parse_issuer(issuer) if issuer is not None else None
    return Seen(request=request, issuers={key: found}, **parts)


def ca(*conditions: dict[str, Any], **spec: Any) -> dict[str, Any]:
    metadata = {"namespace": "shop", "name": "ca", "uid": "u", "resourceVersion": "1"}
    return {
        "kind": "Issuer",
        "metadata": metadata,
        "spec": {"ca": {"secretName": "ca-tls"}, **spec},
        "status": {"conditions": conditions},
    }


RETAINED = [
    {
        "manager": "csr-operator",
        "operation": "Apply",
        "fieldsV1": {"f:metadata": {"f:annotations": {"f:csr-operator.dev/retained-for": {}}}},
    }
]
"""The operator wrote for which request a Secret stays."""


def owner(kind: str) -> dict[str, Any]:
    return {"ownerReferences": [{"controller": True, "uid": "x", "kind": kind, "name": "other"}]}


def found(one: Seen) -> list[Finding]:
    return list(findings(one, NOW))


@pytest.mark.parametrize(
    ("one", "rank", "words"),
    [
        (seen(status=None), Rank.WAITING, "Not ready: Unseen"),
        (seen(condition("Ready", "False", "Issuing")), Rank.WAITING, "Not ready: Issuing, for 3h"),
        (seen(READY, status=CERTIFICATE), Rank.WELL, "Ready, for 3h"),
        (
            seen(READY, status=CERTIFICATE, metadata={"generation": 2}),
            Rank.WAITING,
            "Not ready: Outdated",
        ),
        (
            seen(READY, condition("Reconciling", "True", "IssuerUnavailable"), status=CERTIFICATE),
            Rank.WAITING_BUT_SERVING,
            "Ready, but IssuerUnavailable, for 3h",
        ),
        (
            seen(READY, condition("Stalled", "True", "Rejected"), status=CERTIFICATE),
            Rank.STALLED_BUT_SERVING,
            "Ready, but Rejected, for 3h",
        ),
        (
            seen(READY, condition("Renewing", "True", "Pending"), status=CERTIFICATE),
            Rank.WAITING_BUT_SERVING,
            "Ready, but Pending, for 3h",
        ),
        (
            seen(READY, condition("Renewing", "False", "Rejected"), status=CERTIFICATE),
            Rank.STALLED_BUT_SERVING,
            "Ready, but Rejected, for 3h",
        ),
        (
            seen(READY, *(condition(kind, "True", "Queued") for kind in ("Renewing", "Stalled")), status=CERTIFICATE),
            Rank.STALLED_BUT_SERVING,
            "Ready, but Queued, for 3h",
        ),
        (
            seen(condition("Ready", "False", "Denied"), condition("Stalled", "True", "Denied")),
            Rank.STALLED,
            "Not ready: Denied, for 3h",
        ),
        (
            seen(condition("Ready", "False", "Expired"), condition("Reconciling", "True", "IssuerNotFound")),
            Rank.STALLED,
            "Not ready: Expired, for 3h",
        ),
        (seen(READY, status=CERTIFICATE | {"notAfter": at(hours=-2)}), Rank.STALLED, "Not ready: Expired, for 2h"),
        (
            seen(READY, status=CERTIFICATE | {"renewalTime": at(hours=-2)}),
            Rank.WAITING_BUT_SERVING,
            "Ready, but Late, for 2h",
        ),
        (seen(READY, metadata={"deletionTimestamp": at()}), Rank.WAITING, "Not ready: BeingDeleted"),
    ],
)
def test_how_it_stands(one: Seen, rank: Rank, words: str) -> None:
    state = state_of(one.request, NOW)
    assert (state.rank, headline(state, NOW)) == (rank, words)
    assert found(one)[0].meaning


@pytest.mark.parametrize("reason", sorted(reasons.REQUEST.keys() - {"Issued", "Issuing", "Expired"}))
@pytest.mark.parametrize("kind", ["Stalled", "Reconciling"])
def test_what_holds_it_up_is_told_with_the_operators_words_and_a_remedy(kind: str, reason: str) -> None:
    one = found(seen(condition("Ready", "False", reason), condition(kind, "True", reason, "the rule `a` says {no}")))[0]
    assert (one.reason, one.message) == (reason, "the rule `a` says {no}")
    assert one.remedy
    assert "{" not in one.meaning + one.remedy


def test_a_reason_that_is_not_known_is_told_all_the_same() -> None:
    (one,) = found(seen(condition("Ready", "False", "Novel"), condition("Stalled", "True", "Novel", "news")))
    assert (one.reason, one.message) == ("Novel", "news")
    assert "does not know" in one.meaning


def test_a_certificate_that_nobody_can_renew_is_told_of_while_it_still_serves() -> None:
    """Its operator says nothing until the time for a renewal has come."""
    (one,) = found(seen(READY, status=CERTIFICATE))
    assert (one.reason, one.message) == (
        "IssuerNotFound",
        "Issuer shop/ca does not exist: the certificate will not be renewed",
    )
    assert "Create the issuer" in one.remedy
    (well,) = found(seen(READY, status=CERTIFICATE, issuer=ca(condition("Ready", "True", "Ready"))))
    assert (well.reason, well.remedy) == ("Issued", "Nothing.")


def test_what_there_is_to_know_of_one_that_is_well_is_told() -> None:
    no_effect = f"valid until {CERTIFICATE['notAfter']}; spec.revocation has no effect: Issuer shop/ca cannot revoke"
    ready = condition("Ready", "True", "Issued", no_effect)
    (well,) = found(seen(ready, status=CERTIFICATE, issuer=ca(condition("Ready", "True", "Ready"))))
    assert (well.message, well.remedy) == (no_effect, "Nothing, unless the message asks for something.")


@pytest.mark.parametrize("reason", ["SecretNotOwned", "AdoptionRefused"])
@pytest.mark.parametrize(
    ("metadata", "contested", "offered"),
    [
        ({}, False, True),
        ({}, True, False),  # another request is to have it, or another Secret is in the way
        (owner("CertificateRequest"), False, False),
        (owner("Certificate"), False, False),
        ({"annotations": {"csr-operator.dev/retained-for": "other"}}, False, False),
        (None, False, False),
    ],
)
def test_no_secret_is_offered_for_deletion_that_may_be_anothers(
    metadata: dict[str, Any] | None, contested: bool, offered: bool, reason: str
) -> None:
    base = {"namespace": "shop", "name": "www-tls", "uid": "s", "resourceVersion": "1", "managedFields": RETAINED}
    secret = parse_secret_meta({"metadata": base | metadata}, None) if metadata is not None else None
    held = (condition("Ready", "False", reason), condition("Stalled", "True", reason, "no"))
    (one,) = found(seen(*held, secret=secret, contested=contested))
    assert ("kubectl delete secret www-tls -n shop" in one.remedy) is offered
    assert "spec.secretName" in one.remedy or reason == "AdoptionRefused"


@pytest.mark.parametrize(
    ("created", "annotations", "contested"),
    [
        (at(days=-31), {}, True),  # the older one is to have it
        (at(days=-29), {}, False),
        (at(days=-31), {"csr-operator.dev/adopt": "www"}, False),
        (at(days=-29), {"csr-operator.dev/adopt": "other"}, True),
    ],
)
def test_which_other_request_is_to_have_the_secret(created: str, annotations: dict[str, str], contested: bool) -> None:
    metadata = {"namespace": "shop", "name": "www-tls", "uid": "s", "resourceVersion": "1", "annotations": annotations}
    uid = "6f1c2f4e-0000-4000-8000-000000000002"
    request, other = seen().request, seen(metadata={"name": "other", "uid": uid, "creationTimestamp": created}).request
    assert is_contested(request, parse_secret_meta({"metadata": metadata}, None), [request, other]) is contested


def test_what_is_gone_is_told_by_its_last_revision() -> None:
    held = condition("Reconciling", "True", "RenewalLoop")
    one = seen(condition("Ready", "False", "RenewalLoop"), held, status={"revision": 7})
    assert dict(facts(one, NOW))["Certificate"] == "none now; the last one was of revision 7"
    assert dict(facts(seen(READY, status={}), NOW))["Certificate"] == "none yet"


def test_an_expired_certificate_is_told_with_what_keeps_the_next_away() -> None:
    held = condition("Stalled", "True", "Rejected", "no")
    told = found(seen(condition("Ready", "False", "Expired"), held, status=CERTIFICATE | {"notAfter": at(hours=-1)}))
    assert [(one.reason, one.message) for one in told] == [
        ("Expired", f"expired at {at(hours=-1)}"),
        ("Rejected", "no"),
    ]


def test_a_failing_renewal_is_told_with_the_next_try_and_what_still_serves() -> None:
    held = condition("Renewing", "True", "IssuerUnavailable", "connection refused")
    first, second = found(seen(READY, held, status=CERTIFICATE))
    assert "at most a minute" in first.meaning
    assert first.message == "connection refused"
    assert f"{CERTIFICATE['notAfter']}, in 60d" in second.meaning


def test_an_issuer_that_is_not_ready_is_told_in_its_own_words() -> None:
    issuer = ca(condition("Ready", "False", "Misconfigured", "Secret ca-tls does not exist"))
    held = condition("Reconciling", "True", "IssuerNotReady", "Issuer shop/ca is not ready")
    first, second = found(seen(condition("Ready", "False", "IssuerNotReady"), held, issuer=issuer))
    assert "kubectl describe csrissuer ca -n shop" in first.remedy
    assert (second.reason, second.message) == ("Issuer shop/ca: Misconfigured", "Secret ca-tls does not exist")


def test_a_denial_that_nobody_asks_for_is_told_to_have_no_effect() -> None:
    denied = condition("Denied", "True", "KubectlDeny", "no")
    assert "no effect" in found(seen(READY, denied, status=CERTIFICATE, issuer=ca()))[-1].meaning
    assert "no effect" not in found(seen(READY, denied, status=CERTIFICATE, issuer=ca(approval="Manual")))[-1].meaning


def test_a_deletion_tells_what_it_waits_for() -> None:
    held = condition("Stalled", "True", "RevocationPending", "the CA is gone")
    metadata = {"deletionTimestamp": at(), "finalizers": ["csr-operator.dev/revocation"]}
    first, second = found(seen(READY, held, metadata=metadata, status=CERTIFICATE))
    assert first.reason == "BeingDeleted"
    assert second.message == "the CA is gone"
    assert "csreq www -n shop csr-operator.dev/abandon-revocation=true" in second.remedy


def test_an_approval_of_an_earlier_spec_is_told_as_such() -> None:
    approved = condition("Approved", "True", "KubectlApprove", "by alice", generation=1)
    one = seen(condition("Ready", "False", "ApprovalPending"), approved, metadata={"generation": 2})
    assert dict(facts(one, NOW))["Approved"] == "for an earlier spec, without effect now: by alice"


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        (None, "www-tls does not exist"),
        ({}, "www-tls was not made by the operator"),
        (owner("Certificate"), "www-tls belongs to Certificate other"),
        (
            {
                "ownerReferences": [
                    {
                        "controller": True,
                        "uid": "6f1c2f4e-0000-4000-8000-000000000001",
                        "kind": "CertificateRequest",
                        "name": "www",
                    }
                ]
            },
            "www-tls belongs to this request, but ca.crt, tls.crt, tls.key is missing or was changed by somebody else",
        ),
    ],
)
def test_whose_the_secret_is(metadata: dict[str, Any] | None, words: str) -> None:
    base = {"namespace": "shop", "name": "www-tls", "uid": "s", "resourceVersion": "1"}
    secret = parse_secret_meta({"metadata": base | metadata}, None) if metadata is not None else None
    assert dict(facts(seen(READY, secret=secret), NOW))["Secret"].startswith(words)


def test_an_event_says_why_a_certificate_took_anothers_place() -> None:
    event = Happening(
        "2026-05-31T23:00:00.123456Z", "Normal", "Issued", "revision 2, because of SecretMissing", "SecretMissing"
    )
    words = event_words(event, NOW)
    assert words == "59m ago: Issued: revision 2, because of SecretMissing: the Secret was not there"
