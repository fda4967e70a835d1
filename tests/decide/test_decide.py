"""`decide`, as a table of situations, and as a property: from anywhere it comes to rest, ordering nothing twice."""

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csr_operator.api.conditions import Condition
from csr_operator.api.keys import Kind, ObjectKey
from csr_operator.api.names import REVOCATION_FINALIZER
from csr_operator.api.parse_request import parse_request
from csr_operator.api.policy import AllowedNames, Default, Namespaces, Policy, Requirement, Rule
from csr_operator.api.reasons import Reason
from csr_operator.api.request import REISSUES_NOTHING, CertificateRequest, Outputs, SecretTemplate, Wishes
from csr_operator.api.secrets import NEVER, DebtSummary, Record, SecretMeta, Setback, Staged, Window
from csr_operator.api.times import format_time
from csr_operator.decisions.actions import (
    Action,
    Discard,
    Forget,
    Guard,
    Hold,
    Issue,
    Keep,
    LetGo,
    Release,
    Restore,
    Resume,
    Revoke,
)
from csr_operator.decisions.decide import decide
from csr_operator.decisions.pace import cause_of
from csr_operator.decisions.renewal import renewal_note, renewal_time
from csr_operator.decisions.serving import is_current
from csr_operator.decisions.world import Failure, IssuerState, Waiting, World

NOW = datetime(2026, 6, 1, tzinfo=UTC)
SPREAD = timedelta(minutes=5)
CA = ObjectKey(Kind.ISSUER, "n", "ca")
DATA_KEYS = frozenset({"tls.crt", "tls.key", "ca.crt"})
READY = IssuerState(ready=True, message="", version="1", fingerprint="CA", rotated_at=NOW - timedelta(days=1))
UID = "00000000-0000-0000-0000-000080000000"


def make_request(annotations: dict[str, str] | None = None, **spec: Any) -> CertificateRequest:
    return parse_request(
        {
            "metadata": {
                "namespace": "n",
                "name": "www",
                "uid": UID,
                "resourceVersion": "1",
                "generation": 1,
                "creationTimestamp": format_time(NOW),
                "annotations": annotations or {},
            },
            "spec": {
                "secretName": "www-tls",
                **({} if "issuerRefs" in spec else {"issuerRef": {"name": "ca"}}),
                "dnsNames": ["www.example.com"],
                **spec,
            },
        }
    )


def make_secret(request: CertificateRequest, age: timedelta = timedelta(0), **changes: Any) -> SecretMeta:
    """The Secret of `request`, with a certificate for 90 days that was issued `age` ago."""
    record = Record(
        issuance_hash=request.issuance_hash,
        revision=1,
        serial_number="1",
        not_before=format_time(NOW - age),
        not_after=format_time(NOW - age + timedelta(days=90)),
        sha256_fingerprint="F",
        issuer_fingerprint="CA",
        issuer="Issuer/ca",
        renew="",
        csr="C",
        outputs="",
        stored=format_time(NOW - age),
    )
    meta = SecretMeta(
        namespace="n",
        name="www-tls",
        uid="s",
        resource_version="1",
        owner_uid=request.uid,
        owner="CertificateRequest www",
        intact_data=DATA_KEYS,
        template_digest=SecretTemplate().digest(),
        record=record,
    )
    return replace(meta, **changes)


def ask(
    request: CertificateRequest,
    secret: SecretMeta | None,
    issuer: IssuerState | None = READY,
    failure: Failure | None = None,
    **world: Any,
) -> Action:
    issuers = {} if issuer is None else {CA: issuer}
    failures = None if failure is None else {failure.issuer: failure}
    return decide(
        request,
        World(
            **{
                "now": NOW,
                "rotation_spread": SPREAD,
                "issuers": issuers,
                "failures": failures,
                "secret": secret,
                **world,
            }
        ),
    )


def test_a_new_request_is_issued() -> None:
    assert ask(make_request(), None) == Issue(Reason.SECRET_MISSING, 1, CA)


def test_what_is_in_order_is_left_alone_until_two_thirds_of_its_life() -> None:
    request = make_request()
    action = ask(request, make_secret(request))
    assert isinstance(action, Keep)
    assert action.until is not None
    assert NOW + timedelta(days=57) <= action.until <= NOW + timedelta(days=60)


@pytest.mark.parametrize("days", [61, 89, 91])
def test_what_is_due_or_expired_is_renewed(days: int) -> None:
    request = make_request()
    assert ask(request, make_secret(request, timedelta(days=days))) == Issue(Reason.RENEWAL, 2, CA)


def test_a_changed_spec_is_issued_anew() -> None:
    secret = make_secret(make_request())
    assert ask(make_request(dnsNames=["other.example.com"]), secret) == Issue(Reason.SPEC_CHANGED, 2, CA)


@pytest.mark.parametrize(
    "spelled_out",
    [
        {"duration": "2160h0m0s"},
        {"privateKey": {"algorithm": "ECDSA", "size": 256}},
        {"issuerRef": {"name": "ca", "kind": "Issuer", "group": "csr-operator.dev"}},
        {"isCA": False},
        {"subject": {"organizations": []}},
        {"privateKey": {"rotationPolicy": "Never"}},
        {"renewBefore": "24h"},
    ],
)
def test_a_default_spelled_out_and_what_no_certificate_shows_reissue_nothing(spelled_out: dict[str, Any]) -> None:
    secret = make_secret(make_request())
    assert isinstance(ask(make_request(**spelled_out), secret), Keep)


@pytest.mark.parametrize("key", sorted(DATA_KEYS))
def test_an_edited_secret_is_restored(key: str) -> None:
    request = make_request()
    assert isinstance(ask(request, make_secret(request, intact_data=DATA_KEYS - {key})), Restore)


def test_a_secret_without_readable_annotations_is_restored() -> None:
    request = make_request()
    assert isinstance(ask(request, make_secret(request, record=None)), Restore)


def test_a_secret_beyond_repair_is_issued_anew() -> None:
    request = make_request()
    assert isinstance(ask(request, make_secret(request, record=None, beyond_repair=True)), Issue)


def test_what_replaces_a_damaged_one_is_newer_than_it_whatever_status_says() -> None:
    request = make_request()
    assert request.status.revision == 0
    assert ask(request, make_secret(request, beyond_repair=True)) == Issue(Reason.SECRET_DAMAGED, 2, CA)


