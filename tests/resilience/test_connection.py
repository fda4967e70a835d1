"""The network between the operator and the API server fails in the ways that networks do."""

from tests.support.kubectl import Kubectl
from tests.support.manifests import request
from tests.support.operator import OperatorProcess
from tests.support.proxy import Proxy
from tests.support.scene import create, heal, make_ca, wait_all_ready


def test_connections_that_break_while_requests_are_issued(
    kubectl: Kubectl, proxy: Proxy, proxied_operator: OperatorProcess
) -> None:
    make_ca(kubectl)

    for n in range(5):
        create(kubectl, *(request(f"leaf-{n}-{m}", "ca") for m in range(8)))
        proxy.cut()

    wait_all_ready(kubectl, 41)
    proxy.cut()
    heal(kubectl, "leaf-0-0-tls")
    assert proxied_operator.get("/healthz") == "ok\n"
