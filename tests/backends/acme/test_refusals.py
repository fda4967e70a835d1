"""What an ACME CA refuses on the way, and what the operator makes of it: one order, and a certificate in the end."""

import json
from datetime import UTC, datetime, timedelta

from tests.support.acme_scene import HTTP, Scene, names
from tests.support.kubectl import Kubectl, condition, wait_until
from tests.support.manifests import request
from tests.support.site import REQUEST


def test_a_ca_like_lets_encrypt_that_refuses_at_each_step_signs_one_order(scene: Scene) -> None:
    proxy = scene.proxy
    proxy.like_lets_encrypt = True
    try:
        scene.issuer("moody", HTTP, directory=proxy.directory)
        soon = datetime.now(UTC) + timedelta(seconds=2)
        proxy.refuse("new order", 429, "rateLimited", detail=f"too many, retry after {soon:%Y-%m-%d %H:%M:%S} UTC")
        proxy.refuse("challenge", 503, "")
        proxy.refuse("finalize", 403, "caa")
        proxy.refuse("certificate", 404, "malformed")
        proxy.leaves_alone = 1
        proxy.forget_nonces()
        scene.kubectl.apply(request("moody", "moody", dnsNames=["moody.example.com", "www.moody.example.com"]))

        wait_until("a leaf was sent alone", lambda: proxy.leaves_alone == 0, seconds=90)
        words = "sends the certificate without the intermediate certificates that lead to its root"
        wait_until("it is told", lambda: words in condition(scene.kubectl.get(REQUEST, "moody"), "Ready")["message"])
        assert scene.kubectl.list("secrets", "--field-selector=metadata.name=moody-tls") == []
        scene.kubectl("annotate", REQUEST, "moody", "csr-operator.dev/renew=now")
        assert names(scene.ready("moody")) == {"moody.example.com", "www.moody.example.com"}
        assert (scene.placed("moody.example.com"), proxy.repeated) == (1, [])
    finally:
        proxy.like_lets_encrypt = False


def test_requests_of_the_same_names_are_signed_one_after_the_other(scene: Scene) -> None:
    proxy = scene.proxy
    proxy.like_lets_encrypt = True
    try:
        scene.issuer("shared", HTTP, directory=proxy.directory)
        each = [f"shared-{number}" for number in range(3)]
        scene.kubectl.apply(*(request(one, "shared", dnsNames=["shared.example.com"]) for one in each))
        assert len({scene.ready(one).serial_number for one in each}) == 3
        # Who loses the order to another one is told nothing that alarms.
        events = scene.kubectl.list("events", "--field-selector=type=Warning")
        assert [one["message"] for one in events if one["involvedObject"]["name"] in each] == []
    finally:
        proxy.like_lets_encrypt = False


def test_an_account_that_the_ca_has_forgotten_is_made_anew(scene: Scene) -> None:
    scene.issuer("forgotten", HTTP, directory=scene.proxy.directory)
    made = scene.proxy.seen["account"]
    scene.proxy.refuse("new order", 400, "accountDoesNotExist")
    scene.kubectl.apply(request("forgotten", "forgotten"))

    scene.ready("forgotten")
    assert scene.proxy.seen["account"] == made + 1
    assert condition(scene.kubectl.get("issuer", "forgotten"), "Ready")["status"] == "True"


def test_what_was_refused_is_not_asked_for_again_after_a_restart(scene: Scene) -> None:
    scene.issuer("strict", HTTP, directory=scene.proxy.directory)
    scene.kubectl.apply(
        request("barred", "strict", dnsNames=["blocked.example"]),
        request("nowhere", "strict", dnsNames=["nowhere.strict.example.com"]),
    )
    scene.bind.add("nowhere.strict.example.com", "A", "127.0.0.9")
    said = {
        "barred": scene.site.wait_condition("barred", "Stalled", "Rejected"),
        "nowhere": scene.site.wait_condition("nowhere", "Reconciling", "OrderFailed"),
    }
    scene.site.settle()
    before = [scene.kubectl.get(REQUEST, one) for one in said]
    asked = scene.proxy.seen["new order"]

    scene.site.operator.stop()
    scene.site.operator.start()
    scene.kubectl.apply(request("after", "strict"))
    scene.ready("after")
    scene.site.settle()

    assert scene.proxy.seen["new order"] == asked + 1
    assert [scene.kubectl.get(REQUEST, one) for one in said] == before
    # Its user may want it tried all the same.
    scene.kubectl("annotate", REQUEST, "barred", "csr-operator.dev/renew=now")
    wait_until("it is asked for again", lambda: scene.proxy.seen["new order"] == asked + 2)


def test_an_api_server_that_keeps_no_urls_of_orders_costs_no_second_one(scene: Scene) -> None:
    scene.issuer("unkept", HTTP, directory=scene.proxy.directory)
    kubectl = scene.kubectl
    with Denial(kubectl):
        kubectl.apply(request("unkept", "unkept"))
        scene.site.wait_condition("unkept", "Reconciling", "SecretRefused")
        asked = scene.site.operator.metric("csr_operator_ca_calls_total", backend="acme", call="submit")

        def tried_again() -> bool:
            return scene.site.operator.metric("csr_operator_ca_calls_total", backend="acme", call="submit") >= asked + 2

        wait_until("it was tried twice more", tried_again, seconds=60)
    scene.ready("unkept")
    assert scene.placed("unkept.example.com") == 1


class Denial:
    """A context manager: meanwhile no staging Secret of the namespace is changed once it is there."""

    def __init__(self, kubectl: Kubectl) -> None:
        self._kubectl, self._name = kubectl, f"{kubectl.namespace}-unkept"

    def __enter__(self) -> None:
        kind = {"apiVersion": "admissionregistration.k8s.io/v1"}
        rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["secrets"]}
        scope = {"matchLabels": {"kubernetes.io/metadata.name": self._kubectl.namespace}}
        policy = {
            **kind,
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": self._name},
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": {"resourceRules": [rule]},
                "validations": [{"expression": "object.metadata.name == 'canary' && false", "message": "not now"}],
                "matchConditions": [
                    {
                        "name": "staging",
                        "expression": "object.metadata.name == 'canary' || 'csr-operator.dev/staging' in "
                        "object.metadata.?labels.orValue({})",
                    }
                ],
            },
        }
        binding = {
            **kind,
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": self._name},
            "spec": {
                "policyName": self._name,
                "validationActions": ["Deny"],
                "matchResources": {"namespaceSelector": scope},
            },
        }
        canary = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "canary"}}
        self._kubectl.apply(canary, policy, binding)

        def denied() -> bool:
            patch = json.dumps({"metadata": {"labels": {"x": "y"}}})
            try:
                self._kubectl("patch", "secret", "canary", "--dry-run=server", "-p", patch)
            except Exception as error:
                return "not now" in str(error)
            return False

        wait_until("the API server denies it", denied, seconds=60)

    def __exit__(self, *_: object) -> None:
        for kind in ("validatingadmissionpolicybinding", "validatingadmissionpolicy"):
            self._kubectl("delete", kind, self._name)