# What comes of a change of each field that reissues nothing, where the Secret is as it was. Whoever adds such a field,
# here or to what goes into the Secret, decides on it here: what nobody compares would never come into the Secret.
PASSWORD = {"create": True, "passwordSecretRef": {"name": "password"}}
CHANGES: dict[str, tuple[dict[str, Any], type[Action]]] = {
    "secret_name": ({"secretName": "other"}, Issue),  # there is none of that name
    "secret_template.labels": ({"secretTemplate": {"labels": {"a": "b"}}}, Restore),
    "secret_template.annotations": ({"secretTemplate": {"annotations": {"a": "b"}}}, Restore),
    "outputs.pkcs12": ({"keystores": {"pkcs12": PASSWORD}}, Restore),
    "outputs.jks": ({"keystores": {"jks": PASSWORD}}, Restore),
    "outputs.der": ({"additionalOutputFormats": [{"type": "DER"}]}, Restore),
    "outputs.combined_pem": ({"additionalOutputFormats": [{"type": "CombinedPEM"}]}, Restore),
    "renew_before": ({"renewBefore": "24h"}, Keep),
    "renew_before_percentage": ({"renewBeforePercentage": 10}, Keep),
    "retain": ({"deletionPolicy": "Retain"}, Restore),
    "revocation": ({"revocation": {"onDelete": True}}, Guard),
}


@pytest.mark.parametrize(("changed", "action"), CHANGES.values(), ids=CHANGES)
def test_a_change_that_reissues_nothing_reaches_the_secret(changed: dict[str, Any], action: type[Action]) -> None:
    secret = None if "secretName" in changed else make_secret(make_request())
    assert type(ask(make_request(**changed), secret, REVOKES)) is action


def test_each_field_that_reissues_nothing_is_tried() -> None:
    names = set(REISSUES_NOTHING)
    for name, parts in (("secret_template", SecretTemplate), ("outputs", Outputs)):
        names.remove(name)
        names |= {f"{name}.{part.name}" for part in fields(parts)}
    assert names == {*CHANGES}


def test_the_leaves_of_a_rotated_ca_are_reissued_spread_over_time() -> None:
    request = make_request()  # its uid lies in the middle of the spread
    secret = make_secret(request)
    just_rotated = replace(READY, fingerprint="NEW", rotated_at=NOW)
    assert ask(request, secret, just_rotated) == Keep(until=NOW + SPREAD / 2)
    assert ask(request, secret, replace(just_rotated, rotated_at=NOW - SPREAD)) == Issue(Reason.ISSUER_ROTATED, 2, CA)


def test_where_the_ca_sent_no_certificate_of_its_own_nobody_can_tell_that_it_has_another() -> None:
    """Each certificate would be taken for one of another CA, and replaced by one that is as well."""
    request = make_request()
    secret = make_secret(request, intact_data=DATA_KEYS - {"ca.crt"})
    assert secret.record is not None
    alone = replace(secret, record=replace(secret.record, issuer_fingerprint=""))
    assert isinstance(ask(request, alone, replace(READY, rotated_at=NOW - SPREAD)), Keep)


def test_an_issuer_that_is_not_ready_says_nothing_of_a_rotation() -> None:
    request = make_request()
    issuer = replace(READY, ready=False, fingerprint="")
    assert isinstance(ask(request, make_secret(request), issuer), Keep)


def test_a_secret_of_another_owner_is_left_alone() -> None:
    request = make_request()
    action = ask(request, make_secret(request, owner_uid="other", owner="CertificateRequest theirs"))
    assert isinstance(action, Hold)
    assert action.needs_user
    belongs = "belongs to CertificateRequest theirs and is left untouched"
    assert (
        action.message == f"Secret www-tls {belongs}: delete this request, and create it with another spec.secretName"
    )


def test_the_secret_of_an_earlier_request_of_the_same_name_is_waited_for() -> None:
    action = ask(make_request(), make_secret(make_request(), owner_uid="earlier"))
    assert isinstance(action, Hold)
    assert not action.needs_user
    assert "garbage-collected" in action.message


def test_of_two_requests_for_one_secret_the_older_comes_first() -> None:
    action = ask(make_request(), None, rival="first")
    assert isinstance(action, Hold)
    assert "belongs to CertificateRequest first" in action.message


def test_a_missing_and_an_unready_issuer_are_waited_for_in_words() -> None:
    missing = ask(make_request(), None, None)
    assert missing == Hold(Reason.ISSUER_NOT_FOUND, f"spec.issuerRef.name: {CA} {MISSING}", needs_user=False)


NAME, MISSING = "spec.issuerRef.name", "does not exist: create it, or correct the name"
CLUSTER_CA = {"name": "ca", "kind": "ClusterIssuer"}
CLUSTER_MEANT = "set spec.issuerRef.kind to Issuer, or create ClusterIssuer ca"
MEANT = f"ClusterIssuer ca does: set spec.issuerRef.kind to ClusterIssuer, or create {CA}"
ELSEWHERE = ObjectKey(Kind.CLUSTER_ISSUER, "", "ca")


@pytest.mark.parametrize(
    ("refs", "namesake", "words"),
    [
        ({"issuerRef": {"name": "ca"}}, ELSEWHERE, f"{NAME}: {CA} does not exist: {MEANT}"),
        ({"issuerRef": CLUSTER_CA}, CA, f"{NAME}: {ELSEWHERE} does not exist: {CA} does: {CLUSTER_MEANT}"),
        ({"issuerRef": {"name": "ca"}}, ObjectKey(Kind.CLUSTER_ISSUER, "", "b"), f"{NAME}: {CA} {MISSING}"),
        (
            {"issuerRefs": [{"name": "x"}, {"name": "ca"}]},
            ELSEWHERE,
            f"spec.issuerRefs[0].name: Issuer n/x {MISSING}; spec.issuerRefs[1].name: {CA} does not exist: "
            + MEANT.replace("Ref", "Refs[1]"),
        ),
    ],
)
def test_an_issuer_of_the_other_kind_is_named_where_its_name_was_meant(
    refs: dict[str, Any], namesake: ObjectKey, words: str
) -> None:
    held = ask(make_request(**refs), None, issuer=None, namesakes=frozenset((namesake,)))
    assert isinstance(held, Hold)
    assert (held.reason, held.message) == ("IssuerNotFound", words)


def test_a_secret_that_nothing_is_on_record_of_has_a_revision_all_the_same() -> None:
    request = make_request()
    assert ask(request, make_secret(request, record=None)) == Restore(1)
    unready = ask(make_request(), None, replace(READY, ready=False, message="sealed"))
    assert unready == Hold(Reason.ISSUER_NOT_READY, "Issuer n/ca is not ready: sealed", needs_user=False)


def failure(**changes: Any) -> Failure:
    return replace(
        Failure(Reason.REJECTED, "no", CA, generation=1, wishes=Wishes(), version="1", retry_at=None, needs_user=True),
        **changes,
    )


