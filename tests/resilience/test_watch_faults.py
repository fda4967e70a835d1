"""What API servers, load balancers and proxies say on a watch at times: nothing of it ends the operator.

It is never started anew here, and what changes during the fault and after it is seen.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster import ControlPlane
from tests.support.api_proxy import WATCHED, ApiProxy
from tests.support.kubectl import Kubectl, wait_until
from tests.support.manifests import issuer, request
from tests.support.operator import OperatorProcess
from tests.support.scene import create
from tests.support.site import Site, new_namespace


def _error(code: int, message: str) -> bytes:
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message}
    return json.dumps({"type": "ERROR", "object": status}).encode() + b"\n"


SAID = {
    "an internal error": _error(500, "etcdserver: leader changed"),
    "a timeout": _error(504, "Gateway Timeout"),
    "a version that is too old": _error(410, "too old resource version"),
    "an error without a code": b'{"type":"ERROR","object":{}}\n',
    "a line that is cut": b'{"type":"MODIFIED","object":{"metadata":{"name":"www","uid":"1',
    "a page of a load balancer": b"<html><body>502 Bad Gateway</body></html>\n",
    "an event without an object": b'{"type":"ADDED"}\n',
    "an object without metadata": b'{"type":"ADDED","object":{"spec":{}}}\n',
    "an event of an unknown type": b'{"type":"STRANGE","object":{"kind":"Status"}}\n',
    "no JSON object": b"[]\n42\n",
    "what is no UTF-8": b'{"type":"\xff"}\n',
}
ANSWERED = {
    "unauthorized": (401, "Unauthorized"),
    "forbidden": (403, "no"),
    "not found": (404, "404 page not found\n"),
    "a page of a load balancer": (404, "<html>default backend - 404</html>"),
    "a Status without sense": (200, '{"kind":"Status","metadata":{}}'),
    "gone": (410, "too old resource version"),
    "too many": (429, ""),
    "internal error": (500, "<html>"),
    "a page with status 200": (200, "<html>log in</html>"),
    "JSON of somebody else": (200, "{}"),
}


@pytest.fixture(scope="module")
def proxy(cluster: ControlPlane) -> Iterator[ApiProxy]:
    with ApiProxy(Path(cluster.kubeconfig)) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def site(
    cluster: ControlPlane, operator_credentials: Path, proxy: ApiProxy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("watch-faults")
    kubectl = Kubectl(cluster, new_namespace(cluster))
    kubeconfig = proxy.kubeconfig(operator_credentials, folder)
    with OperatorProcess(kubeconfig, folder / "operator.log", "--namespace", kubectl.namespace, patience=3) as operator:
        yield Site(kubectl, operator)


def _sees_changes(site: Site, name: str) -> None:
    """Of all that is watched: a request, its issuers of both kinds, and that its Secret is deleted."""
    kubectl, everywhere = site.kubectl, f"{site.kubectl.namespace}-{name}"
    ref = {"name": everywhere, "kind": "ClusterIssuer"}
    create(kubectl, issuer(name), issuer(everywhere, kind="ClusterIssuer"), request(name, name))
    kubectl.wait_ready(name, seconds=60)
    kubectl("patch", "csreq", name, "--type=merge", "-p", json.dumps({"spec": {"issuerRef": ref}}))
    site.wait_status(name, revision=2)
    kubectl("delete", "secret", f"{name}-tls")
    site.wait_status(name, revision=3)
    wait_until("it is ready", site.operator.is_ready)


@pytest.mark.parametrize("what", SAID)
def test_what_is_said_on_a_watch(site: Site, proxy: ApiProxy, what: str) -> None:
    before = [proxy.watches(resource) for resource in WATCHED]

    for resource in WATCHED:
        proxy.say(resource, SAID[what])

    def anew() -> bool:
        return all(proxy.watches(resource) > count for resource, count in zip(WATCHED, before, strict=True))

    wait_until("all are watched again", anew, seconds=60)
    assert site.operator.get("/healthz") == "ok\n"


@pytest.mark.parametrize("what", ANSWERED)
def test_what_is_answered_to_who_lists_and_watches(site: Site, proxy: ApiProxy, what: str) -> None:
    proxy.answers = dict.fromkeys(("*", *WATCHED), ANSWERED[what])
    seen = len(proxy.seen)
    proxy.cut()
    try:
        wait_until("all are asked for", lambda: set(WATCHED) <= dict(proxy.seen[seen:]).keys(), seconds=60)
        wait_until("its Lease is renewed", lambda: ("leases", "PUT") in proxy.seen[seen:], seconds=60)
        assert site.operator.get("/healthz") == "ok\n"
    finally:
        proxy.answers = {}

    wait_until("it is ready", site.operator.is_ready)


def test_after_all_of_that_it_still_sees_what_changes(site: Site) -> None:
    _sees_changes(site, "after")
    assert "Traceback" not in site.operator.log.read_text()


def test_streams_that_bring_nothing(site: Site, proxy: ApiProxy) -> None:
    proxy.muted = True
    try:
        _sees_changes(site, "muted")
    finally:
        proxy.muted = False


def test_a_refused_token_for_a_moment_loses_nothing(site: Site, proxy: ApiProxy) -> None:
    """Everything is answered 401, its own writes included."""
    proxy.answers = {"*": (401, "Unauthorized")}
    proxy.cut()
    try:
        create(site.kubectl, issuer("unknown"), request("unknown", "unknown"))
        seen = len(proxy.seen)
        wait_until("all are asked for", lambda: set(WATCHED) <= dict(proxy.seen[seen:]).keys(), seconds=60)
    finally:
        proxy.answers = {}

    site.kubectl.wait_ready("unknown", seconds=60)


def test_it_ends_while_its_token_is_refused(site: Site, proxy: ApiProxy) -> None:
    proxy.answers = {"*": (401, "Unauthorized")}
    proxy.cut()
    try:
        assert site.operator.stop() == 0
    finally:
        proxy.answers = {}
