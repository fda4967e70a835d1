"""What admission lets through is issued, however odd it looks."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.crds.cases import ACCEPTED, LONGEST_NAME
from tests.support.authorities import opaque
from tests.support.certificates import assert_whole
from tests.support.manifests import API_VERSION, request
from tests.support.names import unique
from tests.support.openssl import certificate_text
from tests.support.site import REQUEST, Site

SHOWN: dict[str, str] = {
    "u-label": "DNS:xn--bcher-kva.example, DNS:xn--r8jz45g.xn--zckzah, DNS:xn--",
    "a-label": "DNS:xn--bcher-kva.example, DNS:*.xn--bcher-kva.example",
    "longest-name": f"DNS:{LONGEST_NAME}",
    "labels": "DNS:localhost, DNS:*.example.com, DNS:*.local, DNS:example.com, DNS:www.example.com",
    "common-name-alone": "Subject: CN=www.example.com",
    "literal-subject": "Subject: CN=foo,OU=FooLong,OU=Bar,OU=Baz,DC=corp,DC=example",
    "literal-subject-escapes": r"Subject: CN=a\, b \"c\" \+ä,O=A",
    "ip-alone": "IP Address:192.0.2.7, IP Address:0:0:0:0:0:0:0:1, IP Address:2001:DB8:0:0:0:0:0:7",
    "uri-alone": "URI:spiffe://a_b.example/x, URI:urn:uuid:0b3e, URI:https://xn--bcher-kva.example/%C3%BC",
    "email-alone": "email:o'brien+x@xn--bcher-kva.example, email:root@localhost, email:-a-.b-@c-d.e1",
    "other-name-alone": "othername: 2.999::ä",
    "usages": "Netscape Server Gated Crypto",
    "ca": "CA:TRUE, pathlen:255",
    "excluded-alone": "Excluded: DNS:example.com",
    "duration-5m": "DNS:www.example.com",
    "full": "TLS Feature: status_request",
    "largest": "DNS:n999.",
}
PASSWORDS = opaque("passwords.web", password="changeit", **{"keystore_p12.txt": "changeit"})


def _spec(name: str) -> dict[str, Any]:
    return {**ACCEPTED[name], "secretName": f"{name}-tls", "issuerRef": {"name": "ca"}}


@pytest.fixture(scope="module")
def issued(site: Site) -> Mapping[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Each of SHOWN with its Secret. They are created, as `kubectl apply` keeps a copy that is too large for some."""
    site.kubectl.apply(PASSWORDS)
    for name in SHOWN:
        body = {
            "apiVersion": API_VERSION,
            "kind": "CertificateRequest",
            "metadata": {"name": name},
            "spec": _spec(name),
        }
        site.kubectl("create", "-f", "-", stdin=json.dumps(body))
    site.kubectl.wait_ready(*SHOWN, seconds=60)
    requests = {r["metadata"]["name"]: r for r in site.kubectl.list(REQUEST)}
    secrets = {s["metadata"]["name"]: s for s in site.kubectl.list("secrets")}
    return {name: (requests[name], secrets[f"{name}-tls"]) for name in SHOWN}


@pytest.mark.parametrize("name", SHOWN)
def test_it_is_issued(issued: Mapping[str, tuple[dict[str, Any], dict[str, Any]]], name: str) -> None:
    obj, secret = issued[name]
    if ACCEPTED[name].get("deletionPolicy") != "Retain":
        assert_whole(obj, secret)
    assert SHOWN[name] in certificate_text(base64.b64decode(secret["data"]["tls.crt"]).decode())


@pytest.mark.parametrize(
    "text", ["\N{MUSICAL SYMBOL G CLEF}", "a\x7fb", "\x85\u2028\ufeff\ufffd", '"\\u0041"\n\t: {}', "\\ud834\\udd1e"]
)
def test_an_annotation_of_the_template_is_written_as_it_stands(site: Site, text: str) -> None:
    name = unique("www")
    site.kubectl.apply(request(name, "ca", secretTemplate={"annotations": {"note": text}}))
    site.kubectl.wait_ready(name)
    assert site.kubectl.get("secret", f"{name}-tls")["metadata"]["annotations"]["note"] == text