def test_what_an_order_was_refused_holds_over_a_restart() -> None:
    request = make_request()
    refused = staged(request, handle="", setback=Setback(NEVER, cause_of("", "1"), "Rejected", "no: blocked"))
    assert ask(request, None, staged=refused) == Hold(Reason.REJECTED, "no: blocked", needs_user=True)
    asked = replace(request, wishes=Wishes(renew="now"))
    assert ask(asked, None, staged=refused) == Discard()
    assert ask(request, None, replace(READY, version="2"), staged=refused) == Resume(1, CA)
    assert ask(make_request(dnsNames=["b.example.com"]), None, staged=refused) == Discard()
    other = replace(refused, setback=Setback(NEVER, cause_of("", "1"), "OfAnotherVersion", "no: blocked"))
    assert ask(request, None, staged=other) == Hold(Reason.ORDER_FAILED, "no: blocked", needs_user=True)
    # What is known to have happened since counts.
    busy = failure(reason=Reason.ISSUER_UNAVAILABLE, retry_at=NOW + timedelta(seconds=9), needs_user=False)
    assert isinstance(held := ask(request, None, failure=busy, staged=refused), Hold)
    assert held.reason == "IssuerUnavailable"


@pytest.mark.parametrize("words", [("", "", ""), (cause_of("", "1"), "OrderFailed", "no answer at port 80")])
def test_orders_that_came_to_nothing_wait_over_a_restart(words: tuple[str, str, str]) -> None:
    request, again = make_request(), NOW + timedelta(minutes=5)
    failed = staged(request, handle="", lapses=2, setback=Setback(format_time(again), *words))
    held = ask(request, None, staged=failed)
    assert isinstance(held, Hold)
    assert (held.reason, held.needs_user, held.until) == ("OrderFailed", False, again)
    assert held.message == (words[2] or "2 orders came to nothing; another one is placed at 2026-06-01T00:05:00Z")
    assert ask(request, None, staged=failed, now=again) == Resume(1, CA)
    if words[0]:
        assert ask(replace(request, wishes=Wishes(renew="now")), None, staged=failed) == Resume(1, CA)


@pytest.mark.parametrize(
    "setback",
    [
        Setback("2026-06-01T00:05:00Z"),
        Setback(NEVER, "0123456789abcdef", "Rejected", "words with  blanks: and more"),
        Setback("2026-06-01T00:05:00Z", "0123456789abcdef", "OrderFailed", "x"),
    ],
)
def test_a_setback_is_read_as_it_was_written(setback: Setback) -> None:
    assert Setback.read(setback.text) == setback


def test_a_resumed_order_knows_why_it_was_placed() -> None:
    request = make_request()
    first = ask(request, None, staged=staged(request))
    assert isinstance(first, Resume)
    assert first.reason == "SecretMissing"
    due = ask(request, make_secret(request, timedelta(days=80)), staged=staged(request, revision=2))
    assert isinstance(due, Resume)
    assert due.reason == "Renewal"


def test_a_permanent_failure_holds_until_spec_or_issuer_change() -> None:
    request = make_request()
    assert ask(request, None, failure=failure()) == Hold(Reason.REJECTED, "no", needs_user=True)
    assert isinstance(ask(replace(request, generation=2), None, failure=failure()), Issue)
    assert isinstance(ask(request, None, replace(READY, version="2"), failure=failure()), Issue)
    assert isinstance(ask(replace(request, wishes=Wishes(renew="now")), None, failure=failure()), Issue)


def test_a_passing_failure_holds_until_it_is_time() -> None:
    soon = NOW + timedelta(seconds=5)
    held = ask(make_request(), None, failure=failure(retry_at=soon, needs_user=False))
    assert held == Hold(Reason.REJECTED, "no", needs_user=False, until=soon)
    assert isinstance(ask(make_request(), None, failure=failure(retry_at=NOW)), Issue)


def test_what_failed_before_an_issuer_was_asked_holds_whatever_is_to_be_done() -> None:
    soon = NOW + timedelta(seconds=5)
    missing = failure(issuer=None, version="", retry_at=soon)
    held = Hold(Reason.REJECTED, "no", needs_user=True, until=soon)
    request, revoking = make_request(), replace(READY, revokes=True)
    secret = make_secret(request)
    damaged = replace(secret, intact_data=frozenset({"tls.crt"}))
    assert ask(request, None, failure=missing) == held
    assert ask(request, None, failure=missing, staged=staged(request)) == held
    assert ask(request, damaged, failure=missing) == held
    assert ask(request, replace(secret, debts=OWED), revoking, failure=missing) == held
    assert ask(request, secret, failure=missing, staged=staged(request)) == Discard()


@pytest.mark.parametrize("issuer", [None, replace(READY, ready=False)])
def test_while_it_cannot_be_renewed_its_expiry_is_waited_for(issuer: IssuerState | None) -> None:
    request = make_request()
    secret = make_secret(request, timedelta(days=85))
    held = ask(request, secret, issuer)
    assert isinstance(held, Hold)
    assert held.until == NOW + timedelta(days=5)
    refused = ask(request, secret, failure=failure())
    assert isinstance(refused, Hold)
    assert refused.until == NOW + timedelta(days=5)
    retried = ask(request, secret, failure=failure(retry_at=NOW + timedelta(minutes=1)))
    assert isinstance(retried, Hold)
    assert retried.until == NOW + timedelta(minutes=1)


def test_a_failure_does_not_hide_that_the_certificate_is_in_order() -> None:
    request = make_request()
    assert isinstance(ask(request, make_secret(request), failure=failure()), Keep)


def test_an_unreadable_spec_and_a_deleted_request_are_not_issued() -> None:
    assert isinstance(ask(make_request(duration="soon"), None), Hold)
    assert ask(replace(make_request(), being_deleted=True), None) == Keep(until=None)


@pytest.mark.parametrize(
    ("spec", "days"),
    [({}, 60), ({"renewBefore": "720h"}, 60), ({"renewBefore": "24h"}, 89), ({"renewBeforePercentage": 50}, 45)],
)
def test_renewal_is_at_the_asked_time_or_up_to_a_tenth_of_the_rest_earlier(spec: dict[str, Any], days: int) -> None:
    request = make_request(**spec)
    record = make_secret(request).record
    assert record is not None
    latest = NOW + timedelta(days=days)
    due = renewal_time(request, record)
    assert latest - timedelta(days=(90 - days) / 10, seconds=1) <= due <= latest


def test_a_ca_that_grants_less_than_renew_before_makes_no_loop() -> None:
    request = make_request(renewBefore="720h")
    record = make_secret(request).record
    assert record is not None
    short = replace(record, not_after=format_time(NOW + timedelta(minutes=5)))
    assert NOW + timedelta(minutes=2) <= renewal_time(request, short) <= NOW + timedelta(minutes=2.5)
    assert "when half of its life is left" in renewal_note(request, short)


