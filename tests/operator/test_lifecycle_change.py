"""A changed spec leads to a new certificate if the one there does not fit any more, and to none otherwise."""

import json
from datetime import timedelta
from typing import Any

import pytest

from tests.support.kubectl import condition, wait_until
from tests.support.manifests import issuer, request
from tests.support.names import unique
from tests.support.openssl import certificate_text, public_key
from tests.support.site import REQUEST, Site, moment


@pytest.fixture
def issued(site: Site) -> str:
    """The name of a request that was issued for one test alone."""
    name = unique("www")
    template = {"labels": {"team": "web", "tier": "front"}, "annotations": {"example.com/contact": "web"}}
    site.kubectl.apply(request(name, "ca", dnsNames=["www.example.com"], secretTemplate=template))
    site.kubectl.wait_ready(name)
    return name


def _change(site: Site, name: str, **spec: Any) -> None:
    site.kubectl("patch", REQUEST, name, "--type=merge", "-p", json.dumps({"spec": spec}))


def _observed(site: Site, name: str) -> dict[str, Any]:
    """The status once it speaks of the spec as it is now."""

    def probe() -> dict[str, Any] | None:
        obj = site.kubectl.get(REQUEST, name)
        status: dict[str, Any] = obj["status"]
        return status if status["observedGeneration"] == obj["metadata"]["generation"] else None

    return wait_until("the change is observed", probe)


CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "name-added": ({"dnsNames": ["www.example.com", "example.com"]}, "DNS:www.example.com, DNS:example.com"),
    "subject": ({"subject": {"organizations": ["Example"]}}, "Subject: O=Example"),
    "usages": ({"usages": ["digital signature", "server auth"]}, "TLS Web Server Authentication"),
    "key": ({"privateKey": {"size": 384}}, "ASN1 OID: secp384r1"),
    "issuer": ({"subject": {"organizations": ["Self"]}, "issuerRef": {"name": "root"}}, "Issuer: O=Self"),
}


@pytest.mark.parametrize(("spec", "shown"), CHANGES.values(), ids=CHANGES)
def test_what_the_certificate_shows_is_issued_anew(site: Site, issued: str, spec: dict[str, Any], shown: str) -> None:
    before = site.status(issued)

    _change(site, issued, **spec)

    after = _observed(site, issued)
    data = site.data(f"{issued}-tls")
    assert after["revision"] == 2
    assert after["serialNumber"] != before["serialNumber"]
    assert shown in certificate_text(data["tls.crt"])
    assert public_key(data["tls.crt"]) == public_key(data["tls.key"])
    assert [(c["type"], c["status"]) for c in after["conditions"]] == [("Ready", "True")]


def test_another_duration_is_issued_anew(site: Site, issued: str) -> None:
    _change(site, issued, duration="24h")

    status = _observed(site, issued)
    assert status["revision"] == 2
    assert moment(status["notAfter"]) - moment(status["notBefore"]) == timedelta(hours=24)


def test_a_never_rotated_key_lives_on_in_the_new_certificate(site: Site, issued: str) -> None:
    key = site.data(f"{issued}-tls")["tls.key"]

    _change(site, issued, privateKey={"rotationPolicy": "Never"}, dnsNames=["other.example.com"])

    assert _observed(site, issued)["revision"] == 2
    assert site.data(f"{issued}-tls")["tls.key"] == key


def test_another_encoding_of_the_key_is_written(site: Site, issued: str) -> None:
    _change(site, issued, privateKey={"encoding": "PKCS8"})

    _observed(site, issued)
    data = site.data(f"{issued}-tls")
    assert data["tls.key"].startswith("-----BEGIN PRIVATE KEY-----")
    assert public_key(data["tls.crt"]) == public_key(data["tls.key"])


@pytest.mark.parametrize(
    "spec",
    [
        {"privateKey": {"rotationPolicy": "Never"}},
        {"privateKey": {"algorithm": "ECDSA", "size": 256, "encoding": "PKCS1", "rotationPolicy": "Always"}},
        {"duration": "2160h0m0s", "isCA": False, "mustStaple": False, "subject": {"organizations": []}},
        {"issuerRef": {"name": "ca", "kind": "Issuer", "group": "csr-operator.dev"}},
    ],
    ids=["rotationPolicy", "privateKey", "false-and-empty", "issuerRef"],
)
def test_a_default_spelled_out_and_what_no_certificate_shows_leave_the_secret_alone(
    site: Site, issued: str, spec: dict[str, Any]
) -> None:
    before, secret = site.status(issued), site.kubectl.get("secret", f"{issued}-tls")

    _change(site, issued, **spec)

    after = _observed(site, issued)
    assert (after["revision"], after["serialNumber"]) == (1, before["serialNumber"])
    assert (
        site.kubectl.get("secret", f"{issued}-tls")["metadata"]["resourceVersion"]
        == secret["metadata"]["resourceVersion"]
    )


def test_another_renew_before_moves_the_renewal_and_no_more(site: Site, issued: str) -> None:
    before = site.status(issued)

    _change(site, issued, renewBefore="24h")

    after = _observed(site, issued)
    assert after["renewalTime"] > before["renewalTime"]
    assert after["serialNumber"] == before["serialNumber"]
    assert (
        site.metric("csr_operator_request_renewal_timestamp_seconds", issued)
        == moment(after["renewalTime"]).timestamp()
    )


def test_labels_and_annotations_follow_the_template_with_the_same_certificate(site: Site, issued: str) -> None:
    before, name = site.status(issued), f"{issued}-tls"
    site.kubectl("label", "secret", name, "theirs=1")
    site.kubectl("annotate", "secret", name, "theirs=2")

    # Added, changed, removed.
    _change(
        site,
        issued,
        secretTemplate={
            "labels": {"new": "1", "team": "shop", "tier": None},
            "annotations": {"example.com/contact": None, "example.com/new": "2"},
        },
    )

    after = _observed(site, issued)
    secret = site.kubectl.get("secret", name)
    labels, annotations = secret["metadata"]["labels"], secret["metadata"]["annotations"]
    assert labels == {"new": "1", "team": "shop", "theirs": "1", "csr-operator.dev/managed": "true"}
    assert {k: v for k, v in annotations.items() if "csr-operator.dev/" not in k} == {
        "example.com/new": "2",
        "theirs": "2",
    }
    assert (after["revision"], after["serialNumber"]) == (1, before["serialNumber"])

    _change(site, issued, secretTemplate=None)

    _observed(site, issued)
    assert site.kubectl.get("secret", name)["metadata"]["labels"] == {
        "theirs": "1",
        "csr-operator.dev/managed": "true",
    }
    assert site.status(issued)["serialNumber"] == before["serialNumber"]


def test_another_issuer_that_is_not_there_leaves_the_old_certificate_in_place(site: Site, issued: str) -> None:
    data = site.data(f"{issued}-tls")

    _change(site, issued, issuerRef={"name": "later"})

    ready = site.wait_condition(issued, "Ready", "IssuerNotFound")
    assert ready["status"] == "False"
    assert "later does not exist: create it" in ready["message"]
    assert condition(site.kubectl.get(REQUEST, issued), "Reconciling")["status"] == "True"
    assert site.data(f"{issued}-tls") == data

    site.kubectl.apply(issuer("later"))
    assert site.wait_status(issued, revision=2)["conditions"][0]["status"] == "True"
