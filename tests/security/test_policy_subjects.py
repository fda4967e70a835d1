"""A policy holds for the whole subject: no common name passes for a host, and no organization comes along unasked."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.manifests import issuer, request
from tests.support.openssl import openssl
from tests.support.site import REQUEST, Site

CA = {"secretName": "root-tls"}
WEB: dict[str, Any] = {"name": "web", "dnsNames": {"suffixes": ["team-a.example.com"], "wildcards": True}}
CLIENTS: dict[str, Any] = {
    "name": "ci",
    "commonNames": {"exact": ["ci-deployer"]},
    "subject": {"organizations": ["deployers"]},
    **{kind: {} for kind in ("dnsNames", "ipAddresses", "uris", "emailAddresses")},
    "keys": [{"algorithm": "ECDSA"}],
}
"""As docs/operations.md has it for the client CA of a cluster."""

HOSTS = (
    "ban*.example.com",
    "*nk.example.com",
    "my_db.prod.example.com",
    "kubernetes",
    "vault",
    "localhost",
    "host.123",
)
ATTACKS: dict[str, tuple[str, Mapping[str, Any], str]] = {
    **{
        f"cn-{number}": (
            "web",
            {"commonName": host, "dnsNames": ["www.team-a.example.com"]},
            f'commonName: "{host}" is not among the dnsNames asked for',
        )
        for number, host in enumerate((*HOSTS, "-bank.example.com"))
    },
    "cn-alone": ("web", {"commonName": "kubernetes", "uris": ["urn:x"]}, 'commonName: "kubernetes" is not among'),
    "masters": (
        "clients",
        {"commonName": "ci-deployer", "subject": {"organizations": ["deployers", "system:masters"]}},
        'subject.organizations: "system:masters" is not allowed',
    ),
    "admin": (
        "clients",
        {"literalSubject": "CN=system:admin,O=system:masters"},
        'commonName: "system:admin" is not allowed; subject.organizations: "system:masters" is not allowed',
    ),
    "unit": (
        "web",
        {"dnsNames": ["www.team-a.example.com"], "subject": {"organizationalUnits": ["Security"]}},
        'subject.organizationalUnits: "Security" is not allowed',
    ),
    "literal": (
        "web",
        {"dnsNames": ["www.team-a.example.com"], "literalSubject": "UID=root,DC=example"},
        "subject: attribute 0.9.2342.19200300.100.1.",
    ),
    "mail": (
        "clients",
        {"literalSubject": "CN=ci-deployer,E=ceo@example.com"},
        'emailAddresses: "ceo@example.com" is not allowed',
    ),
    "rsa": (
        "open",
        {"privateKey": {"algorithm": "RSA", "size": 8192}},
        "privateKey.size: RSA 8192 is beyond 4096 bits: take a smaller one, or have a rule of the issuer's policy",
    ),
}


@pytest.fixture(scope="module", autouse=True)
def requester(site: Site) -> None:
    """Mallory may make requests, and nothing else; the issuers have policies, but for one."""
    resource = "--resource=certificaterequests.csr-operator.dev"
    site.kubectl("create", "role", "requester", "--verb=create,get,list,patch", resource)
    site.kubectl("create", "rolebinding", "requester", "--role=requester", "--user=mallory")
    site.kubectl.apply(
        issuer("web", ca=CA, policy={"default": "Deny", "rules": [WEB]}),
        issuer("clients", ca=CA, policy={"default": "Deny", "rules": [CLIENTS]}),
        issuer("open", ca=CA),
        issuer("large", ca=CA, policy={"rules": [{"keys": [{"algorithm": "RSA", "maxSize": 8192}]}]}),
    )


def mallory_asks(site: Site, *requests: Mapping[str, Any]) -> None:
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": requests})
    site.kubectl("apply", "--server-side", "--as=mallory", "-f", "-", stdin=text)


def test_what_no_rule_allows_is_signed_in_no_shape(site: Site) -> None:
    mallory_asks(site, *(request(name, by, **spec) for name, (by, spec, _) in ATTACKS.items()))
    for name, (_, _, why) in ATTACKS.items():
        stalled = site.wait_condition(name, "Stalled", "PolicyDenied")
        assert why in stalled["message"]
        assert site.kubectl.get("secret", f"{name}-tls") == {}


def test_nor_by_a_csr_of_ones_own(site: Site, tmp_path: Path) -> None:
    subject = "/CN=www.team-a.example.com/O=system:masters"
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", tmp_path / "key")
    san = "subjectAltName=DNS:www.team-a.example.com"
    pem = openssl("req", "-new", "-key", tmp_path / "key", "-subj", subject, "-addext", san)
    mallory_asks(site, request("own", "web", request=pem))
    stalled = site.wait_condition("own", "Stalled", "PolicyDenied")
    assert stalled["message"].endswith('rule web: subject.organizations: "system:masters" is not allowed')


def test_what_the_rules_list_is_signed(site: Site) -> None:
    mallory_asks(
        site,
        request("www", "web", commonName="WWW.team-a.example.com", dnsNames=["www.team-a.example.com"]),
        request("ci", "clients", commonName="ci-deployer", subject={"organizations": ["deployers"]}),
    )
    site.kubectl.wait_ready("www", "ci")
    assert "O = deployers" in openssl("x509", "-noout", "-subject", stdin=site.data("ci-tls")["tls.crt"])


def test_a_large_key_takes_a_rule_and_gets_past_it_only(site: Site) -> None:
    mallory_asks(site, request("fits", "large", privateKey={"algorithm": "RSA", "size": 4104}))
    site.kubectl.wait_ready("fits", seconds=120)
    site.kubectl("patch", REQUEST, "fits", "--type=merge", "-p", '{"spec": {"issuerRef": {"name": "open"}}}')
    stalled = site.wait_condition("fits", "Stalled", "PolicyDenied")
    assert "RSA 4104 is beyond 4096 bits" in stalled["message"]
