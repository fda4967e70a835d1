"""`decide`, as a table of situations, and as a property: from anywhere it comes to rest, ordering nothing twice."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csr_operator.decide import (
    DATA_KEYS,
    Action,
    Failure,
    Hold,
    Issue,
    IssuerState,
    Keep,
    Restore,
    decide,
    renewal_time,
)
from csr_operator.model import CertificateRequest, Record, SecretMeta, SecretTemplate, format_time, parse_request

NOW = datetime(2026, 6, 1, tzinfo=UTC)
SPREAD = timedelta(minutes=5)
READY = IssuerState(ready=True, message="", version="1", fingerprint="CA", rotated_at=NOW - timedelta(days=1))
UID = "00000000-0000-0000-0000-000080000000"


def make_request(**spec: Any) -> CertificateRequest:
    return parse_request(
        {
            "metadata": {
                "namespace": "n",
                "name": "www",
                "uid": UID,
                "resourceVersion": "1",
                "generation": 1,
                "creationTimestamp": format_time(NOW),
            },
            "spec": {"secretName": "www-tls", "issuerRef": {"name": "ca"}, "dnsNames": ["www.example.com"], **spec},
        }
    )


def make_secret(request: CertificateRequest, age: timedelta = timedelta(0), **changes: Any) -> SecretMeta:
    """The Secret of `request`, with a certificate for 90 days that was issued `age` ago."""
    record = Record(
        issuance_hash=request.issuance_hash,
        revision=1,
        serial_number="01",
        not_before=format_time(NOW - age),
        not_after=format_time(NOW - age + timedelta(days=90)),
        sha256_fingerprint="F",
        issuer_fingerprint="CA",
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
    rival: str = "",
) -> Action:
    return decide(request, issuer, secret, failure, NOW, SPREAD, rival)


def test_a_new_request_is_issued() -> None:
    assert ask(make_request(), None) == Issue("SecretMissing", 1)


def test_what_is_in_order_is_left_alone_until_two_thirds_of_its_life() -> None:
    request = make_request()
    action = ask(request, make_secret(request))
    assert isinstance(action, Keep)
    assert action.until is not None
    assert NOW + timedelta(days=57) <= action.until <= NOW + timedelta(days=60)


@pytest.mark.parametrize("days", [61, 89, 91])
def test_what_is_due_or_expired_is_renewed(days: int) -> None:
    request = make_request()
    assert ask(request, make_secret(request, timedelta(days=days))) == Issue("Renewal", 2)


def test_a_changed_spec_is_issued_anew() -> None:
    secret = make_secret(make_request())
    assert ask(make_request(dnsNames=["other.example.com"]), secret) == Issue("SpecChanged", 2)


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


def test_another_template_is_a_restore() -> None:
    secret = make_secret(make_request())
    assert isinstance(ask(make_request(secretTemplate={"labels": {"a": "b"}}), secret), Restore)


def test_the_leaves_of_a_rotated_ca_are_reissued_spread_over_time() -> None:
    request = make_request()  # its uid lies in the middle of the spread
    secret = make_secret(request)
    just_rotated = replace(READY, fingerprint="NEW", rotated_at=NOW)
    assert ask(request, secret, just_rotated) == Keep(until=NOW + SPREAD / 2)
    assert ask(request, secret, replace(just_rotated, rotated_at=NOW - SPREAD)) == Issue("IssuerRotated", 2)


def test_an_issuer_that_is_not_ready_says_nothing_of_a_rotation() -> None:
    request = make_request()
    issuer = replace(READY, ready=False, fingerprint="")
    assert isinstance(ask(request, make_secret(request), issuer), Keep)


def test_a_secret_of_another_owner_is_left_alone() -> None:
    request = make_request()
    action = ask(request, make_secret(request, owner_uid="other", owner="CertificateRequest theirs"))
    assert isinstance(action, Hold)
    assert action.needs_user
    assert "belongs to CertificateRequest theirs" in action.message
    assert "spec.secretName" in action.message


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
    assert missing == Hold("IssuerNotFound", "Issuer n/ca does not exist: create it", needs_user=False)
    unready = ask(make_request(), None, replace(READY, ready=False, message="sealed"))
    assert unready == Hold("IssuerNotReady", "Issuer n/ca is not ready: sealed", needs_user=False)


def failure(**changes: Any) -> Failure:
    return replace(
        Failure("Rejected", "no", generation=1, issuer_version="1", retry_at=None, needs_user=True), **changes
    )


def test_a_permanent_failure_holds_until_spec_or_issuer_change() -> None:
    request = make_request()
    assert ask(request, None, failure=failure()) == Hold("Rejected", "no", needs_user=True)
    assert isinstance(ask(replace(request, generation=2), None, failure=failure()), Issue)
    assert isinstance(ask(request, None, replace(READY, version="2"), failure=failure()), Issue)


def test_a_passing_failure_holds_until_it_is_time() -> None:
    soon = NOW + timedelta(seconds=5)
    held = ask(make_request(), None, failure=failure(retry_at=soon, needs_user=False))
    assert held == Hold("Rejected", "no", needs_user=False, until=soon)
    assert isinstance(ask(make_request(), None, failure=failure(retry_at=NOW)), Issue)


@pytest.mark.parametrize("issuer", [None, replace(READY, ready=False)])
def test_while_it_cannot_be_renewed_its_expiry_is_waited_for(issuer: IssuerState | None) -> None:
    request = make_request()
    secret = make_secret(request, timedelta(days=70))
    held = ask(request, secret, issuer)
    assert isinstance(held, Hold)
    assert held.until == NOW + timedelta(days=20)
    refused = ask(request, secret, failure=failure())
    assert isinstance(refused, Hold)
    assert refused.until == NOW + timedelta(days=20)
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
    assert NOW + timedelta(minutes=3) <= renewal_time(request, short) < NOW + timedelta(minutes=5)


def test_a_ca_that_grants_hardly_more_than_renew_before_makes_no_loop() -> None:
    request = make_request(renewBefore="720h")
    record = make_secret(request).record
    assert record is not None
    tight = replace(record, not_after=format_time(NOW + timedelta(hours=721)))
    assert NOW + timedelta(minutes=54) <= renewal_time(request, tight) <= NOW + timedelta(hours=1)


requests = st.builds(
    make_request,
    dnsNames=st.sampled_from([["www.example.com"], ["a.example.com", "b.example.com"]]),
    renewBeforePercentage=st.sampled_from([None, 1, 50, 99]),
    secretTemplate=st.sampled_from([{}, {"labels": {"a": "b"}}]),
)
issuers = st.none() | st.builds(
    IssuerState,
    ready=st.booleans(),
    message=st.just("because"),
    version=st.sampled_from("12"),
    fingerprint=st.sampled_from(["", "CA", "NEW"]),
    rotated_at=st.sampled_from([NOW - timedelta(days=1), NOW]),
)
secrets = st.none() | st.builds(
    make_secret,
    st.builds(make_request),
    st.timedeltas(timedelta(0), timedelta(days=200)),
    intact_data=st.sets(st.sampled_from(sorted(DATA_KEYS))).map(frozenset) | st.just(DATA_KEYS),
    owner_uid=st.sampled_from([UID, UID, UID, "other"]),
    beyond_repair=st.booleans(),
    record=st.none() | st.just(make_secret(make_request()).record),
)
failures = st.none() | st.builds(
    Failure,
    reason=st.just("Failed"),
    message=st.just("because"),
    generation=st.sampled_from([1, 2]),
    issuer_version=st.sampled_from("12"),
    retry_at=st.none() | st.just(NOW + timedelta(minutes=1)) | st.just(NOW),
    needs_user=st.booleans(),
)


@given(requests, issuers, secrets, failures, st.booleans())
def test_from_any_state_applying_actions_comes_to_rest_and_orders_at_most_once(
    request: CertificateRequest,
    issuer: IssuerState | None,
    secret: SecretMeta | None,
    failed: Failure | None,
    repairable: bool,
) -> None:
    orders = 0
    for _ in range(4):
        action = ask(request, secret, issuer, failed)
        if isinstance(action, Hold):
            assert action.reason
            assert action.message
            return
        if isinstance(action, Keep):
            assert action.until is None or action.until > NOW
            return
        fresh = make_secret(request, template_digest=request.spec.secret_template.digest())
        assert fresh.record is not None
        if isinstance(action, Issue):
            orders += 1
            fingerprint = issuer.fingerprint if issuer is not None else ""
            record = replace(fresh.record, revision=action.revision, issuer_fingerprint=fingerprint)
            secret = replace(fresh, record=record)
        elif repairable and secret is not None:
            secret = replace(secret, intact_data=DATA_KEYS, record=secret.record or fresh.record)
            secret = replace(secret, template_digest=request.spec.secret_template.digest())
        else:
            assert secret is not None
            secret = replace(secret, beyond_repair=True)
        assert orders <= 1
    raise AssertionError("it does not come to rest")
