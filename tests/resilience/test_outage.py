"""The API server is away and comes back: the operator goes on by itself, and nothing is lost.

The process is never started anew here: that its port answers means that it is still the same one.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from devcluster import ControlPlane
from tests.support.kubectl import Kubectl, wait_until
from tests.support.manifests import request
from tests.support.operator import OperatorProcess
from tests.support.proxy import Proxy
from tests.support.scene import create, heal, idle, make_ca, wait_all_ready

OUTAGE = 30.0
_READY = "csr_operator_request_ready{"


@contextmanager
def api_server_down(cluster: ControlPlane) -> Iterator[None]:
    cluster.stop_apiserver()
    try:
        yield
    finally:
        cluster.start_apiserver()


def _shown(operator: OperatorProcess, kubectl: Kubectl) -> int:
    """How many requests of the namespace the metrics show."""
    lines = operator.get("/metrics").splitlines()
    return sum(f'namespace="{kubectl.namespace}"' in line for line in lines if line.startswith(_READY))


def test_half_a_minute_without_the_api_server_loses_nothing(
    cluster: ControlPlane, kubectl: Kubectl, operator: OperatorProcess
) -> None:
    make_ca(kubectl)
    create(kubectl, *(request(f"before-{n}", "ca") for n in range(10)))

    with api_server_down(cluster):
        end = time.monotonic() + OUTAGE
        while time.monotonic() < end:  # the outage itself, not a wait for something
            assert operator.get("/healthz") == "ok\n"
            time.sleep(0.5)

    heal(kubectl, "root-tls")
    create(kubectl, *(request(f"after-{n}", "ca") for n in range(10)))
    wait_all_ready(kubectl, 21)
    heal(kubectl, "after-0-tls")
    assert operator.get("/healthz") == "ok\n"


def test_what_was_deleted_meanwhile_is_forgotten(
    cluster: ControlPlane, kubectl: Kubectl, proxy: Proxy, proxied_operator: OperatorProcess
) -> None:
    make_ca(kubectl)
    create(kubectl, *(request(f"leaf-{n}", "ca") for n in range(6)))
    wait_all_ready(kubectl, 7)

    proxy.refuse()
    kubectl("delete", "certificaterequest", "leaf-0", "leaf-1", "leaf-2")
    with api_server_down(cluster):
        pass  # it forgets what has changed: who watches on has to list anew (410 Gone)
    create(kubectl, request("new", "ca"))
    proxy.accept()

    kubectl.wait_ready("new", seconds=60)
    wait_until("the deleted are forgotten", lambda: _shown(proxied_operator, kubectl) == 5, seconds=60)
    wait_until("their Secrets are gone", lambda: len(kubectl.list("secrets")) == 5, seconds=60)


def test_a_list_that_is_refused_for_a_while_does_not_end_the_operator(
    cluster: ControlPlane, kubectl: Kubectl, operator: OperatorProcess
) -> None:
    make_ca(kubectl)
    create(kubectl, request("before", "ca"))
    wait_all_ready(kubectl, 2)
    rules = "clusterrole/csr-operator"
    resources = "/rules/0/resources"
    original = kubectl("get", rules, "-o", "jsonpath={.rules[0].resources}")
    fewer = '["certificaterequests","issuers"]'

    kubectl("patch", rules, "--type=json", "-p", f'[{{"op":"replace","path":"{resources}","value":{fewer}}}]')
    try:
        with api_server_down(cluster):
            pass
        create(kubectl, request("meanwhile", "ca"))
        kubectl.wait_ready("meanwhile", seconds=60)
        idle(operator, kubectl, "marker")
    finally:
        kubectl("patch", rules, "--type=json", "-p", f'[{{"op":"replace","path":"{resources}","value":{original}}}]')
    create(kubectl, request("after", "ca"))
    wait_all_ready(kubectl, 5)
