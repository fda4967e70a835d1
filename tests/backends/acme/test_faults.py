"""What networks, busy CAs and names that do not validate do to an order, and what its user reads of it."""

import re

from tests.support.acme import rfc2136, rfc2136_secret
from tests.support.acme_scene import HTTP, Scene, names
from tests.support.kubectl import condition, wait_until
from tests.support.manifests import request
from tests.support.site import REQUEST


def behind_the_proxy(scene: Scene, name: str, *solvers: dict[str, object]) -> None:
    scene.issuer(name, *(solvers or (HTTP,)), directory=scene.proxy.directory)


def test_a_rate_limit_is_told_with_the_time_of_the_next_try(scene: Scene) -> None:
    behind_the_proxy(scene, "limited")
    scene.proxy.refuse("new order", 429, "rateLimited", Retry_After="8")
    scene.kubectl.apply(request("limited", "limited"))

    message = scene.site.wait_condition("limited", "Reconciling", "IssuerUnavailable")["message"]
    told = re.fullmatch(
        r"the proxy says so \(rateLimited\); the next try is at (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)", message
    )
    assert told, message
    scene.ready("limited")
    assert scene.placed("limited.example.com") == 1


def test_a_ca_that_is_down_for_a_while_delays_and_no_more(scene: Scene) -> None:
    behind_the_proxy(scene, "flaky")
    for step in ("new order", "authorization", "certificate"):
        scene.proxy.refuse(step, 503, "")
    for step in ("order", "finalize"):
        scene.proxy.cut(step, before=True)
    scene.kubectl.apply(request("flaky", "flaky"))

    assert names(scene.ready("flaky")) == {"flaky.example.com"}


def test_an_order_whose_answer_was_lost_is_found_again(scene: Scene) -> None:
    behind_the_proxy(scene, "lost")
    scene.proxy.cut("new order")
    scene.kubectl.apply(request("lost", "lost"))

    scene.ready("lost")
    assert scene.placed("lost.example.com") == 1


def test_answers_that_were_lost_at_every_other_step_change_nothing(scene: Scene) -> None:
    behind_the_proxy(scene, "deaf")
    for step in ("order", "authorization", "challenge", "finalize", "certificate"):
        scene.proxy.cut(step)
    scene.kubectl.apply(request("deaf", "deaf"))

    scene.ready("deaf")
    assert scene.placed("deaf.example.com") == 1


def test_a_name_that_cannot_be_validated_is_told_in_the_cas_words_and_tried_again(scene: Scene) -> None:
    # Nobody serves anything there.
    scene.bind.add("elsewhere.example.com", "A", "127.0.0.9")
    scene.issuer("hopeful", HTTP)
    scene.kubectl.apply(request("elsewhere", "hopeful"))

    message = scene.site.wait_condition("elsewhere", "Reconciling", "OrderFailed")["message"]
    assert message.startswith("elsewhere.example.com: ")
    assert "connection refused" in message
    assert "(connection); another order is placed at 20" in message
    scene.bind.remove("elsewhere.example.com", "A")

    # The wait is long, as CAs allow few failures: a change of the request is tried at once.
    scene.kubectl("annotate", REQUEST, "elsewhere", "csr-operator.dev/renew=now")
    assert names(scene.ready("elsewhere")) == {"elsewhere.example.com"}


def test_records_of_an_order_that_failed_are_removed(scene: Scene) -> None:
    # Another client's record is not ours to remove, and not enough to prove anything.
    scene.bind.add("_acme-challenge.mixed.example.com", "TXT", "of-somebody-else")
    scene.bind.add("plain.mixed.example.com", "A", "127.0.0.9")
    scene.issuer("mixed", {"selector": {"dnsNames": ["plain.mixed.example.com"]}, **HTTP}, rfc2136(scene.bind))
    scene.kubectl.apply(request("mixed", "mixed", dnsNames=["*.mixed.example.com", "plain.mixed.example.com"]))

    scene.site.wait_condition("mixed", "Reconciling", "OrderFailed")
    assert scene.bind.records("_acme-challenge.mixed.example.com") == ["of-somebody-else"]


