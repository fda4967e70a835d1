"""Renewal: when it is due and not before, in one write, while the request stays Ready."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from devcluster import ControlPlane
from tests.support.kubectl import Kubectl, condition, wait_until
from tests.support.manifests import issuer, request, root_and_ca
from tests.support.openssl import public_key
from tests.support.operator import OperatorProcess
from tests.support.site import REQUEST, Site, decoded, moment, new_namespace
from tests.support.watching import watching

States = Callable[[str], list[dict[str, Any]]]

OVERDUE: dict[str, dict[str, Any]] = {
    "new-key": {"renewBeforePercentage": 60},
    "same-key": {"renewBeforePercentage": 60, "privateKey": {"rotationPolicy": "Never"}},
    "same-rsa-key": {
        "renewBeforePercentage": 60,
        "privateKey": {"algorithm": "RSA", "rotationPolicy": "Never", "encoding": "PKCS8"},
    },
}
"""Requests for an hour that are due after 24 minutes at the latest."""

ALIKE: dict[str, dict[str, Any]] = {f"alike-{n}": {"renewBeforePercentage": 60} for n in range(5)}
"""Such that chance puts all of their times within three seconds once in 10^6 runs."""

LATE: dict[str, dict[str, Any]] = {
    "percentage": {"renewBeforePercentage": 10},
    "before": {"renewBefore": "5m"},
}
"""Requests for an hour that are due after 53 minutes at the earliest."""


def _minutes(status: dict[str, Any], start: str, end: str) -> float:
    return (moment(status[end]) - moment(status[start])) / timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Renewed:
    """before: each request's status as it was issued. The watches go on while the clock is ahead."""

    site: Site
    before: dict[str, dict[str, Any]]
    requests: States
    secrets: States

    def wait_revision(self, name: str, revision: int) -> dict[str, Any]:
        """Wait until both watches show the revision; returns the request's status."""

        def shown() -> dict[str, Any] | None:
            secret = self.secrets(name + "-tls")[-1]["metadata"]["annotations"]["csr-operator.dev/revision"]
            status: dict[str, Any] = self.requests(name)[-1]["status"]
            return status if (status["revision"], int(secret)) == (revision, revision) else None

        return wait_until(f"{name} has the revision {revision}", shown)


@pytest.fixture(scope="module")
def renewed(
    cluster: ControlPlane, operator_credentials: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Renewed]:
    """Certificates for about an hour, and then an operator whose clock is half an hour ahead.

    Just so far that `default` is due some seconds after its start, and `expiring` expires some seconds later.
    """
    kubectl, folder = Kubectl(cluster, new_namespace(cluster)), tmp_path_factory.mktemp("renewal")
    arguments = (operator_credentials, folder / "operator.log", "--namespace", kubectl.namespace)
    with OperatorProcess(*arguments):
        kubectl.apply(
            *root_and_ca(),
            issuer("gone", ca={"secretName": "root-tls"}),
            request("default", "ca", duration="1h"),
            request("short-ca", "ca", commonName="Short CA", isCA=True, duration="30m"),
            issuer("short-ca", ca={"secretName": "short-ca-tls", "backdate": "0s"}),
            request("granted-less", "short-ca", duration="100h", renewBefore="45m"),
            *(request(name, "ca", duration="1h", **spec) for name, spec in {**OVERDUE, **ALIKE, **LATE}.items()),
        )
        kubectl.wait_ready()
        due = moment(kubectl.get(REQUEST, "default")["status"]["renewalTime"])
        expiry = due + timedelta(seconds=4)
        kubectl.apply(request("expiring", "gone", duration=f"{(expiry - datetime.now(UTC)).seconds}s"))
        kubectl.wait_ready("expiring")
        before = {r["metadata"]["name"]: r["status"] for r in kubectl.list(REQUEST)}
    kubectl("delete", "issuer", "gone")
    with (
        watching(kubectl, REQUEST, folder / "requests") as requests,
        watching(kubectl, "secret", folder / "secrets") as secrets,
    ):
        ahead = due - timedelta(seconds=4) - datetime.now(UTC)
        with OperatorProcess(*arguments, clock_offset=ahead.total_seconds()) as operator:
            yield Renewed(Site(kubectl, operator), before, requests, secrets)


