"""OpenSSL reads out of certificates and requests what was asked for, and verifies every chain strictly."""

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.manifests import issuer, request
from tests.support.openssl import certificate_text, openssl, public_key, request_text, split, verify
from tests.support.site import Site, decoded

KEYS: dict[str, tuple[dict[str, Any], str]] = {
    "rsa-2048": ({"algorithm": "RSA"}, "Public-Key: (2048 bit)"),
    "rsa-4096": ({"algorithm": "RSA", "size": 4096}, "Public-Key: (4096 bit)"),
    "ecdsa-256": ({}, "ASN1 OID: prime256v1"),
    "ecdsa-384": ({"algorithm": "ECDSA", "size": 384}, "ASN1 OID: secp384r1"),
    "ecdsa-521": ({"algorithm": "ECDSA", "size": 521}, "ASN1 OID: secp521r1"),
    "ed25519": ({"algorithm": "Ed25519"}, "Public Key Algorithm: ED25519"),
}
ENCODINGS = {
    "rsa-pkcs1": ({"algorithm": "RSA", "encoding": "PKCS1"}, "BEGIN RSA PRIVATE KEY"),
    "rsa-pkcs8": ({"algorithm": "RSA", "encoding": "PKCS8"}, "BEGIN PRIVATE KEY"),
    "ecdsa-pkcs1": ({"encoding": "PKCS1"}, "BEGIN EC PRIVATE KEY"),
    "ecdsa-pkcs8": ({"encoding": "PKCS8"}, "BEGIN PRIVATE KEY"),
    "ed25519-pkcs8": ({"algorithm": "Ed25519", "encoding": "PKCS8"}, "BEGIN PRIVATE KEY"),
}
# What is asked for, and what both the request's and the certificate's text have to say.
CONTENTS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "wildcard-and-apex": (
        {"commonName": "example.com", "dnsNames": ["example.com", "*.example.com"]},
        ["Subject: CN=example.com", "DNS:example.com, DNS:*.example.com"],
    ),
    "every-dn-field": (
        {
            "commonName": "www.example.com",
            "dnsNames": ["www.example.com"],
            "subject": {
                "countries": ["DE"],
                "organizations": ["Müller & Söhne, KG"],
                "organizationalUnits": ["Web"],
                "localities": ["Köln"],
                "provinces": ["NRW"],
                "streetAddresses": ["Domstr. 1"],
                "postalCodes": ["50667"],
                "serialNumber": "HRB 4711",
                "emailAddress": "hostmaster@example.com",
            },
        },
        [
            *("C=DE", r"O=Müller & Söhne\, KG", "OU=Web", "L=Köln", "ST=NRW", "street=Domstr. 1"),
            *("postalCode=50667", "serialNumber=HRB 4711", "CN=www.example.com"),
            "emailAddress=hostmaster@example.com",
        ],
    ),
    "literal-subject": (
        {"literalSubject": "CN=www.example.com,OU=Web+OU=Shop,O=Example,DC=example,DC=com"},
        # DER sorts what is in one RDN.
        ["Subject: CN=www.example.com,OU=Shop+OU=Web,O=Example,DC=example,DC=com"],
    ),
    "all-names": (
        {
            "dnsNames": ["münchen.example.com"],
            "ipAddresses": ["192.0.2.7", "2001:db8::7"],
            "uris": ["spiffe://example.org/web"],
            "emailAddresses": ["web@example.com"],
            "otherNames": [{"oid": "1.3.6.1.4.1.311.20.2.3", "utf8Value": "web@corp.example.com"}],
        },
        [
            "X509v3 Subject Alternative Name: critical DNS:xn--mnchen-3ya.example.com",
            "IP Address:192.0.2.7, IP Address:2001:DB8:0:0:0:0:0:7",
            "URI:spiffe://example.org/web",
            "email:web@example.com",
            "othername: UPN::web@corp.example.com",
        ],
    ),
    "default-usages": (
        {"privateKey": {"algorithm": "RSA"}},
        ["X509v3 Key Usage: critical Digital Signature, Key Encipherment"],
    ),
    "usages": (
        {"usages": ["digital signature", "key agreement", "server auth", "client auth", "1.3.6.1.4.1.311.20.2.2"]},
        [
            "X509v3 Key Usage: critical Digital Signature, Key Agreement",
            "TLS Web Server Authentication, TLS Web Client Authentication, Microsoft Smartcard Login",
        ],
    ),
    "ca-with-path-length": (
        {"commonName": "Sub CA", "isCA": True, "pathLenConstraint": 1},
        ["X509v3 Basic Constraints: critical CA:TRUE, pathlen:1", "Certificate Sign, CRL Sign"],
    ),
    "name-constraints": (
        {
            "commonName": "Constrained CA",
            "isCA": True,
            "nameConstraints": {
                "critical": True,
                "permitted": {"dnsDomains": ["example.com"], "ipRanges": ["192.0.2.0/24"]},
                "excluded": {"emailAddresses": [".example.net"], "uriDomains": ["secret.example.com"]},
            },
        },
        [
            "X509v3 Name Constraints: critical Permitted: DNS:example.com IP:192.0.2.0/255.255.255.0",
            "Excluded: email:.example.net URI:secret.example.com",
        ],
    ),
    "must-staple": ({"mustStaple": True}, ["TLS Feature: status_request"]),
    "custom-extension": (
        {
            "extensions": [
                {"oid": "1.3.6.1.4.1.311.20.2", "value": base64.b64encode(b"\x1e\x06\x00W\x00e\x00b").decode()}
            ]
        },
        ["1.3.6.1.4.1.311.20.2: ...W.e.b"],
    ),
}


