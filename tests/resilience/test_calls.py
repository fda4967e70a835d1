"""Calls of the API server that go wrong, and watches that tell late and twice: one order for each revision even so.

The API server is the real one; a proxy before it says what busy ones and load balancers say, or loses what was said.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from devcluster import ControlPlane
from tests.support.api_proxy import WRITES, ApiProxy, Fault
from tests.support.certificates import assert_whole
from tests.support.kubectl import Kubectl, reader, wait_until
from tests.support.manifests import request
from tests.support.operator import OperatorProcess
from tests.support.revocation import renew
from tests.support.scene import create
from tests.support.site import REQUEST, Site, new_namespace
from tests.support.third_party import EXAMPLE, Branch, HttpCa, external, install

FAULTS: dict[str, dict[str, Any]] = {
    "too busy": {"status": 429, "headers": {"Retry-After": "1"}},
    "an internal error": {"status": 500, "text": "<html>"},
    "unavailable": {"status": 503},
    "a timeout": {"status": 504, "text": "<html>"},
    "unauthorized": {"status": 401},
    "cut": {"cut": True},
    "lost": {"lost": True, "verbs": WRITES},
}


@dataclass(frozen=True)
class Scene:
    site: Site
    branch: Branch
    proxy: ApiProxy

    def orders(self, name: str) -> int:
        return self.branch.count("orders", name)

    def check(self, name: str, revision: int) -> None:
        """Key, certificate and status are of this revision, and each cost one order."""
        kubectl = self.site.kubectl
        self.site.wait_status(name, revision=revision)
        kubectl.wait_ready(name, seconds=60)
        assert_whole(kubectl.get(REQUEST, name), kubectl.get("secret", f"{name}-tls"))
        keys = {key for key, (_, chain) in self.branch.orders.items() if _is_for(chain, name)}
        assert len(keys) == revision
        wait_until("no order is left", lambda: not [s for s in kubectl.list("secrets") if "-order" in str(s)], 60)


def _is_for(chain: str, name: str) -> bool:
    leaf = x509.load_pem_x509_certificate(chain.encode())
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.DNSName) == [f"{name}.example.com"]


@pytest.fixture(scope="module")
def scene(
    cluster: ControlPlane, operator_credentials: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("calls")
    (installed := folder / "installed").mkdir()
    install(EXAMPLE, installed)
    kubectl = Kubectl(cluster, new_namespace(cluster))
    with HttpCa() as ca, ApiProxy(cluster.kubeconfig) as proxy:
        kubeconfig = proxy.kubeconfig(operator_credentials, folder)
        arguments = (folder / "operator.log", "--namespace", kubectl.namespace)
        with OperatorProcess(kubeconfig, *arguments, installed=installed, patience=10) as operator:
            kubectl.apply(external(ca.branch("orders"), "orders", "example-orders"))
            kubectl.wait_ready("orders", kind="issuer")
            yield Scene(Site(kubectl, operator), ca.branch("orders"), proxy)
            assert "Traceback" not in operator.log.read_text()


@pytest.mark.parametrize("what", FAULTS)
def test_calls_that_go_wrong_cost_no_second_order(scene: Scene, what: str) -> None:
    """Through a first certificate and a renewal, a dozen calls in a row each time."""
    name = what.replace(" ", "-")
    for revision in (1, 2):
        scene.proxy.faults.append(fault := Fault(12, **FAULTS[what]))
        if revision == 1:
            create(scene.site.kubectl, request(name, "orders"))
        else:
            renew(scene.site, name)
        scene.check(name, revision)
        wait_until("the fault is over", lambda: fault.times == 0, 60)


def test_somebody_who_is_always_faster(scene: Scene, cluster: ControlPlane) -> None:
    """Whatever the operator writes to, somebody else did so just before: the API server answers 409."""
    kubectl = scene.site.kubectl

    async def meddle(path: str) -> None:
        *_, plural, name = path.removesuffix("/status").split("/")
        mark = {"metadata": {"labels": {"after": str(len(scene.proxy.passed))}}}
        await asyncio.to_thread(reader(cluster).merge, plural, name, kubectl.namespace, mark, "meddler")

    for revision in (1, 2):
        faults = [Fault(10, resource, ("PATCH",), before=meddle) for resource in ("certificaterequests", "secrets")]
        scene.proxy.faults += faults
        if revision == 1:
            create(kubectl, request("meddled", "orders"))
        else:
            renew(scene.site, "meddled")
        scene.check("meddled", revision)
        scene.proxy.faults.clear()
    assert 409 in {call.status for call in scene.proxy.passed}


@pytest.mark.parametrize("resource", ["secrets", "certificaterequests"])
def test_the_api_server_is_left_alone_for_as_long_as_it_asks(scene: Scene, resource: str) -> None:
    """429 with Retry-After: what was refused is not tried again sooner; nor is a list."""
    name = f"busy-{resource}"
    for verbs, passed in ((("PATCH",), "PATCH"), (("GET",), "GET")):
        fault = Fault(1, resource, verbs, status=429, headers={"Retry-After": "4"})
        scene.proxy.faults.append(fault)
        begun = len(scene.proxy.passed)
        if passed == "PATCH":
            create(scene.site.kubectl, request(name, "orders"))
            scene.site.kubectl.wait_ready(name, seconds=60)
        else:
            scene.proxy.say(resource, b"nothing that could be read\n")
        wait_until("it was refused", lambda: fault.times == 0)  # noqa: B023
        refused = next(call for call in scene.proxy.passed[begun:] if call.status == 429)

        def again(path: str = refused.path, verb: str = refused.verb, after: float = refused.at) -> list[float]:
            calls = [call for call in scene.proxy.passed if (call.path, call.verb) == (path, verb)]
            return [call.at for call in calls if call.at > after]

        wait_until("it is tried again", again)
        assert again()[0] - refused.at >= 4


def test_events_that_come_twice_and_late(scene: Scene) -> None:
    """Each object's in their order, those of several objects mixed."""
    kubectl, names, proxy = scene.site.kubectl, [f"late-{n}" for n in range(4)], scene.proxy
    proxy.echoes = 2
    try:
        create(kubectl, *(request(name, "orders") for name in names))
        kubectl.wait_ready(*names, seconds=60)
        proxy.held = True
        for name in names:
            renew(scene.site, name)
        kubectl("delete", "secret", "late-0-tls")
        kubectl("delete", REQUEST, "late-1")
        create(kubectl, request("late-1", "orders"))
        kubectl("label", "secret", "late-2-tls", "touched=yes")
        proxy.show()
        kubectl.wait_ready(*names, seconds=60)
        scene.site.wait_status("late-2", revision=2)
        scene.site.wait_status("late-3", revision=2)
    finally:
        proxy.echoes = 0
        proxy.show()
    assert_whole(kubectl.get(REQUEST, "late-1"), kubectl.get("secret", "late-1-tls"))
    scene.check("late-2", 2)
    scene.check("late-3", 2)
    settled = len(proxy.writes())
    proxy.cut()
    begun = proxy.watches("secrets")
    wait_until("all is watched anew", lambda: proxy.watches("secrets") > begun)
    scene.site.settle()
    again = [call for call in proxy.writes()[settled:] if "marker" not in call.path]
    assert [call.path for call in again if "/late-" in call.path] == []


def test_an_api_server_that_is_busy_when_the_operator_starts(
    cluster: ControlPlane, operator_credentials: Path, kubectl: Kubectl, tmp_path: Path
) -> None:
    """It waits, and is not started anew by whoever would have to do that."""
    with ApiProxy(cluster.kubeconfig) as proxy:
        kubeconfig = proxy.kubeconfig(operator_credentials, tmp_path)
        operator = OperatorProcess(kubeconfig, tmp_path / "operator.log", "--namespace", kubectl.namespace)
        faults = [Fault(2, resource, status=status) for resource in ("secrets", "") for status in (429, 500, 503)]
        proxy.faults += faults
        operator.launch()
        try:
            wait_until("it is ready", operator.is_ready, 60)
            assert [fault.times for fault in faults] == [0] * len(faults)
            assert "Traceback" not in operator.log.read_text()
        finally:
            operator.stop()
