"""What the README promises: apply, wait, serve."""

import base64
import ssl

from tests.support.kubectl import Kubectl
from tests.support.manifests import request, root_and_ca
from tests.support.operator import OperatorProcess


def test_an_applied_request_becomes_a_secret_that_a_tls_server_takes(
    kubectl: Kubectl, operator: OperatorProcess, tmp_path: object
) -> None:
    kubectl.apply(*root_and_ca(), request("www", "ca", commonName="www.example.com", dnsNames=["www.example.com"]))

    kubectl.wait_ready("www")

    secret = kubectl.get("secret", "www-tls")
    assert secret["type"] == "kubernetes.io/tls"
    data = {name: base64.b64decode(value) for name, value in secret["data"].items()}
    assert set(data) == {"tls.crt", "tls.key", "ca.crt"}
    context = ssl.create_default_context(cadata=data["ca.crt"].decode())
    assert context.get_ca_certs()[0]["subject"] == ((("commonName", "Test Root"),),)