@dataclass(frozen=True, slots=True)
class Issued:
    """`data` of a Secret, and the texts of its certificate and of the CSR in the request's status."""

    data: dict[str, str]
    certificate: str
    csr: str


@pytest.fixture(scope="module")
def objects(site: Site) -> dict[str, dict[str, Any]]:
    """All requests and Secrets of this module, by name; the requests are Ready."""
    keys = {name: parameters for name, (parameters, _) in {**KEYS, **ENCODINGS}.items()}
    site.kubectl.apply(
        *(request(name, "ca", commonName=name, dnsNames=["a.test"], privateKey=keys[name]) for name in keys),
        *(request(name, "ca", **spec) for name, (spec, _) in CONTENTS.items()),
        request("intermediate", "ca", commonName="Test Intermediate", isCA=True, pathLenConstraint=0),
        issuer("intermediate", ca={"secretName": "intermediate-tls"}),
        request("leaf", "intermediate"),
        request("self", "root", dnsNames=["self.example.com"]),
    )
    site.kubectl.wait_ready(seconds=60)
    return {obj["metadata"]["name"]: obj for obj in site.kubectl.list("certificaterequests,secrets")}


@pytest.fixture
def issued(objects: dict[str, dict[str, Any]], tmp_path: Path, request_name: str) -> Issued:
    """OpenSSL takes its chain and the CSR, and key, certificate and CSR belong together."""
    data, csr = decoded(objects[f"{request_name}-tls"]), objects[request_name]["status"]["csr"]
    verify(tmp_path, data)
    key = public_key(data["tls.key"])
    assert public_key(data["tls.crt"]) == key
    assert openssl("req", "-noout", "-verify", "-pubkey", stdin=csr) == key
    return Issued(data, certificate_text(data["tls.crt"]), request_text(csr))


@pytest.mark.parametrize("request_name", KEYS)
def test_key_algorithms_and_sizes(request_name: str, issued: Issued) -> None:
    wanted = KEYS[request_name][1]
    assert wanted in issued.certificate
    assert wanted in issued.csr
    openssl("pkey", "-noout", "-check", stdin=issued.data["tls.key"])


@pytest.mark.parametrize("request_name", ENCODINGS)
def test_key_encodings(request_name: str, issued: Issued) -> None:
    assert issued.data["tls.key"].startswith(f"-----{ENCODINGS[request_name][1]}-----\n")


@pytest.mark.parametrize("request_name", CONTENTS)
def test_names_usages_and_extensions(request_name: str, issued: Issued) -> None:
    for wanted in CONTENTS[request_name][1]:
        assert wanted in issued.certificate
        assert wanted in issued.csr


@pytest.mark.parametrize("request_name", ["ecdsa-256"])
def test_a_leaf_is_no_ca(issued: Issued) -> None:
    assert "X509v3 Basic Constraints: critical CA:FALSE" in issued.certificate
    assert "X509v3 Key Usage: critical Digital Signature" in issued.certificate


@pytest.mark.parametrize("request_name", ["leaf"])
def test_a_chain_of_three_is_served_without_its_root(objects: dict[str, dict[str, Any]], issued: Issued) -> None:
    root, intermediate = (decoded(objects[name])["tls.crt"] for name in ("root-tls", "intermediate-tls"))
    assert "Issuer: CN=Test Intermediate" in issued.certificate
    assert split(issued.data["tls.crt"])[1:] == [intermediate]
    assert issued.data["ca.crt"] == root


@pytest.mark.parametrize("request_name", ["self"])
def test_what_is_self_signed_is_its_own_ca(issued: Issued) -> None:
    assert issued.data["ca.crt"] == issued.data["tls.crt"]
