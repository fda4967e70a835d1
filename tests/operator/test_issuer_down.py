"""A CA that is down, and says so in other words each time, as servers do that number their requests."""

import json
from typing import Any

from devcluster import ControlPlane
from tests.support.audit import writes
from tests.support.kubectl import condition, wait_until
from tests.support.manifests import issuer, request
from tests.support.scene import create
from tests.support.site import REQUEST, Site, moment


def _issuer(name: str, broken: str) -> dict[str, Any]:
    return issuer(name, external={"name": "broken", "config": {"broken": broken}})


def _wait_for_checks(site: Site, count: int) -> None:
    def checks() -> float:
        return site.operator.metric("csr_operator_ca_calls_total", call="check", outcome="unavailable")

    before = checks()
    wait_until("the issuer was checked again and again", lambda: checks() >= before + count, seconds=60)


def test_it_costs_no_writes_however_often_it_says_so(outfitted: Site, cluster: ControlPlane) -> None:
    site, names = outfitted, [f"waits-{n:02}" for n in range(30)]
    create(site.kubectl, _issuer("down", "down"), *(request(name, "down") for name in names))
    wait_until(
        "all wait",
        lambda: all(
            condition(one, "Ready").get("reason") == "IssuerNotReady"
            for one in site.kubectl.list(REQUEST)
            if one["metadata"]["name"] in names
        ),
        seconds=60,
    )
    _wait_for_checks(site, 1)
    before = writes(cluster, site.kubectl.namespace)

    _wait_for_checks(site, 4)

    assert writes(cluster, site.kubectl.namespace) == before
    said = condition(site.kubectl.get("issuer", "down"), "Ready")["message"]
    assert said.startswith("HTTP status 503: busy, request ")
    told = {condition(one, "Ready")["message"] for one in site.kubectl.list(REQUEST)}
    assert told == {f"Issuer {site.kubectl.namespace}/down is not ready: {said}"}


def test_what_was_wrong_does_not_stand_there_while_the_order_runs(outfitted: Site) -> None:
    site = outfitted
    create(site.kubectl, _issuer("recovers", "down"), request("late", "recovers"))
    site.wait_condition("late", "Ready", "IssuerNotReady")

    site.kubectl.apply(_issuer("recovers", "slow"))

    site.wait_condition("late", "Ready", "Pending")
    (staged,) = (s for s in site.kubectl.list("secrets") if s["metadata"]["name"].startswith("late-"))
    shown = json.loads(site.kubectl("get", REQUEST, "late", "--show-managed-fields", "-o", "json"))
    written = [moment(e["time"]) for e in shown["metadata"]["managedFields"] if e.get("subresource") == "status"]
    # Only an order that takes longer is told of where nothing was wrong before.
    assert (max(written) - moment(staged["metadata"]["creationTimestamp"])).total_seconds() < 15


def test_one_whose_credentials_are_refused_in_other_words_each_time_costs_a_few_writes(
    outfitted: Site, cluster: ControlPlane
) -> None:
    """Each of which all that wait are told of; while its user puts it right, the words are to be those of now."""
    site = outfitted
    create(site.kubectl, _issuer("refused", "refused"), request("refused", "refused"))
    site.wait_condition("refused", "Ready", "IssuerNotReady")

    def checks() -> float:
        return site.operator.metric("csr_operator_ca_calls_total", call="check", outcome="misconfigured")

    before = checks()
    wait_until("it was checked again and again", lambda: checks() >= before + 9, seconds=60)

    told = [call.name for call in writes(cluster, site.kubectl.namespace) if call.name in ("refused",)]
    assert 4 <= len(told) <= 2 * 6 + 6  # the issuer, the request, and the request's events
