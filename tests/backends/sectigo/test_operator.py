"""The operator as its own process, on a real control plane, orders from the emulation of Sectigo."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from devcluster import ControlPlane
from tests.emulators.sectigo_server import (
    CLIENT_ID,
    CLIENT_SECRET,
    CUSTOMER,
    LOGIN,
    PASSWORD,
    TOKEN_PATH,
    SectigoServer,
)
from tests.emulators.sectigo_world import member
from tests.support import openssl
from tests.support.authorities import credential
from tests.support.certificates import assert_whole, certificate_of
from tests.support.kubectl import Kubectl, condition, wait_until
from tests.support.manifests import issuer, request
from tests.support.operator import OperatorProcess
from tests.support.signing import VendorCa, pem
from tests.support.site import Site, decoded, new_namespace

MEMBERS = VendorCa.make("Members")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SectigoServer]:
    server = SectigoServer(tmp_path_factory.mktemp("sectigo") / "journal")
    server.client_ca = pem(MEMBERS.root) + pem(MEMBERS.intermediate)
    with server:
        yield server


@pytest.fixture(scope="module")
def site(
    cluster: ControlPlane, operator_credentials: Path, tmp_path_factory: pytest.TempPathFactory, server: SectigoServer
) -> Iterator[Site]:
    """With the issuer `sectigo`."""
    kubectl = Kubectl(cluster, new_namespace(cluster))
    log = tmp_path_factory.mktemp("site") / "operator.log"
    with OperatorProcess(operator_credentials, log, "--namespace", kubectl.namespace) as operator:
        kubectl.apply(credential("account", login=LOGIN, password=PASSWORD), sectigo("sectigo", server))
        kubectl.wait_ready("sectigo", kind="issuer")
        yield Site(kubectl, operator)


@pytest.fixture(autouse=True)
def auto_approval(server: SectigoServer) -> None:
    server.steps = (("Requested", 0), ("Applied", 0), ("Issued", 0))


def where(server: SectigoServer) -> dict[str, Any]:
    url, bundle = f"{server.url}/api", server.ca_bundle
    return {"url": url, "caBundle": bundle, "organization": "Example Inc", "profile": "Public OV SSL"}


def sectigo(name: str, server: SectigoServer, **more: Any) -> dict[str, Any]:
    access = {"customerURI": CUSTOMER, "login": {"secretName": "account"}}
    return issuer(name, sectigo={**where(server), **access, **more})


def ordered(server: SectigoServer, name: str) -> list[int]:
    """The IDs of the orders for this host."""
    return [ssl_id for ssl_id, order in server.orders.items() if order["commonName"] == f"{name}.example.com"]


def wait_pending(site: Site, name: str, words: str) -> None:
    def probe() -> bool:
        return words in condition(site.kubectl.get("certificaterequest", name), "Reconciling").get("message", "")

    wait_until(f"{name} says {words}", probe, seconds=60)


def test_a_request_waits_for_approval_and_gets_its_certificate(
    site: Site, server: SectigoServer, tmp_path: Path
) -> None:
    server.steps = (("Requested", 0),)
    site.kubectl.apply(request("www", "sectigo", dnsNames=["www.example.com", "example.com"]))
    wait_pending(site, "www", "is Requested: it waits for an administrator of Sectigo Certificate Manager")
    server.become(ordered(server, "www")[0], "Issued")
    site.kubectl.wait_ready("www", seconds=60)
    secret = site.kubectl.get("secret", "www-tls")
    assert_whole(site.kubectl.get("certificaterequest", "www"), secret)
    openssl.verify(tmp_path, decoded(secret))
    reference = secret["metadata"]["annotations"]["csr-operator.dev/reference"]
    assert reference.partition("/")[0] == str(ordered(server, "www")[0])
    names = certificate_of(secret).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["www.example.com", "example.com"]
    subject = certificate_of(secret).subject
    assert subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value == "Example Inc"


def test_an_issuer_of_something_that_is_not_there_says_what_there_is(site: Site, server: SectigoServer) -> None:
    site.kubectl.apply(sectigo("typo", server, profile="Public OV"))
    told = site.wait_condition("typo", "Ready", "Misconfigured", "issuer")
    assert told["status"] == "False"
    assert "it has 1013 (Public OV SSL), 1014 (Private TLS)" in told["message"]
    site.kubectl.apply(sectigo("typo", server, profile="1014"))
    site.kubectl.wait_ready("typo", kind="issuer")


def test_a_refusal_is_told_in_the_vendors_words_with_what_to_do(site: Site) -> None:
    site.kubectl.apply(request("ed", "sectigo", privateKey={"algorithm": "Ed25519"}))
    told = site.wait_condition("ed", "Stalled", "Rejected")
    assert told["message"].startswith("Sectigo says: The CSR uses an unsupported algorithm (code -11): ask for another")


def test_a_declined_order_is_told_and_not_repeated(site: Site, server: SectigoServer) -> None:
    server.steps = (("Requested", 0),)
    site.kubectl.apply(request("no", "sectigo"))
    wait_pending(site, "no", "waits for an administrator")
    server.become(ordered(server, "no")[0], "Declined")
    told = site.wait_condition("no", "Stalled", "Rejected")
    assert "an administrator declined it" in told["message"]
    site.operator.stop()
    site.operator.start()
    site.wait_condition("no", "Stalled", "Rejected")
    assert len(ordered(server, "no")) == 1
    server.steps = (("Issued", 0),)
    site.kubectl("annotate", "certificaterequest", "no", "csr-operator.dev/renew=1")
    site.kubectl.wait_ready("no", seconds=60)
    assert len(ordered(server, "no")) == 2


def test_a_pending_order_is_declined_with_its_request_if_the_issuer_says_so(site: Site, server: SectigoServer) -> None:
    server.steps = (("Requested", 0),)
    site.kubectl.apply(sectigo("tidy", server, cancelPending=True))
    site.kubectl.wait_ready("tidy", kind="issuer")
    site.kubectl.apply(request("given-up", "tidy"))
    wait_pending(site, "given-up", "waits for an administrator")
    site.kubectl("delete", "certificaterequest", "given-up")
    ssl_id = ordered(server, "given-up")[0]
    wait_until("it is declined", lambda: server.orders[ssl_id]["steps"][-1][0] == "Declined")


def test_a_renewal_follows_and_the_one_before_is_revoked(site: Site, server: SectigoServer) -> None:
    site.kubectl.apply(sectigo("renewing", server, renewal="Renew"))
    site.kubectl.wait_ready("renewing", kind="issuer")
    site.kubectl.apply(request("again", "renewing", revocation={"onRotation": True, "onDelete": True}))
    site.kubectl.wait_ready("again", seconds=60)
    first = certificate_of(site.kubectl.get("secret", "again-tls"))
    site.kubectl("annotate", "certificaterequest", "again", "csr-operator.dev/renew=1")

    def renewed() -> bool:
        return certificate_of(site.kubectl.get("secret", "again-tls")) != first

    wait_until("it is renewed", renewed, seconds=60)
    old, new = ordered(server, "again")
    assert server.count("POST", f"/renewById/{old}$") == 1
    wait_until("the old one is revoked", lambda: server.orders[old]["steps"] == [["Revoked", 0]])
    site.kubectl("delete", "certificaterequest", "again")
    assert server.orders[new]["steps"] == [["Revoked", 0]]


def test_each_kind_of_credentials_serves(site: Site, server: SectigoServer) -> None:
    server.token_life = 2
    pair = {name: data.decode() for name, data in member(MEMBERS, LOGIN).items()}
    site.kubectl.apply(
        credential("client", clientID=CLIENT_ID, clientSecret=CLIENT_SECRET),
        credential("pair", "kubernetes.io/tls", **pair),
        issuer(
            "tokens", sectigo=where(server) | {"oauth": {"secretName": "client", "tokenURL": server.url + TOKEN_PATH}}
        ),
        issuer(
            "mutual",
            sectigo=where(server)
            | {
                "url": f"{server.url}/private/api",
                "customerURI": CUSTOMER,
                "clientCertificate": {"secretName": "pair", "login": LOGIN},
            },
        ),
    )
    site.kubectl.wait_ready("tokens", "mutual", kind="issuer")
    site.kubectl.apply(request("by-token", "tokens"), request("by-certificate", "mutual"))
    site.kubectl.wait_ready("by-token", "by-certificate", seconds=60)
    assert server.count("POST", TOKEN_PATH) > 1


def test_credentials_are_exchanged_without_a_restart_and_shown_nowhere(site: Site, server: SectigoServer) -> None:
    site.kubectl.apply(credential("account", login=LOGIN, password="wrong-horse"))
    told = site.wait_condition("sectigo", "Ready", "Misconfigured", "issuer")
    assert f"check the credentials in Secret {site.kubectl.namespace}/account" in told["message"]
    site.kubectl.apply(credential("account", login=LOGIN, password=PASSWORD))
    site.kubectl.wait_ready("sectigo", kind="issuer")
    site.kubectl.apply(request("after", "sectigo"))
    site.kubectl.wait_ready("after", seconds=60)
    seen = site.operator.log.read_text() + site.operator.get("/metrics")
    for kind in ("certificaterequests", "issuers", "events"):
        seen += site.kubectl("get", kind, "-o", "json", "--show-managed-fields")
    managed = site.kubectl("get", "secrets", "-l", "csr-operator.dev/managed", "-o", "json")
    for secret in (PASSWORD, "wrong-horse", CLIENT_SECRET, base64.b64encode(PASSWORD.encode()).decode()):
        assert secret not in seen + managed
