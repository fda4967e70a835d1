"""A request is issued: its status, its Secret, and what kubectl shows of both."""

from datetime import datetime, timedelta

import pytest

from tests.support.kubectl import condition
from tests.support.manifests import request
from tests.support.openssl import openssl, public_key, request_text
from tests.support.site import REQUEST, Site, decoded, moment


@pytest.fixture(scope="module", autouse=True)
def www(site: Site) -> None:
    """A request `www`, issued."""
    site.kubectl.apply(
        request(
            "www",
            "ca",
            commonName="www.example.com",
            dnsNames=["www.example.com", "example.com"],
            duration="48h",
            secretTemplate={"labels": {"team": "web"}, "annotations": {"example.com/contact": "web@example.com"}},
        )
    )
    site.kubectl.wait_ready("www")


def test_the_status_is_of_the_certificate_in_the_secret(site: Site) -> None:
    status, data = site.status("www"), site.data("www-tls")

    def field(option: str) -> str:
        return openssl("x509", "-noout", option, stdin=data["tls.crt"]).strip().split("=", 1)[1]

    assert status["serialNumber"] == field("-serial")
    assert status["notBefore"] == _rfc3339(field("-startdate"))
    assert status["notAfter"] == _rfc3339(field("-enddate"))
    fingerprint = openssl("x509", "-noout", "-fingerprint", "-sha256", stdin=data["tls.crt"]).strip().split("=", 1)[1]
    assert status["sha256Fingerprint"] == fingerprint
    assert status["revision"] == 1
    assert moment(status["notAfter"]) - moment(status["notBefore"]) == timedelta(hours=48)
    # Half of its life, as it is short, or up to a tenth of that earlier.
    age = moment(status["renewalTime"]) - moment(status["notBefore"])
    assert timedelta(hours=24 - 2.4, seconds=-1) <= age <= timedelta(hours=24)


def test_the_csr_in_the_status_is_signed_by_the_key_in_the_secret(site: Site) -> None:
    csr, data = site.status("www")["csr"], site.data("www-tls")

    text = request_text(csr)

    assert "Subject: CN=www.example.com" in text
    assert "DNS:www.example.com, DNS:example.com" in text
    assert openssl("req", "-noout", "-verify", "-pubkey", stdin=csr) == public_key(data["tls.key"])
    assert public_key(data["tls.crt"]) == public_key(data["tls.key"])


def _rfc3339(date: str) -> str:
    return datetime.strptime(date, "%b %d %H:%M:%S %Y GMT").strftime("%Y-%m-%dT%H:%M:%SZ")


def test_the_only_condition_is_ready(site: Site) -> None:
    www = site.kubectl.get(REQUEST, "www")

    assert www["status"]["observedGeneration"] == www["metadata"]["generation"]
    assert [(c["type"], c["status"], c["reason"]) for c in www["status"]["conditions"]] == [("Ready", "True", "Issued")]
    ready = condition(www, "Ready")
    assert ready["observedGeneration"] == www["metadata"]["generation"]
    assert www["status"]["notAfter"] in ready["message"]
    assert moment(ready["lastTransitionTime"]) >= moment(www["metadata"]["creationTimestamp"])


def test_the_secret_is_a_tls_secret_of_the_request(site: Site) -> None:
    www, secret = site.kubectl.get(REQUEST, "www"), site.kubectl.get("secret", "www-tls")

    assert secret["type"] == "kubernetes.io/tls"
    assert set(secret["data"]) == {"tls.crt", "tls.key", "ca.crt"}
    assert decoded(secret)["ca.crt"] == site.data("root-tls")["tls.crt"]
    metadata = secret["metadata"]
    assert metadata["labels"] == {"team": "web", "csr-operator.dev/managed": "true"}
    assert metadata["annotations"]["example.com/contact"] == "web@example.com"
    assert metadata["annotations"]["csr-operator.dev/serial-number"] == www["status"]["serialNumber"]
    assert metadata["ownerReferences"] == [
        {
            "apiVersion": "csr-operator.dev/v1alpha1",
            "kind": "CertificateRequest",
            "name": "www",
            "uid": www["metadata"]["uid"],
            "controller": True,
        }
    ]


def test_kubectl_get_shows_what_matters(site: Site) -> None:
    status = site.status("www")

    header, line = site.kubectl("get", "csreq", "www").splitlines()
    assert header.split() == ["NAME", "READY", "REASON", "SECRET", "ISSUER", "EXPIRES", "RENEWING", "AGE"]
    assert line.split()[:-1] == ["www", "True", "Issued", "www-tls", "ca", status["notAfter"]]

    wide = site.kubectl("get", "csreq", "www", "-o", "wide").splitlines()[1]
    assert {status["renewalTime"], status["serialNumber"], str(status["revision"])} <= set(wide.split())
    assert site.kubectl("get", "issuer", "ca").splitlines()[1].split()[:3][1] == "True"