@pytest.mark.parametrize(("days", "renewed_after"), [(90, 60), (45, 30), (10, 20 / 3), (9.9, 4.95), (6, 3), (1, 0.5)])
def test_what_is_valid_for_less_than_ten_days_is_renewed_at_half_of_it(days: float, renewed_after: float) -> None:
    request = make_request()
    record = make_secret(request).record
    assert record is not None
    granted = replace(record, not_after=format_time(NOW + timedelta(days=days)))
    latest = NOW + timedelta(days=renewed_after)
    assert latest - timedelta(days=days / 20) <= renewal_time(request, granted) <= latest


def test_a_ca_that_grants_hardly_more_than_renew_before_makes_no_loop() -> None:
    request = make_request(renewBefore="720h")
    record = make_secret(request).record
    assert record is not None
    tight = replace(record, not_after=format_time(NOW + timedelta(hours=721)))
    assert renewal_time(request, tight) >= NOW + timedelta(hours=72)  # a tenth of its life
    assert "shorten renewBefore" in renewal_note(request, tight)


@pytest.mark.parametrize(
    ("first", "last", "due"),
    [(20, 21, 20), (80, 80.5, 80), (89, 90, 81), (200, 201, 81), (-9000, -8999, 0), (20, 2_000_000, 81)],
    ids=["early", "late", "when it ends", "when it has ended", "long ago", "some time"],
)
def test_whatever_a_ca_suggests_a_tenth_of_the_life_is_left(first: float, last: float, due: float) -> None:
    """Else it would serve nobody any more before another one is there."""
    request = make_request()
    record = make_secret(request).record
    assert record is not None
    window = Window(*(format_time(NOW + timedelta(days=days)) for days in (first, last)))
    suggested = renewal_time(request, replace(record, window=window))
    assert timedelta(0) <= suggested - (NOW + timedelta(days=due)) <= timedelta(days=1)


def staged(request: CertificateRequest, **changes: Any) -> Staged:
    return replace(
        Staged(
            namespace="n",
            name="www-order",
            uid="o",
            resource_version="1",
            created=format_time(NOW),
            owner_uid=request.uid,
            issuance_hash=request.issuance_hash,
            revision=1,
            issuer="Issuer/ca",
            csr="C",
            handle="42",
        ),
        **changes,
    )


def test_an_order_under_way_is_gone_on_with_and_none_is_placed_beside_it() -> None:
    request = make_request()
    assert ask(request, None, staged=staged(request)) == Resume(1, CA)
    assert ask(request, None, staged=staged(request, handle="")) == Resume(1, CA)


def test_a_pending_order_is_asked_for_in_time_or_when_a_person_brings_something() -> None:
    request = make_request()
    waiting = Waiting("o", "approval", poll_at=NOW + timedelta(minutes=1), imported="", remind_at=NOW)
    held = ask(request, None, staged=staged(request), waiting=waiting)
    assert held == Hold(Reason.ACTION_REQUIRED, "approval", needs_user=False, until=waiting.poll_at)
    by_the_ca = ask(request, None, staged=staged(request), waiting=replace(waiting, remind_at=None))
    assert by_the_ca == Hold(Reason.PENDING, "approval", needs_user=False, until=waiting.poll_at)
    brought = replace(request, wishes=Wishes(imported="PEM"))
    assert isinstance(ask(brought, None, staged=staged(request), waiting=waiting), Resume)
    assert isinstance(ask(request, None, staged=staged(request), waiting=replace(waiting, poll_at=NOW)), Resume)
    assert isinstance(ask(request, None, staged=staged(request), waiting=replace(waiting, uid="older")), Resume)


def test_an_order_that_is_stored_or_no_longer_wanted_is_discarded() -> None:
    request = make_request()
    assert ask(request, make_secret(request), staged=staged(request)) == Discard()
    assert ask(request, None, staged=staged(request, issuance_hash="older spec")) == Discard()
    assert ask(request, None, staged=staged(request, issuer="Issuer/other")) == Discard()


def test_the_first_issuer_that_can_is_asked() -> None:
    request = make_request(issuerRefs=[{"name": "dead"}, {"name": "ca"}])
    dead = ObjectKey(Kind.ISSUER, "n", "dead")
    both = {dead: replace(READY, ready=False, message="down"), CA: READY}
    assert ask(request, None, issuers=both) == Issue(Reason.SECRET_MISSING, 1, CA)
    assert ask(request, None, issuers={dead: READY, CA: READY}) == Issue(Reason.SECRET_MISSING, 1, dead)
    failed = {dead: failure(issuer=dead)}
    assert ask(request, None, issuers={dead: READY, CA: READY}, failures=failed) == Issue(Reason.SECRET_MISSING, 1, CA)
    nobody = ask(request, None, issuers={dead: both[dead]})
    assert isinstance(nobody, Hold)
    assert nobody.message == f"Issuer n/dead is not ready: down; spec.issuerRefs[1].name: {CA} {MISSING}"
    refused = {key: failure(issuer=key) for key in (dead, CA)}
    refusing = ask(request, None, issuers={dead: READY, CA: READY}, failures=refused)
    assert refusing == Hold(Reason.REJECTED, "Issuer n/dead: no; Issuer n/ca: no", needs_user=True)
    refused[dead] = failure(issuer=dead, message="Issuer n/dead does not allow it", names_issuer=True)
    refused[CA] = failure(message="better than Issuer n/ca2")
    refusing = ask(request, None, issuers={dead: READY, CA: READY}, failures=refused)
    words = "Issuer n/dead does not allow it; Issuer n/ca: better than Issuer n/ca2"
    assert refusing == Hold(Reason.REJECTED, words, needs_user=True)


def test_who_signed_signs_on_until_another_certificate_is_due() -> None:
    """The first one has come back: that is no reason for another certificate."""
    request = make_request(issuerRefs=[{"name": "b"}, {"name": "ca"}])
    issuers = {B: replace(READY, fingerprint="B"), CA: READY}
    assert isinstance(ask(request, make_secret(request), issuers=issuers), Keep)
    assert ask(request, make_secret(request, timedelta(days=70)), issuers=issuers) == Issue(Reason.RENEWAL, 2, B)


