"""An issuer that hangs, refuses, is slow or broken is its own requests' trouble; all others do not notice.

The CA is a real one, behind a backend that a third party could have written (examples/backend).
"""

from typing import Any

import pytest

from tests.support.kubectl import condition, wait_until
from tests.support.manifests import issuer, request
from tests.support.scene import create
from tests.support.site import REQUEST, Site
from tests.support.third_party import Answer, Branch, HttpCa, external

UNWELL = Answer(503, "out of order")


@pytest.fixture(scope="module")
def here(outfitted: Site, http_ca: HttpCa) -> Site:
    """Where the CA of the issuer `deaf` never answers, not even when it is checked."""
    http_ca.branch("deaf").hang()
    outfitted.kubectl.apply(external(http_ca.branch("deaf"), "deaf"), request("deaf", "deaf"))
    return outfitted


@pytest.fixture
def branch(here: Site, http_ca: HttpCa, request: pytest.FixtureRequest) -> Branch:
    """A branch, and an issuer for it, of the test's own name."""
    name = request.node.name.split("[")[0].removeprefix("test_").replace("_", "-")[:40].rstrip("-")
    branch = http_ca.branch(name)
    here.kubectl.apply(external(branch, name))
    here.kubectl.wait_ready(name, kind="issuer")
    return branch


def name_of(branch: Branch) -> str:
    return branch.url.rpartition("/")[2]


def test_a_backend_of_a_third_party_is_as_good_as_ours(here: Site, branch: Branch, http_ca: HttpCa) -> None:
    here.kubectl.apply(request("www", name_of(branch)))
    here.kubectl.wait_ready("www")
    assert here.data("www-tls")["ca.crt"] == http_ca.certificate
    assert "CN=HTTP CA" in condition(here.kubectl.get("issuer", name_of(branch)), "Ready")["message"]
    assert here.operator.metric("csr_operator_ca_calls_total", backend="example", call="submit", outcome="ok") >= 1


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (
            {"name": "nobodys"},
            "spec.external.name: no backend nobodys is installed: install the distribution",
        ),
        ({"name": "missing"}, "backend missing failed in a way that its author did not expect: see ModuleNotFoundErr"),
        ({"name": "example", "config": {}}, "spec.external.config.url: write the CA's URL, such as https://ca.ex"),
        ({"name": "broken", "config": {"broken": "create"}}, "see KeyError in the log"),
        ({"name": "broken", "config": {"broken": "check"}}, "see ZeroDivisionError in the log"),
        ({"name": "broken", "config": {"broken": "health"}}, "see TypeError in the log"),
        ({"name": "broken", "config": {"broken": "task"}}, "see CancelledError in the log"),
        ({"name": "broken", "config": {"broken": "exit"}}, "see Exited in the log"),
        ({"name": "broken", "config": {"broken": "traits"}}, "that it `abandons`, and has no method `abandon`: write"),
    ],
)
def test_an_issuer_says_why_its_backend_is_of_no_use(here: Site, spec: dict[str, Any], said: str) -> None:
    name = "-".join((spec["name"], *spec.get("config", {}).values()))
    here.kubectl.apply(issuer(name, external=spec))

    def unready() -> dict[str, Any] | None:
        found = condition(here.kubectl.get("issuer", name), "Ready")
        return found if found.get("status") == "False" else None

    message = wait_until("the issuer is not ready", unready)["message"]
    assert said in message
    assert "hunter2" not in message
    sample = f'csr_operator_issuer_ready{{kind="Issuer",name="{name}",namespace="{here.kubectl.namespace}"}} 0.0'
    wait_until("the metrics show it", lambda: sample in here.operator.get("/metrics"))


@pytest.mark.parametrize(
    ("broken", "reason", "said"),
    [
        ("submit", "IssuerUnavailable", "see AttributeError in the log"),
        ("order", "IssuerUnavailable", "see CancelledError in the log"),
        ("pem", "IssuerUnavailable", "see TypeError in the log"),
        ("pending", "IssuerNotReady", "left an order pending, which only one that says that it `costs` may do"),
    ],
)
def test_a_request_says_what_its_backend_did(here: Site, broken: str, reason: str, said: str) -> None:
    name = f"broken-{broken}"
    here.kubectl.apply(issuer(name, external={"name": "broken", "config": {"broken": broken}}), request(name, name))
    reconciling = here.wait_condition(name, "Reconciling", reason)
    assert said in reconciling["message"]
    assert "hunter2" not in reconciling["message"]


def test_fifty_requests_of_a_hanging_issuer_delay_no_others(here: Site, branch: Branch, http_ca: HttpCa) -> None:
    good = http_ca.branch("good")
    here.kubectl.apply(external(good, "good"))
    here.kubectl.wait_ready("good", kind="issuer")
    branch.hang()
    create(here.kubectl, *(request(f"hanging-{n:02}", name_of(branch)) for n in range(50)))
    wait_until("as many hang as may", lambda: branch.running == 32)

    create(here.kubectl, *(request(f"good-{n:02}", "good") for n in range(50)))

    here.kubectl.wait_ready(*(f"good-{n:02}" for n in range(50)), seconds=60)
    assert branch.running == 32, "some have been answered"

    def told() -> bool:
        waiting = [condition(r, "Reconciling") for r in here.kubectl.list(REQUEST)]
        return any(each.get("message", "").endswith("was asked 10 s ago, and has not answered yet") for each in waiting)

    wait_until("who waits for long is told", told)
    branch.go_on()
    names = [f"hanging-{n:02}" for n in range(50)]
    here.kubectl.wait_ready(*names, seconds=60)
    assert branch.most == 32
    assert [branch.count("sign", name) for name in names] == [1] * 50


