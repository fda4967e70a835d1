"""What an approver is shown of a request: from its manifest, without a cluster."""

from pathlib import Path
from typing import Any

import pytest

from csr_operator.api.parse_request import parse_request
from csr_operator.cli.output import facts
from csr_operator.cli.review import Change, all_of_it, asks, last_change, unusual
from csr_operator.kube.objects import Object
from tests.support.openssl import openssl


def manifest(managed: list[dict[str, Any]] | None = None, **spec: Any) -> Object:
    return {
        "metadata": {
            "namespace": "shop",
            "name": "www",
            "uid": "6f1c2f4e-0000-4000-8000-000000000001",
            "resourceVersion": "7",
            "generation": 3,
            "creationTimestamp": "2026-05-01T00:00:00Z",
            "managedFields": managed or [],
        },
        "spec": {"secretName": "www-tls", "issuerRef": {"name": "ca"}, **spec},
    }


def said(**spec: Any) -> list[str]:
    return list(unusual(parse_request(manifest(**spec))))


WWW = {"dnsNames": ["www.example.com"]}


@pytest.mark.parametrize(
    "spec",
    [
        WWW,
        {"commonName": "www.example.com", **WWW},
        {**WWW, "usages": ["digital signature", "key encipherment", "server auth", "client auth"]},
        {**WWW, "duration": "2160h"},
        {**WWW, "subject": {"countries": ["US"], "organizations": ["Example Inc"], "localities": ["Bern"]}},
        {**WWW, "privateKey": {"algorithm": "RSA", "size": 4096}},
    ],
)
def test_what_most_ask_for_is_not_unusual(spec: dict[str, Any]) -> None:
    assert said(**spec) == []


@pytest.mark.parametrize(
    ("spec", "usages"),
    [
        (WWW, ["digital signature"]),
        ({**WWW, "privateKey": {"algorithm": "RSA"}}, ["digital signature", "key encipherment"]),
        ({**WWW, "isCA": True}, ["cert sign", "crl sign", "digital signature"]),
        ({**WWW, "usages": ["key encipherment", "server auth"]}, ["server auth"]),
        ({**WWW, "usages": ["key encipherment"]}, ["key encipherment"]),  # refused, and so called
    ],
)
def test_the_usages_are_those_that_the_certificate_gets(spec: dict[str, Any], usages: list[str]) -> None:
    seen = parse_request(manifest(**spec))
    assert asks(seen, None)["usages"] == usages
    assert dict(all_of_it(seen, None))["Usages"] == ", ".join(usages)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({**WWW, "isCA": True}, "a CA certificate, with any number of CA certificates below it"),
        ({**WWW, "isCA": True, "pathLenConstraint": 0}, "a CA certificate, with 0 CA certificates below it"),
        ({**WWW, "duration": "87600h"}, "duration 87600h, longer than the default of 2160h"),
        ({**WWW, "duration": "2160h0m1s"}, "duration 2160h1s, longer than the default of 2160h"),
        ({"dnsNames": ["*.example.com", "a.example.com"]}, "wildcard names: *.example.com"),
        ({**WWW, "usages": ["server auth", "code signing", "any"]}, "usages: any, code signing"),
        ({**WWW, "usages": ["1.3.6.1.4.1.311.20.2.2"]}, "usages: 1.3.6.1.4.1.311.20.2.2"),
        (
            {
                **WWW,
                "extensions": [
                    {"oid": "1.2.3.4", "value": "BQA=", "critical": True},
                    {"oid": "1.2.3", "value": "BQA="},
                ],
            },
            "extensions: 1.2.3, 1.2.3.4 (critical)",
        ),
        (
            {
                **WWW,
                "isCA": True,
                "nameConstraints": {
                    "permitted": {"dnsDomains": ["example.com"]},
                    "excluded": {"ipRanges": ["10.0.0.0/8"]},
                },
            },
            "name constraints: only example.com; not 10.0.0.0/8",
        ),
        ({**WWW, "mustStaple": True}, "mustStaple: clients refuse it without a stapled OCSP response"),
        (
            {**WWW, "otherNames": [{"oid": "1.3.6.1.4.1.311.20.2.3", "utf8Value": "admin@corp"}]},
            "otherNames: 1.3.6.1.4.1.311.20.2.3=admin@corp",
        ),
        ({**WWW, "subject": {"organizations": ["system:masters"]}}, "subject: O=system:masters"),
        ({"literalSubject": "CN=www,OU=Ops,UID=root"}, "subject: UID=root"),
        (
            {**WWW, "privateKey": {"rotationPolicy": "Never"}},
            "the key stays the same (privateKey.rotationPolicy is Never)",
        ),
        (
            {**WWW, "privateKey": {"secretRef": {"name": "hsm"}}},
            "the key stays the same: it is tls.key in Secret shop/hsm",
        ),
        ({"dnsNames": ["*.*.example.com"]}, "names that no certificate can have: dnsNames: "),
        ({"dnsNames": 7}, "the spec cannot be read: dnsNames: "),
    ],
)
def test_what_is_unusual_is_said(spec: dict[str, Any], words: str) -> None:
    found = said(**spec)
    assert any(text.startswith(words) for text in found), found