def test_an_order_that_gets_nowhere_is_left_only_if_another_issuer_can_be_asked() -> None:
    request = make_request(issuerRefs=[{"name": "ca"}, {"name": "b"}])
    order, other = staged(request), replace(READY, fingerprint="B")
    gone, refused = {B: other}, failure()
    assert ask(request, None, issuers=gone, staged=order) == Discard()
    assert ask(request, None, issuers={B: other, CA: READY}, failure=refused, staged=order) == Discard()
    for rest in ({}, {B: replace(other, ready=False, message="down")}):
        assert isinstance(ask(request, None, issuers=rest, staged=order), Hold)
        assert isinstance(ask(request, None, issuers={CA: READY, **rest}, failure=refused, staged=order), Hold)
    # What passes is waited for: the order may have cost something.
    unready = {B: other, CA: replace(READY, ready=False, message="down")}
    assert isinstance(ask(request, None, issuers=unready, staged=order), Hold)
    soon = failure(retry_at=NOW + timedelta(minutes=1))
    passing = {CA: replace(soon, needs_user=False)}
    assert isinstance(ask(request, None, issuers={B: other, CA: READY}, failures=passing, staged=order), Hold)


def test_an_order_that_came_to_nothing_is_given_up_when_another_one_is_asked_for() -> None:
    request, asked = make_request(), replace(make_request(), wishes=Wishes(renew="now"))
    assert isinstance(ask(request, None, failure=failure(), staged=staged(request)), Hold)
    assert ask(asked, None, failure=failure(), staged=staged(asked)) == Discard()
    assert isinstance(ask(asked, None, failure=failure()), Issue)
    # While it may still come to something, there is nothing to be asked for.
    assert ask(asked, None, staged=staged(asked)) == Resume(1, CA)
    passing = failure(retry_at=NOW + timedelta(minutes=1), needs_user=False)
    assert ask(asked, None, failure=passing, staged=staged(asked)) == Resume(1, CA)


def test_an_order_under_way_is_held_up_by_what_would_not_let_it_be_placed_today() -> None:
    request = make_request()
    order = staged(request)
    policy = Policy(rules=(Rule("web", dns_names=AllowedNames(suffixes=("example.org",))),))
    denied = ask(request, None, replace(READY, policy=policy), staged=order)
    assert isinstance(denied, Hold)
    assert denied.reason == "PolicyDenied"
    unapproved = ask(request, None, replace(READY, needs_approval=True), staged=order)
    assert isinstance(unapproved, Hold)
    assert unapproved.reason == "ApprovalPending"
    assert ask(approved(request), None, replace(READY, needs_approval=True), staged=order) == Resume(1, CA)


def test_a_policy_that_looks_at_labels_is_asked_again_after_a_while() -> None:
    selector = (Requirement("tier", "In", ("web",)),)
    policy = Policy(Default.DENY, (Rule(namespaces=Namespaces(selector=selector)),))
    denied = ask(make_request(), None, replace(READY, policy=policy), labels={})
    assert isinstance(denied, Hold)
    assert denied.until == NOW + timedelta(seconds=30)
    assert isinstance(ask(make_request(), None, replace(READY, policy=policy), labels={"tier": "web"}), Issue)
    by_name = ask(make_request(), None, replace(READY, policy=Policy(Default.DENY)))
    assert isinstance(by_name, Hold)
    assert by_name.until is None


def test_what_a_policy_denies_is_not_asked_for() -> None:
    policy = Policy(rules=(Rule("web", dns_names=AllowedNames(suffixes=("example.org",))),))
    action = ask(make_request(), None, replace(READY, policy=policy))
    assert isinstance(action, Hold)
    assert action.reason == "PolicyDenied"
    assert 'rule web: dnsNames: "www.example.com" is not allowed' in action.message


def approved(request: CertificateRequest, kind: str = "Approved", generation: int = 1) -> CertificateRequest:
    condition = Condition(kind, "True", "ByHand", "because", observed_generation=generation)
    return replace(request, status=replace(request.status, conditions=(condition,)))


def test_what_needs_approval_waits_for_it_and_it_holds_for_one_spec_only() -> None:
    request, issuer = make_request(), replace(READY, needs_approval=True)
    pending = ask(request, None, issuer)
    assert isinstance(pending, Hold)
    assert "`kubectl csr approve www -n n --generation 1`" in pending.message
    assert isinstance(ask(approved(request), None, issuer), Issue)
    assert isinstance(ask(approved(request, generation=0), None, issuer), Hold)
    denied = ask(approved(request, "Denied"), None, issuer)
    assert isinstance(denied, Hold)
    assert denied.needs_user


def test_a_wish_renews_once() -> None:
    request = replace(make_request(), wishes=Wishes(renew="2026-06-01"))
    secret = make_secret(request)
    assert ask(request, secret) == Issue(Reason.RENEWAL_REQUESTED, 2, CA)
    assert secret.record is not None
    renewed = replace(secret, record=replace(secret.record, renew="2026-06-01"))
    assert isinstance(ask(request, renewed), Keep)


def test_a_wish_to_revoke_replaces_that_certificate_and_owes_its_revocation() -> None:
    request = replace(make_request(), wishes=Wishes(revoke="1"))
    assert ask(request, make_secret(request), REVOKES) == Guard()
    assert ask(guarded(request), make_secret(request), REVOKES) == Issue(Reason.REVOKED, 2, CA, revoke_old=True)
    assert ask(request, make_secret(request), READY) == Issue(Reason.REVOKED, 2, CA, revoke_old=False)
    assert isinstance(ask(replace(request, wishes=Wishes(revoke="2")), make_secret(request), REVOKES), Keep)


def test_a_reason_to_revoke_that_is_none_is_told_and_keeps_no_renewal_away() -> None:
    request = replace(make_request(), wishes=Wishes(revoke="1", revoke_because=None))
    told = ask(request, make_secret(request), REVOKES)
    assert isinstance(told, Hold)
    assert (told.reason, told.needs_user) == ("RevocationPending", True)
    assert "csr-operator.dev/revoke is not a serial number and a reason" in told.message
    assert told.until is not None
    due = ask(request, make_secret(request, age=timedelta(days=70)), REVOKES)
    assert isinstance(due, Issue)
    assert due.reason == "Renewal"
    other = replace(request, wishes=Wishes(revoke="2", revoke_because=None))
    assert isinstance(ask(other, make_secret(request), REVOKES), Keep)


@pytest.mark.parametrize("value", ["true", "yes please", "0x1"])
def test_what_is_no_serial_number_is_told_and_keeps_no_renewal_away(value: str) -> None:
    request = make_request(annotations={"csr-operator.dev/revoke": value})
    told = ask(request, make_secret(request), REVOKES)
    assert isinstance(told, Hold)
    assert (told.reason, told.needs_user) == ("RevocationPending", True)
    assert told.message.startswith("the annotation csr-operator.dev/revoke is not a serial number: give that of")
    assert "which is 1 now" in told.message
    due = ask(request, make_secret(request, age=timedelta(days=70)), REVOKES)
    assert isinstance(due, Issue)


