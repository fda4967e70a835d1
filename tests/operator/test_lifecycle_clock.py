"""Clocks that are wrong: nothing is said to serve that clients refuse, and nothing stays wrong when they are right."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from devcluster import ControlPlane
from tests.support.authorities import authority
from tests.support.kubectl import Kubectl, condition, wait_until
from tests.support.manifests import issuer, request
from tests.support.operator import OperatorProcess
from tests.support.revocation import events
from tests.support.site import REQUEST, Site, moment, new_namespace
from tests.support.third_party import install

HASTY = Path(__file__).parents[1] / "support" / "hasty_backend"
DAYS = 86400.0


@pytest.fixture(scope="module")
def site(cluster: ControlPlane, operator_credentials: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """With an operator whose clock can be set, and the key pair of a CA."""
    folder = tmp_path_factory.mktemp("clock")
    (installed := folder / "installed").mkdir()
    install(HASTY, installed)
    kubectl = Kubectl(cluster, new_namespace(cluster))
    credential = authority("Early CA").secret("early")
    credential["metadata"]["labels"] = {"csr-operator.dev/allow-credential": "true"}
    kubectl.apply(credential)
    arguments = (folder / "operator.log", "--namespace", kubectl.namespace)
    with OperatorProcess(operator_credentials, *arguments, installed=installed) as operator:
        yield Site(kubectl, operator)


def at(site: Site, seconds: float) -> None:
    """Restart the operator, with its clock ahead by so much."""
    site.operator.stop()
    site.operator.shift(seconds)
    site.operator.start()


def test_a_certificate_that_is_not_valid_yet_is_ready_when_it_is(site: Site) -> None:
    config = {"secretName": "early", "backdated": -120}
    site.kubectl.apply(issuer("early", external={"name": "hasty", "config": config}), request("early", "early"))

    ready = site.wait_condition("early", "Ready", "NotYetValid")
    assert ready["status"] == "False"
    begins = site.status("early")["notBefore"]
    assert ready["message"].startswith(f"valid only from {begins} on; ")

    at(site, 130)
    site.kubectl.wait_ready("early")
    assert site.status("early")["revision"] == 1
    at(site, 0)


def test_what_was_issued_by_a_clock_that_was_ahead_is_issued_anew(site: Site) -> None:
    at(site, 10 * DAYS)
    site.kubectl.apply(issuer("self"), request("ahead", "self"))
    site.kubectl.wait_ready("ahead")
    assert moment(site.status("ahead")["notBefore"]) > datetime.now(UTC)

    at(site, 0)

    site.wait_status("ahead", revision=2)
    site.kubectl.wait_ready("ahead")
    assert moment(site.status("ahead")["notBefore"]) <= datetime.now(UTC)
    [note] = wait_until("it is told", lambda: events(site, "ahead", "Issued"))
    assert note == "revision 2, because of ClockSetBack"
    # And the brake on what is replaced goes by the right clock.
    site.kubectl("delete", "secret", "ahead-tls")
    site.wait_status("ahead", revision=3)
    assert condition(site.kubectl.get(REQUEST, "ahead"), "Reconciling") == {}
