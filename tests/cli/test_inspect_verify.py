"""`inspect` and `verify`: what is in the Secret, in words, and against the spec."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from tests.cli.support import READER, Plugin, user
from tests.support.authorities import opaque
from tests.support.kubectl import wait_until
from tests.support.manifests import issuer, request
from tests.support.openssl import openssl
from tests.support.site import Site, base64_text


@pytest.fixture(scope="module", autouse=True)
def www(site: Site) -> None:
    """A request `www` by an intermediate CA, with all that can be said of it; `plain` by the root."""
    site.kubectl.apply(
        request("sub", "ca", commonName="Sub CA", isCA=True, pathLenConstraint=0),
        issuer("sub", ca={"secretName": "sub-tls", "crl": {"secretName": "sub-crl", "distributionPoints": [CRL]}}),
    )
    site.kubectl.wait_ready("sub", kind="issuer")
    site.kubectl.apply(
        request(
            "www",
            "sub",
            commonName="www.example.com",
            dnsNames=["www.example.com"],
            ipAddresses=["192.0.2.1"],
            uris=["spiffe://example.com/www"],
            usages=["digital signature", "server auth"],
            additionalOutputFormats=[{"type": "CombinedPEM"}],
        ),
        request("plain", "ca"),
        request("binary", "ca", additionalOutputFormats=[{"type": "DER"}]),
    )
    site.kubectl.wait_ready("www", "plain", "binary")


CRL = "http://pki.example.com/sub.crl"


def test_the_certificate_and_its_chain_in_words(kubectl_csr: Plugin, site: Site) -> None:
    words, data = kubectl_csr("inspect", "www").words, site.data("www-tls")

    def field(option: str) -> str:
        return openssl("x509", "-noout", option, "-nameopt", "RFC2253", stdin=data["tls.crt"]).strip().split("=", 1)[1]

    fingerprint = openssl("x509", "-noout", "-fingerprint", "-sha256", stdin=data["tls.crt"]).strip().split("=", 1)[1]
    for part in (
        "Certificate 1 of 2 (tls.crt): Subject CN=www.example.com",
        "Names DNS:www.example.com, IP:192.0.2.1, URI:spiffe://example.com/www",
        "Usages digital signature, server auth CA no Issuer CN=Sub CA",
        f"Serial number {field('-serial')} SHA-256 {fingerprint} Revocation {CRL}",
        "Certificate 2 of 2 (tls.crt): Subject CN=Sub CA",
        "CA yes, with at most 0 CAs below it Issuer CN=Test Root",
        "CA (ca.crt): Subject CN=Test Root",
        "Issuer itself",
        "Certificate signing request (status.csr), which the certificate was issued for: Subject CN=www.example.com",
    ):
        assert part in words


def test_no_key_is_shown(csr: Plugin, site: Site) -> None:
    lines = site.data("www-tls")["tls.key"].splitlines()[1:-1]
    for form in ("table", "json", "yaml"):
        out = csr("inspect", "www", "-o", form).out
        assert "PRIVATE" not in out
        assert not [line for line in lines if line in out]


def test_inspect_for_programs(csr: Plugin, site: Site) -> None:
    data = csr.json("inspect", "www")

    assert yaml.safe_load(csr("inspect", "www", "-o", "yaml").out) == data
    leaf, intermediate = data["certificates"]
    assert leaf["serialNumber"] == site.status("www")["serialNumber"]
    assert leaf["alternativeNames"] == ["DNS:www.example.com", "IP:192.0.2.1", "URI:spiffe://example.com/www"]
    assert leaf["key"] == {"algorithm": "ECDSA", "size": 256}
    assert (leaf["isCA"], intermediate["isCA"], intermediate["pathLength"]) == (False, True, 0)
    assert data["ca"][0]["selfSigned"]
    assert data["csrIsOfCertificate"]
    assert data["secretKeys"] == ["ca.crt", "tls-combined.pem", "tls.crt", "tls.key"]


def test_inspect_without_rights_to_secrets(csr: Plugin, site: Site, folder: Path) -> None:
    reader = user(site.kubectl, folder, "reader", *READER)
    words = reader("inspect", "www").words
    assert f"Serial number {site.status('www')['serialNumber']}" in words
    assert "Certificate signing request (status.csr): Subject CN=www.example.com" in words
    assert '(Secret www-tls could not be read: secrets "www-tls" is forbidden' in words

    assert (
        'not verified: Secret www-tls could not be read: secrets "www-tls" is forbidden'
        in reader.run("verify", "www").words
    )
    assert reader.run("verify", "www").status == 1


def test_all_is_as_it_should_be(kubectl_csr: Plugin, csr: Plugin, site: Site) -> None:
    lines = kubectl_csr("verify", "--all").out.splitlines()
    assert [line.split(":")[0].split("/")[1] for line in lines] == ["binary", "plain", "root", "sub", "www"]
    assert all(": OK: " in line for line in lines)
    assert csr.json("verify", "www") == {
        "namespace": site.kubectl.namespace,
        "name": "www",
        "secretName": "www-tls",
        "ok": True,
        "verified": True,
        "differences": [],
        "certificate": "CN=www.example.com, DNS:www.example.com, IP:192.0.2.1, URI:spiffe://example.com/www, "
        f"valid until {site.status('www')['notAfter']}",
    }


def test_what_was_changed_behind_the_operators_back_is_told(csr: Plugin, site: Site, tmp_path: Path) -> None:
    data = site.data("www-tls")
    (tmp_path / "key.pem").write_text(data["tls.key"])
    key = tmp_path / "key.pem"
    usurper = openssl(
        *("req", "-x509", "-key", key, "-subj", "/CN=usurper", "-days", "365"),
        *("-addext", "subjectAltName=DNS:usurper.example.com", "-addext", "extendedKeyUsage=clientAuth"),
        *("-addext", "basicConstraints=critical,CA:TRUE"),
    )
    other_key = site.data("plain-tls")["tls.key"]
    with site.operator_away():
        for change, expected in (
            (
                {"tls.key": other_key},
                ["public key: the certificate is for another key", "tls-combined.pem: it is not the key"],
            ),
            ({"tls.key": "no key"}, ["private key: this is not a private key in PEM form"]),
            (
                {"tls.crt": usurper},
                [
                    "chain: ",
                    'DNS name: "www.example.com" is missing',
                    'DNS name: "usurper.example.com" was not asked for',
                    'subject: "CN=usurper" was not asked for',
                    'usages: "server auth" is missing',
                    'usages: "client auth" was not asked for',
                    "CA bit: it is a CA certificate",
                    "tls.crt: it is not the certificate that the operator put there",
                ],
            ),
            ({"tls-combined.pem": other_key}, ["1 difference", "tls-combined.pem: it is not the key in tls.key"]),
            ({"tls.crt": data["tls.crt"] * 2}, ["tls.crt: it is not the certificate, and then each one"]),
            ({"ca.crt": usurper}, ["not among the issuer's roots"]),
            ({"ca.crt": None}, ["ca.crt: it is missing"]),
        ):
            _patch(site, "www-tls", change)
            answer = csr.run("verify", "www")
            assert answer.status == 1
            for text in expected:
                assert text in answer.out, (change.keys(), answer.out)
            _patch(site, "www-tls", data)
        found = csr.run("verify", "www")
        assert found.status == 0, found.out

        _patch(site, "binary-tls", {"key.der": "no key"})
        assert "1 difference\n  key.der: it is not the key in tls.key\n" in csr.run("verify", "binary").out

        site.kubectl("delete", "secret", "plain-tls")
        assert csr.run("verify", "plain").out.endswith("1 difference\n  Secret plain-tls does not exist\n")
        site.kubectl.apply(opaque("plain-tls", key="value"))
        assert "Secret plain-tls was not made by the operator" in csr.run("verify", "plain").out
        assert csr.run("verify", "--all").status == 1
        site.kubectl("delete", "secret", "plain-tls")
    wait_until("the operator has repaired it", lambda: csr.run("verify", "--all").status == 0)


def test_a_spec_that_has_changed_since_is_told(csr: Plugin, site: Site) -> None:
    with site.operator_away():
        site.kubectl("patch", "csreq", "plain", "--type=merge", "-p", '{"spec": {"dnsNames": ["new.example.com"]}}')
        differences = csr.run("verify", "plain", "-o", "json")
        assert differences.status == 1
        assert json.loads(differences.out)["differences"] == [
            'DNS name: "new.example.com" is missing',
            'DNS name: "plain.example.com" was not asked for',
            "spec: it was changed since the certificate was issued, and another is to take its place",
        ]
        assert "Not ready: Outdated" in csr("status", "plain").out
    wait_until("it was reissued", lambda: csr.run("verify", "plain").status == 0)


def _patch(site: Site, name: str, data: Mapping[str, str | None]) -> None:
    encoded = {key: base64_text(value) if value is not None else None for key, value in data.items()}
    site.kubectl("patch", "secret", name, "--type=merge", "-p", json.dumps({"data": encoded}))


def test_one_that_is_not_there_keeps_no_other_from_being_verified(kubectl_csr: Plugin) -> None:
    answer = kubectl_csr.run("verify", "www", "nosuch", "plain")
    assert answer.status == 1
    assert '"nosuch" not found' in answer.err
    assert "www" in answer.out
    assert "plain" in answer.out
