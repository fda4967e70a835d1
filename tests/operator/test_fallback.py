"""Several issuers in order: the first that can signs, and who signed goes on until another certificate is due."""

from typing import Any

import pytest

from tests.support.authorities import authority
from tests.support.kubectl import condition, wait_until
from tests.support.manifests import issuer, request
from tests.support.site import REQUEST, Site
from tests.support.third_party import Answer, Branch, HttpCa, external

ISSUER = "csr-operator.dev/issuer"
RENEW = "csr-operator.dev/renew"
NO = Answer(422, "not with us")


@pytest.fixture(scope="module")
def here(outfitted: Site) -> Site:
    """With the issuer `good`, which signs, and `strict`, which signs no CA."""
    pairs = {"good": authority("Good CA"), "strict": authority("Strict CA", path_length=0)}
    outfitted.kubectl.apply(
        *(pair.secret(name) for name, pair in pairs.items()),
        *(issuer(name, ca={"secretName": name}) for name in pairs),
    )
    outfitted.kubectl.wait_ready(*pairs, kind="issuer")
    return outfitted


@pytest.fixture
def branch(here: Site, http_ca: HttpCa, request: pytest.FixtureRequest) -> Branch:
    """A branch, and an issuer for it that takes orders, of the test's own name."""
    name = request.node.name.removeprefix("test_").replace("_", "-")[:40].rstrip("-")
    branch = http_ca.branch(name)
    here.kubectl.apply(external(branch, name, "example-orders"))
    here.kubectl.wait_ready(name, kind="issuer")
    return branch


def ask(site: Site, name: str, *issuers: str, **spec: Any) -> None:
    refs = [{"name": each} for each in issuers]
    site.kubectl.apply(request(name, "", **{"issuerRef": None, "issuerRefs": refs, **spec}))


def signed_by(site: Site, name: str) -> str:
    annotations = site.kubectl.get("secret", f"{name}-tls")["metadata"]["annotations"]
    return str(annotations[ISSUER])


def name_of(branch: Branch) -> str:
    return branch.url.rpartition("/")[2]


def test_the_first_signs_if_it_can(here: Site) -> None:
    ask(here, "first", "strict", "good")
    here.kubectl.wait_ready("first")
    assert signed_by(here, "first") == "Issuer/strict"


def test_one_that_is_missing_or_not_ready_is_passed_over(here: Site) -> None:
    here.kubectl.apply(issuer("late", ca={"secretName": "to-come"}))
    here.wait_condition("late", "Ready", "SecretNotFound", "issuer")
    ask(here, "passed", "nowhere", "late", "good")
    here.kubectl.wait_ready("passed")
    assert signed_by(here, "passed") == "Issuer/good"


def test_one_that_refuses_is_passed_over(here: Site) -> None:
    ask(here, "sub-ca", "strict", "good", isCA=True, commonName="Sub CA")
    here.kubectl.wait_ready("sub-ca")
    assert signed_by(here, "sub-ca") == "Issuer/good"
    assert [c["type"] for c in here.status("sub-ca")["conditions"]] == ["Ready"]


def test_each_is_named_that_stands_in_the_way_and_the_first_that_comes_signs(here: Site) -> None:
    ask(here, "nobody", "strict", "to-be", "never", isCA=True, commonName="Nobody's CA")
    namespace = here.kubectl.namespace

    def told() -> str | None:
        message = str(condition(here.kubectl.get(REQUEST, "nobody"), "Reconciling").get("message", ""))
        return message if message.count(";") == 2 else None

    strict, to_be, never = wait_until("all three are told of", told).split("; ")
    assert strict.startswith(f"Issuer {namespace}/strict: ")
    assert "path length 0" in strict
    remedy = "does not exist: create it, or correct the name"
    assert to_be == f"spec.issuerRefs[1].name: Issuer {namespace}/to-be {remedy}"
    assert never == f"spec.issuerRefs[2].name: Issuer {namespace}/never {remedy}"

    here.kubectl.apply(issuer("to-be"))

    here.kubectl.wait_ready("nobody")
    assert signed_by(here, "nobody") == "Issuer/to-be"