DAY = timedelta(days=1)
OWED = (DebtSummary("Issuer/ca", format_time(NOW + DAY)),)
B = ObjectKey(Kind.ISSUER, "n", "b")
REVOKES = replace(READY, revokes=True)
GIVEN_UP = Wishes(abandon_revocation=True)


def guarded(request: CertificateRequest, **changes: Any) -> CertificateRequest:
    return replace(request, finalizers=(REVOCATION_FINALIZER,), **changes)


def test_what_is_owed_is_revoked_and_can_be_given_up() -> None:
    request = guarded(make_request())
    secret = make_secret(request, debts=OWED)
    assert ask(request, secret, REVOKES) == Revoke(CA)
    gone = ask(request, secret, None)
    assert isinstance(gone, Hold)
    assert (gone.reason, gone.needs_user) == ("RevocationPending", True)
    assert "Issuer n/ca does not exist: fix it, or abandon the revocation with the annotation" in gone.message
    assert ask(replace(request, wishes=GIVEN_UP), secret, None) == Forget()
    assert ask(request, secret, replace(READY, revokes=False)) == Forget()
    assert ask(request, make_secret(request, debts=(DebtSummary("Issuer/ca", format_time(NOW)),)), None) == Forget()
    assert ask(request, make_secret(request), REVOKES) == Release()


def test_what_is_owed_holds_up_no_renewal() -> None:
    request = guarded(make_request())
    due = make_secret(request, timedelta(days=70), debts=(DebtSummary("Issuer/gone", format_time(NOW + DAY)),))
    assert ask(request, due, REVOKES) == Issue(Reason.RENEWAL, 2, CA)
    edited = replace(due, intact_data=frozenset())
    assert isinstance(ask(request, edited, REVOKES), Restore)
    held = ask(request, due, failure=failure(retry_at=NOW + DAY, needs_user=False))
    assert isinstance(held, Hold)
    assert held.reason == "Rejected"
    fresh = ask(request, replace(due, record=make_secret(request).record), REVOKES)
    assert isinstance(fresh, Hold)
    assert fresh.reason == "RevocationPending"
    assert fresh.until == NOW + timedelta(seconds=30)


def test_who_issued_has_to_revoke_and_not_who_is_asked_now() -> None:
    request = guarded(make_request(issuerRef={"name": "b"}, revocation={"onRotation": True}))
    issuers = {CA: REVOKES, B: replace(READY, fingerprint="B")}
    secret = make_secret(request, debts=OWED)
    assert secret.record is not None
    assert ask(request, secret, issuers=issuers) == Revoke(CA)
    old = replace(secret, debts=(), record=replace(secret.record, issuance_hash="other"))
    assert ask(request, old, issuers=issuers) == Issue(Reason.SPEC_CHANGED, 2, B, revoke_old=True)
    assert ask(request, old, issuers={B: issuers[B]}) == Issue(Reason.SPEC_CHANGED, 2, B, revoke_old=True)
    cannot = {**issuers, CA: READY}
    assert ask(request, old, issuers=cannot) == Issue(Reason.SPEC_CHANGED, 2, B, revoke_old=False)


def test_a_revocation_that_failed_is_tried_again_and_holds_up_no_issuance() -> None:
    request = guarded(make_request())
    secret = make_secret(request, debts=OWED)
    soon = NOW + timedelta(seconds=5)
    pending = ask(request, secret, REVOKES, unrevoked={CA: failure(retry_at=soon, needs_user=False)})
    assert isinstance(pending, Hold)
    assert (pending.reason, pending.until) == ("RevocationPending", soon)
    assert ask(request, secret, REVOKES, unrevoked={CA: failure(retry_at=NOW)}) == Revoke(CA)
    due = make_secret(request, timedelta(days=70), debts=OWED)
    assert ask(request, due, REVOKES, unrevoked={CA: failure()}) == Issue(Reason.RENEWAL, 2, CA)


@pytest.mark.parametrize("revocation", [{"onDelete": True}, {"onRotation": True}])
def test_a_finalizer_is_there_while_a_revocation_may_be_owed(revocation: dict[str, bool]) -> None:
    request = make_request(revocation=revocation)
    on_delete = "onDelete" in revocation
    due = make_secret(request, timedelta(days=70))
    assert ask(request, due, REVOKES) == Guard()
    assert isinstance(ask(request, due, READY), Issue)  # it cannot revoke
    assert ask(guarded(request), due, REVOKES) == Issue(Reason.RENEWAL, 2, CA, revoke_old=not on_delete)
    assert isinstance(ask(guarded(request), due, failure=failure()), Hold)
    new = ask(request, None, REVOKES)
    assert new == Guard() if on_delete else isinstance(new, Issue)
    # It was asked for after the certificate had been issued.
    assert (ask(request, make_secret(request), REVOKES) == Guard()) is on_delete
    assert (ask(guarded(request), make_secret(request), REVOKES) == Release()) is not on_delete
    assert isinstance(ask(request, make_secret(request), READY), Keep)
    assert isinstance(ask(request, make_secret(request), None), Keep)


def test_a_request_goes_when_nothing_is_owed_any_more() -> None:
    request = guarded(make_request(revocation={"onDelete": True}), being_deleted=True)
    secret = make_secret(request)
    assert ask(request, secret, REVOKES) == Revoke(CA, current=True)
    assert ask(request, replace(secret, debts=OWED), REVOKES) == Revoke(CA)
    assert ask(request, secret, READY) == Release()
    assert ask(request, None, REVOKES) == Release()
    assert ask(request, make_secret(request, owner_uid="other"), REVOKES) == Release()
    assert ask(request, make_secret(request, timedelta(days=91)), REVOKES) == Release()
    assert ask(replace(request, finalizers=()), secret, REVOKES) == Keep(until=None)
    pending = ask(request, secret, None)
    assert isinstance(pending, Hold)
    assert pending.reason == "RevocationPending"
    assert ask(replace(request, wishes=GIVEN_UP), secret, None) == Release()
    rotation_only = guarded(make_request(revocation={"onRotation": True}), being_deleted=True)
    assert ask(rotation_only, secret, REVOKES) == Release()
    assert ask(rotation_only, replace(secret, debts=OWED), REVOKES) == Revoke(CA)


def test_what_could_not_be_revoked_is_told_of() -> None:
    request = guarded(make_request(revocation={"onDelete": True}), being_deleted=True)
    status = replace(request.status, serial_number="0AB1", not_after=format_time(NOW + DAY))
    request = replace(request, status=status)
    lost = ask(request, None, REVOKES)
    assert isinstance(lost, Release)
    assert lost.unrevoked.startswith("the certificate 0AB1 was not revoked: Secret www-tls is gone")
    expired = replace(request, status=replace(request.status, not_after=format_time(NOW)))
    assert ask(expired, None, REVOKES) == Release()
    assert ask(replace(request, wishes=GIVEN_UP), None, REVOKES) == Release()
    leaving = ask(request, make_secret(request), None, leaving=True)
    assert isinstance(leaving, Release)
    assert leaving.unrevoked.startswith("the certificate 1 was not revoked: its namespace is being deleted, and")
    assert ask(request, make_secret(request), REVOKES, leaving=True) == Revoke(CA, current=True)


