"""Whatever makes certificates come due again and again, they are replaced after growing pauses, also over restarts.

A tenant deletes a Secret, or a CA answers, such that the next certificate is due at once: each one costs somebody
something, and a loop of them spends what an account may have for all.
"""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from devcluster import ControlPlane
from tests.support.authorities import authority
from tests.support.kubectl import Kubectl, condition, wait_until
from tests.support.manifests import issuer, request
from tests.support.operator import OperatorProcess
from tests.support.site import REQUEST, Site, moment, new_namespace
from tests.support.third_party import install

HASTY = Path(__file__).parents[1] / "support" / "hasty_backend"
MINUTE = 60.0


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    install(HASTY, folder)
    return folder


@pytest.fixture
def site(cluster: ControlPlane, operator_credentials: Path, installed: Path, tmp_path: Path) -> Iterator[Site]:
    """A namespace with an operator of its own, whose clock can be set, and the key pair of a CA."""
    kubectl = Kubectl(cluster, new_namespace(cluster))
    credential = authority("Hasty CA").secret("hasty")
    credential["metadata"]["labels"] = {"csr-operator.dev/allow-credential": "true"}
    kubectl.apply(credential)
    arguments = (operator_credentials, tmp_path / "operator.log", "--namespace", kubectl.namespace)
    with OperatorProcess(*arguments, installed=installed) as operator:
        yield Site(kubectl, operator)


def hasty(name: str, backend: str = "hasty", **config: Any) -> dict[str, Any]:
    return issuer(name, external={"name": backend, "config": {"secretName": "hasty", **config}})


def later(site: Site, seconds: float) -> None:
    """Restart the operator, with its clock set ahead."""
    site.operator.stop()
    site.operator.shift(seconds)
    site.operator.start()


def lose_secret(site: Site, name: str) -> None:
    site.kubectl("delete", "secret", f"{name}-tls")


def serial(site: Site, name: str) -> str:
    """Of the certificate that is there; empty if there is none."""
    annotations = site.kubectl.get("secret", f"{name}-tls").get("metadata", {}).get("annotations", {})
    return str(annotations.get("csr-operator.dev/serial-number", ""))


def test_a_secret_that_is_deleted_again_and_again_is_made_again_after_growing_pauses(site: Site) -> None:
    site.kubectl.apply(issuer("self"), request("www", "self"))
    site.kubectl.wait_ready("www")

    lose_secret(site, "www")
    site.wait_status("www", revision=2)  # the first time at once
    lose_secret(site, "www")
    held = site.wait_condition("www", "Reconciling", "RenewalLoop")

    assert "Secret www-tls is missing again: find out who deletes it" in held["message"]
    assert condition(site.kubectl.get(REQUEST, "www"), "Ready")["reason"] == "RenewalLoop"
    later(site, 0)
    site.settle()
    assert site.status("www")["revision"] == 2, "a restart does not forget"
    assert not site.kubectl.get("secret", "www-tls")

    later(site, MINUTE + 5)
    site.wait_status("www", revision=3)
    lose_secret(site, "www")
    site.wait_condition("www", "Reconciling", "RenewalLoop")
    later(site, 5 * MINUTE)
    site.settle()
    assert site.status("www")["revision"] == 3, "the next pause is ten minutes"
    later(site, 12 * MINUTE)
    site.wait_status("www", revision=4)


def test_a_secret_that_somebody_else_makes_lets_no_brake_go(site: Site) -> None:
    """With the data of the last one, and nothing on record."""
    site.kubectl.apply(issuer("self"), request("www", "self"))
    site.kubectl.wait_ready("www")
    lose_secret(site, "www")
    site.wait_status("www", revision=2)
    secret = site.kubectl.get("secret", "www-tls")
    lose_secret(site, "www")
    site.wait_condition("www", "Reconciling", "RenewalLoop")

    kept = {field: secret["metadata"][field] for field in ("name", "labels", "ownerReferences")}
    copy = json.dumps({**secret, "metadata": kept})
    as_operator = ("apply", "--server-side", "--field-manager=csr-operator", "-f", "-")
    site.kubectl(*as_operator, stdin=copy)
    site.kubectl.wait_ready("www")
    lose_secret(site, "www")

    site.wait_condition("www", "Reconciling", "RenewalLoop")
    site.settle()
    assert not site.kubectl.get("secret", "www-tls")


def test_who_keeps_overwriting_a_secret_is_named_and_gets_few(site: Site) -> None:
    site.kubectl.apply(issuer("self"), request("www", "self"), request("other", "self"))
    site.kubectl.wait_ready()
    theirs = site.kubectl.get("secret", "other-tls")["data"]
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"name": "www-tls"},
        "data": {key: theirs[key] for key in ("tls.crt", "tls.key")},
    }
    force = ("apply", "--server-side", "--force-conflicts", "--field-manager=external-secrets", "-f", "-")

    site.kubectl(*force, stdin=json.dumps(secret))
    site.wait_status("www", revision=2)  # the first time at once
    site.kubectl(*force, stdin=json.dumps(secret))

    held = site.wait_condition("www", "Reconciling", "RenewalLoop")
    assert "is unusable again: changed by external-secrets (tls.crt, tls.key);" in held["message"]
    for _ in range(5):
        site.kubectl(*force, stdin=json.dumps(secret))
    later(site, 0)
    site.settle()
    assert site.status("www")["revision"] == 2, "a restart does not forget"


