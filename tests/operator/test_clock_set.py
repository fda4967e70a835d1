"""A clock that is set while the operator runs: what is due by the new time is done, and nothing for nothing."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from devcluster import ControlPlane
from tests.support.audit import ApiCall, writes
from tests.support.kubectl import Kubectl, wait_until
from tests.support.manifests import request, root_and_ca
from tests.support.operator import OperatorProcess
from tests.support.revocation import events
from tests.support.site import REQUEST, Site, moment, new_namespace
from tests.support.third_party import Answer, HttpCa, external

DAY = 86400.0
BUSY = Answer(503, "back in an hour", {"Retry-After": "3600"})


@pytest.fixture(scope="module")
def site(
    cluster: ControlPlane, operator_credentials: Path, installed: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """With an operator whose clock is set while it runs, in which the issuer `ca` signs by that clock."""
    kubectl = Kubectl(cluster, new_namespace(cluster))
    arguments = (tmp_path_factory.mktemp("clock") / "operator.log", "--namespace", kubectl.namespace)
    with OperatorProcess(operator_credentials, *arguments, installed=installed, settable=True) as operator:
        kubectl.apply(*root_and_ca())
        kubectl.wait_ready("ca", kind="issuer")
        yield Site(kubectl, operator)


@pytest.fixture(autouse=True)
def right_clock(site: Site) -> Iterator[None]:
    """Each test finds and leaves it so."""
    yield
    site.operator.set_clock(0)


def version(site: Site, name: str) -> tuple[str, ...]:
    """Of the request and of its Secret: any write makes another one."""
    found = (site.kubectl.get(kind, of) for kind, of in ((REQUEST, name), ("secret", f"{name}-tls")))
    return tuple(each["metadata"]["resourceVersion"] for each in found)


def assert_calm(site: Site, cluster: ControlPlane) -> None:
    """Nothing is written any more, and nothing looked at but what is looked at all the time."""
    site.settle()

    def told() -> list[ApiCall]:
        return writes(cluster, site.kubectl.namespace)

    def checks() -> float:
        return site.operator.metric("csr_operator_ca_calls_total", call="check")

    def looks() -> float:
        return site.operator.metric("csr_operator_queue_latency_seconds_count")

    before, checked, looked = told(), checks(), looks()
    count = len(site.kubectl.list("issuers"))
    wait_until("each issuer was checked a few times", lambda: checks() >= checked + 4 * count)
    assert told() == before
    # Each request once more, should something have been due just then.
    assert looks() - looked <= 2 * (checks() - checked) + len(site.kubectl.list(REQUEST))


def test_a_day_ahead_and_back(site: Site, cluster: ControlPlane, http_ca: HttpCa) -> None:
    kubectl, branch, orders = site.kubectl, http_ca.branch("jumps"), http_ca.branch("jumps-orders")
    kubectl.apply(external(branch, "http"), external(orders, "orders", "example-orders"))
    branch.will_answer("sign", "paused", BUSY)
    kubectl.apply(
        request("long", "ca"),
        request("short", "ca", duration="26h"),
        request("over", "ca", duration="12h"),
        request("paused", "http"),
        request("ordered", "orders"),
    )
    kubectl.wait_ready("long", "short", "over", "ordered")
    site.wait_condition("paused", "Ready", "IssuerUnavailable")
    untouched = {name: version(site, name) for name in ("long", "ordered", "root")}

    # Ahead: what would be due tomorrow is due now.
    site.operator.set_clock(DAY)

    site.wait_status("short", revision=2)
    site.wait_status("over", revision=2)
    kubectl.wait_ready("short", "over", "paused")
    assert_calm(site, cluster)
    assert {name: version(site, name) for name in untouched} == untouched
    assert [site.status(name)["revision"] for name in ("short", "over", "paused")] == [2, 2, 1]
    assert branch.count("sign", "paused") == 2

    # What begins to wait here would wait until tomorrow by the right clock.
    branch.will_answer("sign", "late", BUSY)
    orders.will_answer("orders", "later", BUSY)
    kubectl.apply(request("late", "http"), request("later", "orders"))
    for name in ("late", "later"):
        site.wait_condition(name, "Ready", "IssuerUnavailable")

    # And back: nothing waits for the time that it showed, and nobody is left with what is valid tomorrow only.
    site.operator.set_clock(0)

    kubectl.wait_ready("late", "later")
    for name in ("short", "over"):
        site.wait_status(name, revision=3)
        kubectl.wait_ready(name)
        assert moment(site.status(name)["notBefore"]) <= datetime.now(UTC)
        assert "revision 3, because of ClockSetBack" in wait_until(
            "it is told",
            lambda name=name: [n for n in events(site, name, "Issued") if "3" in n],  # type: ignore[misc]
        )
    assert_calm(site, cluster)
    assert {name: version(site, name) for name in untouched} == untouched
    assert [site.status(name)["revision"] for name in ("short", "over", "paused", "late", "later")] == [3, 3, 1, 1, 1]
    assert branch.count("sign", "late") == 2
    assert orders.count("orders", "later") == 2  # the CA takes the second for the first
    assert len(orders.orders) == 2


def test_a_ca_five_minutes_ahead_is_believed_and_waited_for(site: Site, http_ca: HttpCa) -> None:
    """Its certificates are kept, and said to serve when they do; that of one that costs is ordered once."""
    branch, orders = http_ca.branch("ahead"), http_ca.branch("ahead-orders")
    site.kubectl.apply(external(branch, "ahead"), external(orders, "ahead-orders", "example-orders"))
    site.operator.set_clock(-300)
    site.kubectl.apply(request("early", "ahead"), request("early-order", "ahead-orders"))
    for name in ("early", "early-order"):
        ready = site.wait_condition(name, "Ready", "NotYetValid")
        assert ready["message"].startswith(f"valid only from {site.status(name)['notBefore']} on; ")

    site.operator.set_clock(0)

    site.kubectl.wait_ready("early", "early-order")
    assert [site.status(name)["revision"] for name in ("early", "early-order")] == [1, 1]
    assert branch.count("sign", "early") == 1
    assert orders.count("orders", "early-order") == 1


def test_a_ca_that_is_a_little_ahead_is_waited_for_with_no_help(site: Site, http_ca: HttpCa) -> None:
    branch = http_ca.branch("a-little")
    site.kubectl.apply(external(branch, "a-little"))
    site.kubectl.wait_ready("a-little", kind="issuer")
    site.operator.set_clock(-8)
    site.kubectl.apply(request("soon", "a-little"))
    site.wait_condition("soon", "Ready", "NotYetValid")
    site.kubectl.wait_ready("soon")
    assert branch.count("sign", "soon") == 1


def test_a_ca_five_minutes_behind_is_believed(site: Site, http_ca: HttpCa) -> None:
    """Also for the shortest life that can be asked for twice over, which is half gone when it comes."""
    branch, orders = http_ca.branch("behind"), http_ca.branch("behind-orders")
    site.kubectl.apply(external(branch, "behind"), external(orders, "behind-orders", "example-orders"))
    site.operator.set_clock(300)
    site.kubectl.apply(request("slow", "behind"), request("slow-order", "behind-orders"))
    site.kubectl.wait_ready("slow", "slow-order")

    site.operator.set_clock(0)

    site.settle()
    assert [site.status(name)["revision"] for name in ("slow", "slow-order")] == [1, 1]
    assert branch.count("sign", "slow") == 1
    assert orders.count("orders", "slow-order") == 1
