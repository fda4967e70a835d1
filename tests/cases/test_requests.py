"""What users' own tools and specs ask for, as an operator with the issuer `ca` answers it."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from tests.pki.test_given_names import GIVEN, TAKEN, TOLD
from tests.support.kubectl import condition
from tests.support.manifests import issuer, request
from tests.support.openssl import certificate_text, openssl, own_csr, verify
from tests.support.site import REQUEST, Site, base64_text, moment


def test_requests_that_others_tools_made(site: Site, tmp_path: Path) -> None:
    given = {path.stem: path.read_text() for path in GIVEN.glob("*.csr")}
    assert given.keys() == TOLD.keys() | TAKEN
    with_text = openssl("req", "-text", stdin=own_csr(tmp_path, "www.example.com"))
    site.kubectl.apply(*(request(name, "ca", request=text) for name, text in given.items()))
    site.kubectl.apply(request("after-text", "ca", request=with_text))
    for name, words in TOLD.items():
        told = site.wait_condition(name, "Stalled", "InvalidSpec")
        assert told["message"].startswith("spec.request: ")
        assert words in told["message"]
        assert condition(site.kubectl.get(REQUEST, name), "Ready")["status"] == "False"
    site.kubectl.wait_ready(*TAKEN, "after-text")
    for name in TAKEN:
        text = certificate_text(site.data(f"{name}-tls")["tls.crt"])
        assert "DNS:www.example.com" in text
        assert "99999" not in text
        verify(tmp_path, site.data(f"{name}-tls"))


def test_a_certificate_begins_a_little_before_it_is_signed_and_ends_as_asked(site: Site) -> None:
    site.kubectl.apply(
        issuer("by-default", ca={"secretName": "root-tls"}),
        issuer("at-once", ca={"secretName": "root-tls", "backdate": "0s"}),
        request("dated", "by-default", duration="2h"),
        request("brief", "by-default", duration="5m"),
        request("undated", "at-once", duration="2h"),
    )
    site.kubectl.wait_ready("dated", "brief", "undated")
    for name, hours in (("dated", timedelta(hours=2, minutes=5)), ("undated", timedelta(hours=2))):
        status = site.status(name)
        assert moment(status["notAfter"]) - moment(status["notBefore"]) == hours
    root, dated = site.status("root"), site.status("dated")
    assert root["notBefore"] <= dated["notBefore"]
    assert site.status("brief")["revision"] == 1


def test_what_signs_itself_has_a_name(site: Site, tmp_path: Path) -> None:
    site.kubectl.apply(
        request("own", "root", commonName=None, dnsNames=["www.example.com"]),
        request("own-ca", "root", commonName=None, dnsNames=["ca.example.com"], isCA=True),
    )
    site.kubectl.wait_ready("own", "own-ca")
    for name, common_name in (("own", "www.example.com"), ("own-ca", "ca.example.com")):
        data = site.data(f"{name}-tls")
        assert data["ca.crt"] == data["tls.crt"]
        names = openssl("x509", "-noout", "-subject", "-issuer", stdin=data["tls.crt"]).replace(" ", "")
        assert names.split() == [f"subject=CN={common_name}", f"issuer=CN={common_name}"]
        text = certificate_text(data["tls.crt"])
        assert "X509v3 Subject Alternative Name: DNS:" in text
        verify(tmp_path, data)
    long = [f"{'a' * 60}.example.com"]
    site.kubectl.apply(request("nameless", "root", commonName=None, dnsNames=long))
    told = site.wait_condition("nameless", "Stalled", "Rejected")
    assert "give commonName, in at most 64 characters" in told["message"]


def test_beside_an_empty_subject_the_alternative_names_are_critical(site: Site) -> None:
    site.kubectl.apply(request("anonymous", "ca", commonName=None, dnsNames=["www.example.com"]))
    site.kubectl.wait_ready("anonymous")
    text = certificate_text(site.data("anonymous-tls")["tls.crt"])
    assert "X509v3 Subject Alternative Name: critical DNS:www.example.com" in text


def test_a_key_for_one_kind_of_signature_alone_is_refused(site: Site) -> None:
    key = openssl("genpkey", "-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048")
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "pss"}, "data": {"tls.key": base64_text(key)}}
    site.kubectl.apply(secret, request("pss", "ca", privateKey={"secretRef": {"name": "pss"}}))
    told = site.wait_condition("pss", "Ready", "KeyUnusable")
    assert "/pss: RSA keys for RSASSA-PSS alone (RFC 4055) are not accepted" in told["message"]


@pytest.mark.parametrize(
    ("name", "spec", "words"),
    [
        ("masters", {"subject": {"organizations": ["system:masters"]}}, "system:masters"),
        ("admin", {"literalSubject": "UID=admin,CN=www.example.com", "commonName": None}, "admin"),
    ],
)
def test_an_issuers_policy_holds_the_subject_too(site: Site, name: str, spec: dict[str, object], words: str) -> None:
    names = {"exact": ["www.example.com"]}
    rule = {"name": "web", "commonNames": names, "dnsNames": names, "subject": {}}
    site.kubectl.apply(issuer("web-only", ca={"secretName": "root-tls"}, policy={"rules": [rule]}))
    site.kubectl.apply(
        request(name, "web-only", **{"commonName": "www.example.com", "dnsNames": ["www.example.com"], **spec})
    )
    told = site.wait_condition(name, "Stalled", "PolicyDenied")
    assert json.dumps(words)[1:-1] in told["message"]