def test_a_request_that_is_deleted_leaves_no_record_behind(scene: Scene) -> None:
    behind_the_proxy(scene, "hasty", rfc2136(scene.bind))
    gate = scene.proxy.hold("challenge")
    name = "_acme-challenge.hasty.example.com"
    scene.kubectl.apply(request("hasty", "hasty"))
    wait_until("the record is there", lambda: scene.bind.records(name))

    scene.kubectl("delete", REQUEST, "hasty", "--wait=false")
    gate.set()

    scene.record_is_gone(name)
    wait_until("the order's Secret is gone", lambda: not scene.orders_of("hasty"))


def test_a_request_that_is_deleted_while_nobody_works_leaves_no_record_behind(scene: Scene) -> None:
    behind_the_proxy(scene, "unlucky", rfc2136(scene.bind))
    name = "_acme-challenge.unlucky.example.com"
    scene.proxy.when("challenge", scene.site.operator.kill, before=True)
    scene.kubectl.apply(request("unlucky", "unlucky"))
    wait_until("the operator was killed", lambda: scene.site.operator.has_ended())
    assert scene.bind.records(name)

    scene.kubectl("delete", REQUEST, "unlucky")
    scene.site.operator.start()

    scene.record_is_gone(name)
    wait_until("the order's Secret is gone", lambda: not scene.orders_of("unlucky"))


def test_a_record_that_cannot_be_removed_keeps_a_namespace_for_an_hour_at_most(scene: Scene) -> None:
    secret = {**rfc2136_secret(scene.bind), "metadata": {"name": "lost-key"}}
    scene.kubectl.apply(secret)
    solver = rfc2136(scene.bind)
    solver["dns01"]["rfc2136"]["tsigSecretSecretRef"]["name"] = "lost-key"
    behind_the_proxy(scene, "stuck", solver)
    operator = scene.site.operator
    scene.proxy.when("challenge", operator.kill, before=True)
    scene.kubectl.apply(request("stuck", "stuck"))
    wait_until("the operator was killed", operator.has_ended)
    assert scene.bind.records("_acme-challenge.stuck.example.com")

    scene.kubectl("delete", "secret", "lost-key")
    scene.kubectl("delete", REQUEST, "stuck")
    operator.start()
    log, told = operator.log, "the order is not taken back yet"
    wait_until("the operator says so", lambda: told in log.read_text(), seconds=60)
    assert scene.orders_of("stuck")

    operator.stop()
    operator.shift(3700)
    try:
        operator.start()
        wait_until("the order's Secret is gone", lambda: not scene.orders_of("stuck"))
    finally:
        operator.stop()
        operator.shift(0)
        operator.start()
    assert "the order of Issuer/stuck is not taken back" in log.read_text()


def test_an_order_for_other_names_takes_the_place_of_one_that_is_no_longer_wanted(scene: Scene) -> None:
    scene.bind.add("wrong.fickle.example.com", "A", "127.0.0.9")
    behind_the_proxy(scene, "fickle", rfc2136(scene.bind))
    gate = scene.proxy.hold("challenge")
    name = "_acme-challenge.wrong.fickle.example.com"
    scene.kubectl.apply(request("fickle", "fickle", dnsNames=["wrong.fickle.example.com"]))
    wait_until("the record is there", lambda: scene.bind.records(name))

    scene.kubectl.apply(request("fickle", "fickle", dnsNames=["right.fickle.example.com"]))
    gate.set()

    assert names(scene.ready("fickle")) == {"right.fickle.example.com"}
    scene.record_is_gone(name)
    assert condition(scene.kubectl.get(REQUEST, "fickle"), "Ready")["reason"] == "Issued"