def test_an_issuer_works_on_no_more_than_it_allows(here: Site, branch: Branch) -> None:
    here.kubectl.apply(external(branch, name_of(branch), limits={"concurrent": 3}))
    branch.hang()
    create(here.kubectl, *(request(f"few-{n:02}", name_of(branch)) for n in range(12)))
    wait_until("three are under way", lambda: branch.running == 3)
    branch.go_on()
    here.kubectl.wait_ready(*(f"few-{n:02}" for n in range(12)))
    assert branch.most == 3


def test_an_issuer_takes_no_more_within_a_minute_than_it_allows(here: Site, branch: Branch) -> None:
    here.kubectl.apply(external(branch, name_of(branch), limits={"perMinute": 5}))
    create(here.kubectl, *(request(f"slow-{n}", name_of(branch)) for n in range(8)))

    def queued() -> list[dict[str, Any]] | None:
        found = [condition(here.kubectl.get(REQUEST, f"slow-{n}"), "Reconciling") for n in range(8)]
        waiting = [each for each in found if each.get("reason") == "Queued"]
        return waiting if len(waiting) == 3 else None

    told = wait_until("three wait", queued)
    assert told[0]["message"].endswith("has taken 5 requests within a minute (spec.limits.perMinute)")

    def signed() -> int:
        return len([path for path, _ in branch.calls if path == "sign"])

    wait_until("the CA was asked for as many as it takes", lambda: signed() >= 5)
    here.settle()
    assert signed() == 5


def test_what_passes_is_tried_again(here: Site, branch: Branch) -> None:
    branch.will_answer("sign", "again", UNWELL, UNWELL)
    here.kubectl.apply(request("again", name_of(branch)))
    waiting = here.wait_condition("again", "Reconciling", "IssuerUnavailable")
    assert waiting["message"] == f"{branch.url}: out of order"
    here.kubectl.wait_ready("again")
    assert branch.count("sign", "again") == 3


def test_who_is_asked_to_come_back_later_does(here: Site, branch: Branch) -> None:
    """While it waits, another one that was not asked to has tried four times."""
    later = Answer(429, "too many requests", {"Retry-After": "3600"})
    branch.will_answer("sign", "patient", later)
    branch.will_answer("sign", "eager", UNWELL, UNWELL, UNWELL)
    create(here.kubectl, request("patient", name_of(branch)), request("eager", name_of(branch)))
    here.wait_condition("patient", "Reconciling", "IssuerUnavailable")
    here.kubectl.wait_ready("eager")
    assert branch.count("sign", "eager") == 4
    assert branch.count("sign", "patient") == 1


def test_what_is_refused_is_not_asked_for_again_until_something_changes(here: Site, branch: Branch) -> None:
    no = Answer(422, "no certificates for this name")
    branch.will_answer("sign", "refused", *[no] * 4)
    here.kubectl.apply(request("refused", name_of(branch)))
    stalled = here.wait_condition("refused", "Stalled", "Rejected")
    assert stalled["message"] == f"{branch.url}: no certificates for this name"
    here.settle()
    assert branch.count("sign", "refused") == 1

    here.kubectl("annotate", REQUEST, "refused", "csr-operator.dev/renew=1")
    wait_until("it is asked for by annotation", lambda: branch.count("sign", "refused") == 2)
    here.kubectl.apply(request("refused", name_of(branch), duration="48h"))
    wait_until("another spec is asked for", lambda: branch.count("sign", "refused") == 3)
    here.kubectl.apply(external(branch, name_of(branch), limits={"concurrent": 7}))
    wait_until("another issuer is asked", lambda: branch.count("sign", "refused") == 4)
    here.settle()
    assert branch.count("sign", "refused") == 4
    assert len(here.warnings("refused")) <= 4


def test_a_ca_that_is_deaf_to_checks_is_unavailable_and_the_only_one(here: Site, http_ca: HttpCa) -> None:
    found = wait_until(
        "the issuer is unavailable",
        lambda: condition(here.kubectl.get("issuer", "deaf"), "Ready"),
        seconds=60,
    )
    assert (found["status"], found["reason"]) == ("False", "Unavailable")
    assert found["message"] == "the CA did not answer within 30 s"
    here.wait_condition("deaf", "Reconciling", "IssuerNotReady")
    unready = {
        i["metadata"]["name"] for i in here.kubectl.list("issuers") if condition(i, "Ready").get("status") != "True"
    }
    assert {name for name in unready if not name.startswith(("broken", "missing", "nobodys", "example"))} == {"deaf"}
    assert here.operator.get("/healthz") == "ok\n"

    http_ca.branch("deaf").go_on()

    here.kubectl.wait_ready("deaf", seconds=60)