def test_the_first_has_it_back_only_when_another_certificate_is_due(here: Site) -> None:
    ask(here, "loyal", "returning", "good")
    here.kubectl.wait_ready("loyal")
    assert here.wait_condition("loyal", "Ready", "Issued")["message"].endswith("; signed by Issuer/good")
    before, secret = here.kubectl.get(REQUEST, "loyal"), here.kubectl.get("secret", "loyal-tls")

    here.kubectl.apply(
        authority("Returning CA").secret("returning"), issuer("returning", ca={"secretName": "returning"})
    )
    here.kubectl.wait_ready("returning", kind="issuer")
    here.settle()
    assert here.kubectl.get(REQUEST, "loyal") == before
    assert here.kubectl.get("secret", "loyal-tls") == secret

    here.kubectl("annotate", REQUEST, "loyal", f"{RENEW}=now")
    here.wait_status("loyal", revision=2)
    assert signed_by(here, "loyal") == "Issuer/returning"


def test_an_order_that_is_refused_costs_no_second_one(here: Site, branch: Branch) -> None:
    branch.will_answer("orders", "costly", NO, NO, NO)
    ask(here, "costly", name_of(branch), "good")
    here.kubectl.wait_ready("costly")
    assert signed_by(here, "costly") == "Issuer/good"
    assert branch.count("orders", "costly") == 1
    wait_until("the order's Secret is gone", lambda: "-order " not in here.kubectl("get", "secrets", "--no-headers"))


def test_one_that_limits_the_rate_took_nothing_and_is_passed_over(here: Site, branch: Branch) -> None:
    branch.will_answer("orders", "limited", *[Answer(429, "too many", {"Retry-After": "3600"})] * 100)
    ask(here, "limited", name_of(branch), "good")
    here.kubectl.wait_ready("limited")
    assert signed_by(here, "limited") == "Issuer/good"
    assert branch.count("orders", "limited") == 1


def test_one_that_may_have_taken_an_order_is_passed_over_after_a_while(here: Site, branch: Branch) -> None:
    branch.will_answer("orders", "unsure", *[Answer(503, "away")] * 10_000)
    ask(here, "unsure", name_of(branch), "good")
    here.wait_condition("unsure", "Reconciling", "IssuerUnavailable")
    here.settle()
    assert not here.kubectl.get("secret", "unsure-tls")

    here.operator.stop()
    here.operator.shift(660)
    here.operator.start()

    here.kubectl.wait_ready("unsure")
    assert signed_by(here, "unsure") == "Issuer/good"
    here.operator.stop()
    here.operator.shift(0)
    here.operator.start()


def test_an_order_is_placed_once_and_survives_a_crash(here: Site, branch: Branch) -> None:
    branch.will_answer("orders/1", "", *[Answer(202)] * 1000)
    ask(here, "durable", name_of(branch), "good")
    pending = here.wait_condition("durable", "Reconciling", "Pending")
    assert pending["message"] == "order 1 is with the CA"

    here.operator.kill()
    branch.will_answer("orders/1", "")
    here.operator.start()

    here.kubectl.wait_ready("durable")
    assert signed_by(here, "durable") == f"Issuer/{name_of(branch)}"
    assert len(branch.orders) == branch.count("orders", "durable") == 1


def test_an_order_whose_issuer_is_deleted_is_left_for_another(here: Site, branch: Branch) -> None:
    branch.will_answer("orders/1", "", *[Answer(202)] * 1000)
    ask(here, "orphan", name_of(branch), "good")
    here.wait_condition("orphan", "Reconciling", "Pending")

    here.kubectl("delete", "issuer", name_of(branch))

    here.kubectl.wait_ready("orphan")
    assert signed_by(here, "orphan") == "Issuer/good"


def test_an_order_that_is_allowed_no_more_is_not_fetched(here: Site, branch: Branch) -> None:
    branch.will_answer("orders/1", "", *[Answer(202)] * 1000)
    ask(here, "tightened", name_of(branch))
    wait_until("the order is looked at", lambda: branch.count("orders/1", ""))

    here.kubectl.apply(external(branch, name_of(branch), "example-orders", policy={"default": "Deny"}))

    here.wait_condition("tightened", "Stalled", "PolicyDenied")
    polls = branch.count("orders/1", "")
    here.settle()
    assert branch.count("orders/1", "") == polls
    branch.will_answer("orders/1", "")
    here.kubectl.apply(external(branch, name_of(branch), "example-orders"))
    here.kubectl.wait_ready("tightened")
    assert len(branch.orders) == 1