def test_a_secret_that_is_deleted_is_let_go_and_made_again() -> None:
    request = guarded(make_request(revocation={"onDelete": True}))
    going = make_secret(request, guarded=True, deleted=True)
    assert ask(request, going, REVOKES) == LetGo()
    assert ask(request, replace(going, debts=OWED), REVOKES) == Revoke(CA)
    assert ask(request, replace(going, debts=OWED), None) == LetGo()
    assert ask(replace(request, being_deleted=True), going, REVOKES) == Revoke(CA, current=True)
    assert isinstance(ask(request, replace(going, guarded=False), REVOKES), Keep)


def test_the_finalizer_of_a_secret_is_there_as_long_as_that_of_its_request() -> None:
    request = make_request(revocation={"onDelete": True})
    bare, held = make_secret(request), make_secret(request, guarded=True)
    assert ask(request, bare, REVOKES) == Guard()
    assert ask(guarded(request), bare, REVOKES) == Guard()
    assert isinstance(ask(guarded(request), replace(bare, deleted=True), REVOKES), Keep)
    assert isinstance(ask(guarded(request), held, REVOKES), Keep)
    assert ask(make_request(), held, REVOKES) == LetGo()
    # One that cannot revoke: nothing is written for it.
    assert ask(guarded(request), bare, READY) == Release()


def test_a_certificate_that_begins_later_is_waited_for_and_one_that_begins_much_later_replaced() -> None:
    request = make_request()
    soon = make_secret(request, -timedelta(minutes=2))
    assert ask(request, soon) == Keep(until=NOW + timedelta(minutes=2))
    record = soon.record
    assert record is not None
    assert not is_current(request, record, NOW)
    assert is_current(request, record, NOW + timedelta(minutes=2))
    late = make_secret(request, -timedelta(days=10))
    assert ask(request, late) == Issue(Reason.CLOCK_SET_BACK, 2, CA)
    # Another one would have to be paid for: it is told of.
    assert isinstance(ask(request, late, replace(READY, costs=True)), Keep)
    held = ask(request, soon, replace(READY, ready=False), failure=failure(issuer=None, version=""))
    assert isinstance(held, Keep)
    wanted = replace(request, wishes=Wishes(renew="now"))
    waits = ask(wanted, soon, replace(READY, ready=False))
    assert isinstance(waits, Hold)
    assert waits.until == NOW + timedelta(minutes=2)


@pytest.mark.parametrize("back", [timedelta(seconds=1), timedelta(days=1), timedelta(days=4000)])
def test_nothing_waits_for_a_clock_that_was_put_back(back: timedelta) -> None:
    request, then = make_request(), NOW + back
    failed = failure(retry_at=then + timedelta(minutes=1), needs_user=False, since=then)
    assert isinstance(ask(request, None, failure=failed), Issue)
    waiting = Waiting("o", "approval", then + timedelta(minutes=1), imported="", remind_at=None, since=then)
    assert ask(request, None, staged=staged(request), waiting=waiting) == Resume(1, CA)
    # Of what outlives a restart, no more is known than that no pause is much longer than a day.
    again = staged(request, handle="", lapses=1, setback=Setback(format_time(then + timedelta(minutes=1))))
    assert isinstance(ask(request, None, staged=again), Resume if back > 2 * DAY else Hold)


def test_a_request_whose_issuers_are_all_gone_says_so_before_it_matters() -> None:
    request = make_request(issuerRefs=[{"name": "ca"}, {"name": "b"}])
    secret = make_secret(request)
    kept = ask(request, secret, issuers={})
    assert isinstance(kept, Keep)
    cannot = "does not exist, so the certificate cannot be renewed: create it, or correct the name"
    assert kept.note == f"spec.issuerRefs[0].name: Issuer n/ca {cannot}"
    kept = ask(request, secret, issuers={B: replace(READY, ready=False)})
    assert isinstance(kept, Keep)
    assert kept.note == ""


OUTAGE = failure(reason=Reason.ISSUER_UNAVAILABLE, retry_at=NOW + DAY, needs_user=False)
TWO = {CA: READY, B: READY}


def begun(ago: timedelta) -> str:
    return format_time(NOW - ago)


def test_where_nothing_was_ordered_for_sure_the_next_issuer_is_asked_at_once() -> None:
    request = make_request(issuerRefs=[{"name": "ca"}, {"name": "b"}])
    order = staged(request, handle="")
    unplaced = {CA: replace(OUTAGE, unplaced=True)}
    assert ask(request, None, issuers=TWO, failures=unplaced, staged=order) == Discard()
    assert ask(request, None, issuers=TWO, failures=unplaced) == Issue(Reason.SECRET_MISSING, 1, B)
    # An order that is there is not given up for that.
    placed = ask(request, None, issuers=TWO, failures=unplaced, staged=staged(request))
    assert isinstance(placed, Hold)
    # Nobody else can be asked.
    alone = ask(request, None, issuers={CA: READY}, failures=unplaced, staged=order)
    assert isinstance(alone, Hold)


@pytest.mark.parametrize("handle", ["", "42"])
@pytest.mark.parametrize("issuer", ["unavailable", "not ready"])
def test_an_order_waits_for_its_issuer_for_ten_minutes_where_nothing_serves(handle: str, issuer: str) -> None:
    request = make_request(issuerRefs=[{"name": "ca"}, {"name": "b"}])
    world: dict[str, Any] = {"issuers": TWO, "failures": {CA: OUTAGE}}
    if issuer == "not ready":
        world = {"issuers": {**TWO, CA: replace(READY, ready=False)}}
    young = staged(request, handle=handle, created=begun(timedelta(minutes=9)))
    waits = ask(request, None, staged=young, **world)
    assert isinstance(waits, Hold)
    assert waits.until == NOW + timedelta(minutes=1)
    old = staged(request, handle=handle, created=begun(timedelta(minutes=10)))
    assert ask(request, None, staged=old, **world) == Discard()
    world["issuers"] = {CA: world["issuers"][CA]}
    assert isinstance(ask(request, None, staged=old, **world), Hold)