def test_the_most_far_reaching_comes_first() -> None:
    found = said(
        isCA=True,
        duration="87600h",
        usages=["cert sign", "crl sign", "code signing"],
        dnsNames=["*.example.com"],
    )
    assert [text.split(" ")[0] for text in found] == ["a", "duration", "wildcard", "usages:"]


def test_what_a_csr_of_ones_own_asks_for_is_said_as_well(tmp_path: Path) -> None:
    csr = openssl(
        *("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
        *("-keyout", tmp_path / "key.pem", "-subj", "/UID=root/CN=bank.example.com"),
        *("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "extendedKeyUsage=codeSigning"),
        *("-addext", "keyUsage=critical,keyCertSign,digitalSignature"),
    )
    found = said(request=csr)
    assert found[0] == "a CA certificate, with any number of CA certificates below it"
    assert "usages: code signing" in found
    assert "subject: UID=root" in found
    assert found[-1] == "the key stays the same: it is outside the cluster (spec.request)"


def test_the_whole_request_is_shown_and_control_characters_are_no_line_breaks() -> None:
    obj = manifest(
        commonName="www.example.com",
        subject={"organizations": ["Bank"], "countries": ["CH"]},
        dnsNames=["www.example.com", "a.example.com\n  Unusual"],
        ipAddresses=["10.0.0.1"],
        uris=["spiffe://example.com/web"],
        emailAddresses=["web@example.com"],
        usages=["client auth"],
    )
    text = facts(all_of_it(parse_request(obj), Change("kubectl-edit", "2026-06-01T00:00:00Z")))
    for part in (
        "Common name   www.example.com",
        "Subject       C=CH, O=Bank",
        "DNS           www.example.com",
        "IP            10.0.0.1",
        "URI           spiffe://example.com/web",
        "E-mail        web@example.com",
        "Usages        client auth",
        "Duration      2160h",
        "Key           ECDSA 256",
        "Issuer        Issuer/ca",
        "Secret        shop/www-tls",
        "Written       at 2026-06-01T00:00:00Z by kubectl-edit",
    ):
        assert part in text.splitlines()
    assert text.splitlines()[0].startswith("Unusual       names that no certificate can have: dnsNames: ")


def entry(manager: str, time: str, fields: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"manager": manager, "operation": "Update", "time": time, "fieldsV1": fields, **more}


def test_who_wrote_the_spec_last_is_who_owns_a_field_of_it() -> None:
    spec: dict[str, Any] = {"f:spec": {"f:dnsNames": {}}}
    managed = [
        entry("argocd-controller", "2026-06-01T00:00:00Z", spec),
        entry("kubectl-edit", "2026-06-02T00:00:00Z", spec),
        entry("labeller", "2026-06-03T00:00:00Z", {"f:metadata": {}}),
        entry("csr-operator", "2026-06-04T00:00:00Z", {"f:status": {}}, subresource="status"),
    ]
    assert last_change(manifest(managed)) == Change("kubectl-edit", "2026-06-02T00:00:00Z")
    assert last_change(manifest()) is None
