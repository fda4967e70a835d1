"""What the status says of what `decide` found: who has to wait for a certificate, and who has not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from csr_operator.api.keys import Kind, ObjectKey
from csr_operator.api.parse_issuer import parse_issuer
from csr_operator.api.parse_request import parse_request
from csr_operator.api.reasons import Reason
from csr_operator.api.request import CertificateRequest, Wishes
from csr_operator.api.secrets import Record, SecretMeta
from csr_operator.api.times import format_time
from csr_operator.decisions.actions import Hold, Keep, Restore
from csr_operator.decisions.decide import decide
from csr_operator.decisions.obstacles import hold_repair
from csr_operator.decisions.renewal import late_from, renewal_time
from csr_operator.decisions.status import issuer_conditions, request_status
from csr_operator.decisions.world import Failure, IssuerState, World

NOW = datetime(2026, 6, 1, tzinfo=UTC)
CA = ObjectKey(Kind.ISSUER, "n", "ca")
BY_ITSELF = Hold(Reason.ISSUER_UNAVAILABLE, "no answer", needs_user=False)
BY_SOMEBODY = Hold(Reason.POLICY_DENIED, "rule 1", needs_user=True)


def a_request(status: Any = None, **spec: Any) -> CertificateRequest:
    metadata: dict[str, Any] = {
        "namespace": "n",
        "name": "www",
        "uid": "00000000-0000-0000-0000-000080000000",
        "resourceVersion": "1",
    }
    metadata |= {"generation": 1, "creationTimestamp": format_time(NOW)}
    asked = {"secretName": "www-tls", "issuerRef": {"name": "ca"}, "dnsNames": ["www.example.com"]}
    return parse_request({"metadata": metadata, "spec": {**asked, **spec}, "status": status})


def its_secret(request: CertificateRequest, age: timedelta, life: timedelta = timedelta(days=90)) -> SecretMeta:
    """With a certificate that was issued `age` ago, and all else as the request asks."""
    record = Record(
        issuance_hash=request.issuance_hash,
        revision=1,
        serial_number="1",
        not_before=format_time(NOW - age),
        not_after=format_time(NOW - age + life),
        sha256_fingerprint="F",
        issuer_fingerprint="CA",
        issuer="Issuer/ca",
        renew="",
        csr="C",
        outputs=request.spec.outputs.digest(),
        stored=format_time(NOW - age),
    )
    return SecretMeta(
        namespace="n",
        name="www-tls",
        uid="s",
        resource_version="1",
        owner_uid=request.uid,
        owner="CertificateRequest www",
        intact_data=request.spec.data_keys,
        template_digest=request.spec.secret_template.digest(),
        record=record,
    )


def told(request: CertificateRequest, secret: SecretMeta | None, hold: Hold, at: datetime = NOW) -> dict[str, str]:
    """The conditions, each with its status."""
    conditions = request_status(request, secret, hold, at, "").conditions
    assert {c.reason for c in conditions if c.type != "Ready"} == {hold.reason}
    return {c.type: c.status for c in conditions}


@pytest.mark.parametrize("hold", [BY_ITSELF, BY_SOMEBODY])
def test_a_valid_certificate_whose_renewal_waits_is_ready_and_renewing(hold: Hold) -> None:
    request = a_request()
    secret = its_secret(request, timedelta(days=65))
    goes_on = "False" if hold.needs_user else "True"
    assert told(request, secret, hold) == {"Ready": "True", "Renewing": goes_on}
    ready, renewing = request_status(request, secret, hold, NOW, "").conditions
    assert ready.message == f"valid until {secret.record.not_after}; renewal: {hold.message}"  # type: ignore[union-attr]
    assert renewing.message == hold.message


@pytest.mark.parametrize(
    "changed",
    [
        {"dnsNames": ["other.example.com"]},
        {"secretTemplate": {"labels": {"team": "web"}}},
        {"additionalOutputFormats": [{"type": "DER"}]},
        {"deletionPolicy": "Retain"},
        {"privateKey": {"algorithm": "RSA"}},
    ],
)
@pytest.mark.parametrize("hold", [BY_ITSELF, BY_SOMEBODY])
def test_what_the_spec_asks_for_and_is_not_there_has_its_dependents_wait(changed: dict[str, Any], hold: Hold) -> None:
    secret = its_secret(a_request(), timedelta(days=65))
    conditions = told(a_request(**changed), secret, hold)
    del conditions["Ready"]
    assert conditions == {"Stalled" if hold.needs_user else "Reconciling": "True"}


@pytest.mark.parametrize(
    ("changed_by", "says"),
    [
        ("mirror (tls.crt)", "again and again by mirror (tls.crt): have that leave it alone"),
        ("", "by somebody: find out who, such as by `kubectl get secret www-tls -n n -o yaml --show-managed-fields`"),
    ],
)
def test_a_secret_that_is_fought_over_says_by_whom_and_serves_on(changed_by: str, says: str) -> None:
    request = a_request()
    whole = its_secret(request, timedelta(days=5))
    secret = replace(whole, intact_data=whole.intact_data - {"tls.crt"}, changed_by=changed_by)
    issuer = IssuerState(ready=True, message="", version="1", fingerprint="CA")
    assert isinstance(decide(request, World(NOW, timedelta(0), {CA: issuer}, secret)), Restore)
    hold = hold_repair(secret)
    assert hold.message.endswith(says)
    assert told(request, secret, hold) == {"Ready": "True", "Reconciling": "True"}


@pytest.mark.parametrize("lacks", ["tls.crt", "tls.key", "ca.crt"])
def test_a_damaged_secret_has_its_dependents_wait(lacks: str) -> None:
    request = a_request()
    whole = its_secret(request, timedelta(days=65))
    for secret in (
        replace(whole, intact_data=whole.intact_data - {lacks}),
        replace(whole, beyond_repair=True),
        replace(whole, record=None),
        None,
    ):
        assert told(request, secret, BY_ITSELF)["Reconciling"] == "True"


@pytest.mark.parametrize("hold", [BY_ITSELF, BY_SOMEBODY])
@pytest.mark.parametrize(
    ("spec", "life", "left"),
    [
        ({}, timedelta(days=90), timedelta(days=9)),
        ({"renewBefore": "1440h"}, timedelta(days=90), timedelta(days=9)),
        ({"duration": "1h"}, timedelta(hours=1), timedelta(minutes=6)),
        # Renewed within its last tenth, as its user wishes: that alone is nothing that anybody has to see to.
        ({"renewBefore": "24h"}, timedelta(days=90), timedelta(hours=12.6)),
        ({"renewBeforePercentage": 4}, timedelta(days=100), timedelta(days=2.1)),
    ],
)
def test_it_is_stalled_when_little_is_left(spec: dict[str, Any], life: timedelta, left: timedelta, hold: Hold) -> None:
    request = a_request(**spec)
    secret = its_secret(request, timedelta(0), life)
    assert secret.record is not None
    late = late_from(request, secret.record)
    assert late == NOW + life - left
    assert renewal_time(request, secret.record) < late
    just_before, then = told(request, secret, hold, late - timedelta(seconds=1)), told(request, secret, hold, late)
    assert then == {**just_before, "Stalled": "True"}
    assert "Stalled" not in just_before
    told_then = request_status(request, secret, hold, late, "").conditions[-1]
    assert told_then.message == f"expires at {secret.record.not_after}, and is not renewed: {hold.message}"


def test_once_it_has_expired_nothing_serves() -> None:
    request = a_request()
    secret = its_secret(request, timedelta(days=91))
    assert told(request, secret, BY_ITSELF) == {"Ready": "False", "Reconciling": "True"}
    assert request_status(request, secret, BY_SOMEBODY, NOW, "").conditions[0].reason == "Expired"


@pytest.mark.parametrize("needs_user", [False, True])
def test_a_revocation_that_waits_keeps_nobody_waiting_but_the_deletion(needs_user: bool) -> None:
    request = a_request()
    hold = Hold(Reason.REVOCATION_PENDING, "it is gone", needs_user)
    almost_over = its_secret(request, timedelta(days=89))
    assert told(request, almost_over, hold) == {"Ready": "True", "Renewing": "False" if needs_user else "True"}
    deleted = told(replace(request, being_deleted=True), almost_over, hold)
    assert deleted == {"Ready": "True", "Stalled" if needs_user else "Reconciling": "True"}


def test_what_is_in_order_says_nothing_but_ready() -> None:
    request = a_request()
    conditions = request_status(request, its_secret(request, timedelta(days=1)), Keep(None), NOW, "").conditions
    assert [(c.type, c.status) for c in conditions] == [("Ready", "True")]


def test_who_signed_is_told_where_several_may() -> None:
    request = a_request(issuerRef=None, issuerRefs=[{"name": "dead"}, {"name": "ca"}])
    (ready,) = request_status(request, its_secret(request, timedelta(days=1)), Keep(None), NOW, "").conditions
    assert ready.message.endswith("; signed by Issuer/ca")


def test_the_operator_looks_again_when_little_is_left_and_when_it_expires() -> None:
    request = a_request()
    refused = Failure(Reason.REJECTED, "no", CA, 1, Wishes(), "1", retry_at=None, needs_user=True)
    issuer = IssuerState(ready=True, message="", version="1", fingerprint="CA", rotated_at=NOW - timedelta(days=99))
    for age, left in ((65, 16), (80, 1), (81, 9), (85, 5)):  # at 81 it is late already
        world = World(NOW, timedelta(0), {CA: issuer}, its_secret(request, timedelta(days=age)), failures={CA: refused})
        hold = decide(request, world)
        assert isinstance(hold, Hold)
        assert hold.until == NOW + timedelta(days=left)


def test_a_status_that_says_only_that_nobody_looked_is_none() -> None:
    """As the definition fills it in for a new object."""
    assert a_request({"observedGeneration": -1}).status == a_request().status
    issuer = {"kind": "Issuer", "metadata": {"name": "ca", "namespace": "n", "uid": "u", "resourceVersion": "1"}}
    with_status = parse_issuer({**issuer, "spec": {"selfSigned": {}}, "status": {"observedGeneration": -1}})
    assert with_status == parse_issuer({**issuer, "spec": {"selfSigned": {}}})


@pytest.mark.parametrize(
    ("reason", "beside"),
    [
        (Reason.READY, None),
        (Reason.MISCONFIGURED, "Stalled"),
        (Reason.SECRET_NOT_FOUND, "Reconciling"),
        (Reason.UNAVAILABLE, "Reconciling"),
    ],
)
def test_an_issuer_says_whether_somebody_has_to_change_it(reason: Reason, beside: str | None) -> None:
    said = issuer_conditions(3, reason is Reason.READY, reason, "words", (), NOW)
    found = {c.type: (c.status, c.reason, c.message, c.observed_generation) for c in said}
    assert found.pop("Ready") == (str(reason is Reason.READY), reason, "words", 3)
    assert found == ({} if beside is None else {beside: ("True", reason, "words", 3)})
    later = issuer_conditions(3, True, Reason.READY, "well", said, NOW + timedelta(hours=1))
    assert [c.type for c in later] == ["Ready"]


def test_a_secret_that_cannot_be_restored_is_not_ready_while_its_replacement_waits() -> None:
    request = a_request()
    whole = its_secret(request, timedelta(days=65))
    hold = Hold(Reason.RENEWAL_LOOP, "the next one is issued later", needs_user=False)
    damaged = replace(whole, intact_data=whole.intact_data - {"tls.crt"}, beyond_repair=True)

    assert told(request, damaged, hold) == {"Ready": "False", "Reconciling": "True"}
    (ready,) = (c for c in request_status(request, damaged, hold, NOW, "").conditions if c.type == "Ready")
    assert ready.message == "Secret www-tls no longer holds what was issued: the next one is issued later"