def test_it_is_renewed_when_it_is_due_and_not_before(renewed: Renewed) -> None:
    before = renewed.before["default"]
    after = renewed.wait_revision("default", 2)

    assert after["serialNumber"] != before["serialNumber"]
    assert moment(before["renewalTime"]) <= moment(after["notBefore"]) < moment(before["notAfter"])


@pytest.mark.parametrize("name", OVERDUE)
def test_what_became_due_while_the_operator_was_away_is_renewed(renewed: Renewed, name: str) -> None:
    before, after = renewed.before[name], renewed.wait_revision(name, 2)

    assert after["serialNumber"] != before["serialNumber"]
    assert after["sha256Fingerprint"] != before["sha256Fingerprint"]
    old, new = (decoded(secret)["tls.key"] for secret in renewed.secrets(f"{name}-tls"))
    assert (old == new) == (name != "new-key")
    assert public_key(new) == public_key(decoded(renewed.secrets(f"{name}-tls")[-1])["tls.crt"])


@pytest.mark.parametrize("name", ["default", *OVERDUE])
def test_key_and_chain_are_swapped_in_one_write_and_the_request_stays_ready(renewed: Renewed, name: str) -> None:
    renewed.wait_revision(name, 2)

    pairs = [decoded(secret) for secret in renewed.secrets(f"{name}-tls")]
    assert len(pairs) == 2
    assert all(public_key(pair["tls.crt"]) == public_key(pair["tls.key"]) for pair in pairs)
    states = renewed.requests(name)
    assert [condition(state, "Ready")["status"] for state in states] == ["True", "True"]
    assert len({condition(state, "Ready")["lastTransitionTime"] for state in states}) == 1


@pytest.mark.parametrize("name", LATE)
def test_what_is_not_due_is_left_alone(renewed: Renewed, name: str) -> None:
    renewed.wait_revision("default", 2)
    assert len(renewed.secrets(f"{name}-tls")) == 1
    assert renewed.site.status(name) == renewed.before[name]


def test_renewal_time_is_as_asked_or_a_tenth_of_what_is_left_earlier(renewed: Renewed) -> None:
    def age(name: str) -> float:
        return _minutes(renewed.before[name], "notBefore", "renewalTime")

    second = 1 / 60
    assert 27 - second <= age("default") <= 30
    assert 21.6 - second <= age("new-key") <= 24
    assert 53.4 - second <= age("percentage") <= 54
    assert 54.5 - second <= age("before") <= 55


def test_the_jitter_is_the_same_for_each_certificate_of_a_request_and_not_that_of_others(renewed: Renewed) -> None:
    after = {name: renewed.wait_revision(name, 2) for name in ALIKE}

    ages = {name: _minutes(renewed.before[name], "notBefore", "renewalTime") for name in ALIKE}
    again = {name: _minutes(status, "notBefore", "renewalTime") for name, status in after.items()}
    # It is reckoned from when the certificate was stored, which may be the second after it was signed.
    assert again == pytest.approx(ages, abs=1.5 / 60)
    assert max(ages.values()) - min(ages.values()) > 3 / 60


def test_renew_before_longer_than_what_the_ca_granted_makes_no_loop(renewed: Renewed) -> None:
    status = renewed.before["granted-less"]
    assert moment(status["notAfter"]) <= moment(renewed.before["short-ca"]["notAfter"])
    assert status["revision"] == 1
    assert 13 <= _minutes(status, "notBefore", "renewalTime") <= 15


def test_without_an_issuer_it_stays_ready_until_it_expires(renewed: Renewed) -> None:
    def expired() -> dict[str, Any] | None:
        ready = condition(renewed.requests("expiring")[-1], "Ready")
        return ready if ready["status"] == "False" else None

    ready = wait_until("the certificate has expired", expired)

    assert ready["reason"] == "Expired"
    assert renewed.before["expiring"]["notAfter"] in ready["message"]
    assert "Issuer" in ready["message"]
    assert "gone does not exist: create it" in ready["message"]
    assert moment(ready["lastTransitionTime"]) >= moment(renewed.before["expiring"]["notAfter"])
    assert renewed.site.metric("csr_operator_request_ready", "expiring") == 0
    assert wait_until("there is a Warning", lambda: renewed.site.warnings("expiring"))[-1]["reason"] == "Expired"