def test_who_wants_a_certificate_now_gets_it(site: Site) -> None:
    site.kubectl.apply(issuer("self"), request("www", "self"))
    site.kubectl.wait_ready("www")
    lose_secret(site, "www")
    site.wait_status("www", revision=2)
    lose_secret(site, "www")
    site.wait_condition("www", "Reconciling", "RenewalLoop")

    site.kubectl("annotate", REQUEST, "www", "csr-operator.dev/renew=now")

    site.wait_status("www", revision=3)
    for number in (4, 5, 6):
        site.kubectl("annotate", "--overwrite", REQUEST, "www", f"csr-operator.dev/renew={number}")
        site.wait_status("www", revision=number)


def test_whoever_may_write_a_status_neither_brakes_nor_lets_go(site: Site) -> None:
    site.kubectl.apply(issuer("self"), request("www", "self"), request("other", "self"))
    site.kubectl.wait_ready()
    lose_secret(site, "other")
    site.wait_status("other", revision=2)
    stolen = site.status("other")["pace"]
    patch = f'{{"status": {{"pace": "{stolen}"}}}}'
    with site.operator_away():
        site.kubectl("patch", REQUEST, "www", "--subresource=status", "--type=merge", f"--patch={patch}")
        lose_secret(site, "www")
    site.wait_status("www", revision=2)

    lose_secret(site, "other")
    site.wait_condition("other", "Reconciling", "RenewalLoop")
    patch = '{"status": {"revision": 1, "pace": null}}'
    site.kubectl("patch", REQUEST, "other", "--subresource=status", "--type=merge", f"--patch={patch}")
    wait_until("the brake is told again", lambda: site.status("other").get("pace"))
    assert not site.kubectl.get("secret", "other-tls")


def test_a_ca_that_always_wants_a_renewal_gets_few(site: Site) -> None:
    site.kubectl.apply(hasty("now", renewNow=True), request("www", "now", duration="24h"))
    site.kubectl.wait_ready("www")

    later(site, 0.75 * MINUTE)
    site.wait_status("www", revision=2)  # the first time at once
    later(site, 1.5 * MINUTE)
    held = site.wait_condition("www", "Renewing", "RenewalLoop")
    assert "the CA asked for renewal again" in held["message"]
    assert condition(site.kubectl.get(REQUEST, "www"), "Ready")["status"] == "True", "it serves meanwhile"
    assert site.status("www")["revision"] == 2
    later(site, 3 * MINUTE)
    site.wait_status("www", revision=3)
    later(site, 10 * MINUTE)
    site.settle()
    assert site.status("www")["revision"] == 3


@pytest.mark.parametrize(
    ("config", "spec"),
    [
        pytest.param({"backdated": 3600, "life": 90 * 86400 - 3600}, {"renewBefore": "2159h30m"}, id="an-hour-ago"),
        pytest.param({"backdated": 90 * 86400, "life": 3600}, {}, id="ninety-days-ago"),
    ],
)
def test_a_ca_that_dates_back_makes_no_loop(site: Site, config: dict[str, Any], spec: dict[str, Any]) -> None:
    site.kubectl.apply(hasty("back", **config), request("www", "back", **spec))
    site.kubectl.wait_ready("www")
    site.settle()

    status = site.status("www")
    assert status["revision"] == 1
    issued = site.kubectl.get("secret", "www-tls")["metadata"]["annotations"]["csr-operator.dev/stored-at"]
    assert moment(status["renewalTime"]) - moment(issued) >= timedelta(minutes=25)
    message = condition(site.kubectl.get(REQUEST, "www"), "Ready")["message"]
    assert ("shorten renewBefore" in message) == ("renewBefore" in spec)


def test_a_ca_that_grants_seconds_is_not_asked_for_ever(site: Site) -> None:
    """Four seconds, where five minutes are the least that may be asked for."""
    site.kubectl.apply(hasty("brief", life=4), request("www", "brief"))
    site.wait_status("www", revision=2)
    held = site.wait_condition("www", "Reconciling", "RenewalLoop")
    assert "the renewal time was reached again" in held["message"]
    assert site.status("www")["revision"] == 2


def test_orders_that_come_to_nothing_are_placed_anew_after_growing_pauses(site: Site) -> None:
    site.kubectl.apply(hasty("lapsing", backend="lapsing"), request("www", "lapsing"))

    def staged() -> dict[str, str]:
        found = site.kubectl.list("secrets", "-l", "csr-operator.dev/staging=true")
        return dict(found[0]["metadata"]["annotations"]) if found else {}

    wait_until("two orders came to nothing", lambda: staged().get("csr-operator.dev/lapses") == "2", 60)
    placed = site.operator.metric("csr_operator_ca_calls_total", backend="lapsing", call="submit")
    assert placed == 2

    later(site, 0)
    held = site.wait_condition("www", "Reconciling", "OrderFailed")
    assert "; another order is placed at 20" in held["message"]
    site.settle()
    assert site.operator.metric("csr_operator_ca_calls_total", backend="lapsing", call="submit") == 0
    assert site.wait_condition("www", "Reconciling", "OrderFailed") == held
    later(site, 5 * MINUTE + 5)
    wait_until("the third came to nothing", lambda: staged().get("csr-operator.dev/lapses") == "3", 60)