def test_an_order_waits_for_its_issuer_until_half_of_what_was_left_is_gone() -> None:
    request = make_request(issuerRefs=[{"name": "ca"}, {"name": "b"}])
    # 30 days were left when it was ordered.
    order = staged(request, revision=2, created=begun(timedelta(days=14)))
    secret = make_secret(request, timedelta(days=74))
    assert isinstance(ask(request, secret, issuers=TWO, failures={CA: OUTAGE}, staged=order), Hold)
    order = staged(request, revision=2, created=begun(timedelta(days=15)))
    secret = make_secret(request, timedelta(days=75))
    assert ask(request, secret, issuers=TWO, failures={CA: OUTAGE}, staged=order) == Discard()


@pytest.mark.parametrize(
    ("spec", "rotation"),
    [
        ({}, "Always"),
        ({"isCA": True}, "Never"),
        ({"isCA": True, "privateKey": {"algorithm": "RSA"}}, "Never"),
        ({"isCA": True, "privateKey": {"rotationPolicy": "Always"}}, "Always"),
        ({"privateKey": {"rotationPolicy": "Never"}}, "Never"),
    ],
)
def test_a_ca_keeps_its_key_unless_told_otherwise(spec: dict[str, Any], rotation: str) -> None:
    assert make_request(**spec).spec.private_key.rotation_policy == rotation


def test_a_retained_secret_is_taken_over_by_a_request_of_that_name_only() -> None:
    request = make_request(deletionPolicy="Retain")
    left = make_secret(request, owner_uid="", owner="", retained_for="www")
    assert isinstance(ask(request, left), Keep)
    assert isinstance(ask(make_request(), left), Restore)
    foreign = ask(request, replace(left, retained_for="other"))
    assert isinstance(foreign, Hold)
    assert foreign.reason == "SecretNotOwned"


def test_nobody_gains_by_writing_status() -> None:
    request = make_request()
    forged = replace(
        request,
        status=replace(
            request.status,
            revision=999,
            not_after="2099-01-01T00:00:00Z",
            renewal_time="2099-01-01T00:00:00Z",
            serial_number="02",
            observed_generation=7,
        ),
    )
    for age in (timedelta(0), timedelta(days=70)):
        assert ask(forged, make_secret(request, age)) == ask(request, make_secret(request, age))


requests = st.builds(
    make_request,
    dnsNames=st.sampled_from([["www.example.com"], ["a.example.com", "b.example.com"]]),
    renewBeforePercentage=st.sampled_from([None, 1, 50, 99]),
    secretTemplate=st.sampled_from([{}, {"labels": {"a": "b"}}]),
    revocation=st.sampled_from([{}, {"onDelete": True}, {"onRotation": True}]),
)
issuers = st.none() | st.builds(
    IssuerState,
    ready=st.booleans(),
    message=st.just("because"),
    version=st.sampled_from("12"),
    fingerprint=st.sampled_from(["", "CA", "NEW"]),
    rotated_at=st.sampled_from([NOW - timedelta(days=1), NOW]),
    costs=st.booleans(),
    revokes=st.booleans(),
    needs_approval=st.booleans(),
)
secrets = st.none() | st.builds(
    make_secret,
    st.builds(make_request),
    st.timedeltas(timedelta(0), timedelta(days=200)),
    intact_data=st.sets(st.sampled_from(sorted(DATA_KEYS))).map(frozenset) | st.just(DATA_KEYS),
    owner_uid=st.sampled_from([UID, UID, UID, "other"]),
    debts=st.sampled_from([(), OWED, (DebtSummary("Issuer/gone", OWED[0].not_after),)]),
    beyond_repair=st.booleans(),
    guarded=st.booleans(),
    deleted=st.booleans(),
    record=st.none() | st.just(make_secret(make_request()).record),
)
failures = st.none() | st.builds(
    Failure,
    reason=st.just("Failed"),
    message=st.just("because"),
    issuer=st.sampled_from([None, CA]),
    generation=st.sampled_from([1, 2]),
    wishes=st.just(Wishes()),
    version=st.sampled_from(["", "1", "2"]),
    retry_at=st.none() | st.just(NOW + timedelta(minutes=1)) | st.just(NOW),
    needs_user=st.booleans(),
)


orders = st.none() | st.builds(
    staged,
    st.builds(make_request),
    issuance_hash=st.sampled_from([make_request().issuance_hash, "older spec"]),
    revision=st.integers(1, 2),
    handle=st.sampled_from(["", "42"]),
)


@settings(max_examples=300)
@given(requests, issuers, secrets, failures, orders, st.booleans(), st.booleans())
def test_from_any_state_applying_actions_comes_to_rest_and_orders_at_most_once(
    request: CertificateRequest,
    issuer: IssuerState | None,
    secret: SecretMeta | None,
    failed: Failure | None,
    order: Staged | None,
    repairable: bool,
    deleted: bool,
) -> None:
    placed = 0
    request = replace(request, being_deleted=deleted)
    for _ in range(10):
        action = ask(request, secret, issuer, failed, staged=order)
        fresh = make_secret(request, template_digest=request.spec.secret_template.digest())
        assert fresh.record is not None
        match action:
            case Hold():
                assert action.reason
                assert action.message
                return
            case Keep():
                assert action.until is None or action.until > NOW
                return
            case Guard() if request.is_guarded:
                assert secret is not None
                assert not secret.deleted
                secret = replace(secret, guarded=True)
            case Guard():
                request = replace(request, finalizers=(REVOCATION_FINALIZER,))
            case Release():
                request = replace(request, finalizers=())
                secret = replace(secret, guarded=False) if secret is not None else None
            case LetGo():
                assert secret is not None
                secret = None if secret.deleted else replace(secret, guarded=False)
            case Discard():
                order = None
            case Revoke():
                if action.current:
                    request = replace(request, finalizers=())
                else:
                    assert secret is not None
                    secret = replace(secret, debts=())
            case Forget():
                assert secret is not None
                secret = replace(secret, debts=())
            case Issue() if issuer is not None and issuer.costs:
                order = staged(request, revision=action.revision, handle="")
            case Issue() | Resume():
                placed += 1
                order = None
                fingerprint = issuer.fingerprint if issuer is not None else ""
                record = replace(fresh.record, revision=action.revision, issuer_fingerprint=fingerprint)
                debts, keys = secret.debts if secret is not None else (), request.spec.stored_keys(record)
                secret = replace(fresh, record=record, debts=debts, intact_data=keys, guarded=request.is_guarded)
            case Restore() if repairable:
                assert secret is not None
                assert not secret.deleted or not secret.guarded
                digest = request.spec.secret_template.digest()
                record = secret.record or fresh.record
                keys = request.spec.stored_keys(record)
                secret = replace(secret, intact_data=keys, record=record, template_digest=digest)
            case Restore():
                assert secret is not None
                secret = replace(secret, beyond_repair=True)
        assert placed <= 1
    raise AssertionError("it does not come to rest")
