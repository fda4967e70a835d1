"""An existing Secret is taken over with its certificate, if who may write it says so and it is what is asked for."""

import uuid
from typing import Any

import pytest

from tests.support.kubectl import wait_until
from tests.support.manifests import issuer, request
from tests.support.moving import ADOPT, issued_elsewhere, secret_of_others, submits
from tests.support.revocation import ON_DELETE, checked, crl, events, make_revoking_ca, wait_gone
from tests.support.site import REQUEST, Site, base64_text, decoded

GROUP = "csr-operator.dev"


@pytest.fixture(scope="module", autouse=True)
def revoking(site: Site) -> None:
    make_revoking_ca(site)


def test_a_secret_is_taken_over_as_it_is(site: Site, unique_name: str) -> None:
    data = issued_elsewhere(site, unique_name) | {"extra.txt": base64_text("kept")}
    site.kubectl.apply(secret_of_others(f"{unique_name}-tls", data, adopt=unique_name))
    before = submits(site)

    site.kubectl.apply(request(unique_name, "ca", secretTemplate={"labels": {"app": "shop"}}))

    site.kubectl.wait_ready(unique_name)
    secret = site.kubectl.get("secret", f"{unique_name}-tls")
    assert decoded(secret) == decoded({"data": data})
    metadata = secret["metadata"]
    assert metadata["annotations"]["cert-manager.io/certificate-name"] == "www"
    assert metadata["annotations"][ADOPT] == ""
    assert metadata["labels"].items() >= {"app": "shop", f"{GROUP}/managed": "true"}.items()
    assert [owner["name"] for owner in metadata["ownerReferences"]] == [unique_name]
    status = site.status(unique_name)
    assert status["revision"] == 1
    assert status["serialNumber"] == metadata["annotations"][f"{GROUP}/serial-number"]
    assert metadata["annotations"][f"{GROUP}/issuer"] == "Issuer/ca"
    site.settle()
    assert submits(site) == before + 1  # that of `settle`
    assert "was taken over" in wait_until("there is an event", lambda: events(site, unique_name, "Adopted"))[0]

    site.kubectl("annotate", REQUEST, unique_name, f"{GROUP}/renew=now")
    site.wait_status(unique_name, revision=2)
    secret = site.kubectl.get("secret", f"{unique_name}-tls")
    assert ADOPT not in secret["metadata"]["annotations"]
    assert decoded(secret)["extra.txt"] == "kept"
    assert secret["data"]["tls.key"] != data["tls.key"]


def test_the_wish_is_noticed_when_it_comes_later(site: Site, unique_name: str) -> None:
    data = issued_elsewhere(site, unique_name)
    site.kubectl.apply(secret_of_others(f"{unique_name}-tls", data))
    before, asked = site.kubectl.get("secret", f"{unique_name}-tls"), submits(site)
    site.kubectl.apply(request(unique_name, "ca"))
    stalled = site.wait_condition(unique_name, "Stalled", "SecretNotOwned")
    adopt = f"`kubectl csr adopt {unique_name} -n {site.kubectl.namespace}`"
    assert stalled["message"].endswith(f"; to take it over, if it holds what the request asks for: {adopt}")
    assert site.kubectl.get("secret", f"{unique_name}-tls") == before

    site.kubectl("annotate", "secret", f"{unique_name}-tls", f"{ADOPT}={unique_name}")

    site.kubectl.wait_ready(unique_name)
    assert site.data(f"{unique_name}-tls") == decoded({"data": data})
    assert submits(site) == asked, "a CA was asked for what cannot be stored"


def test_a_secret_is_taken_over_and_outlives_its_request(site: Site, unique_name: str) -> None:
    data = issued_elsewhere(site, unique_name)
    site.kubectl.apply(secret_of_others(f"{unique_name}-tls", data, adopt=unique_name))
    site.kubectl.apply(request(unique_name, "ca", deletionPolicy="Retain"))
    site.kubectl.wait_ready(unique_name)
    metadata = site.kubectl.get("secret", f"{unique_name}-tls")["metadata"]
    assert "ownerReferences" not in metadata
    assert metadata["annotations"][f"{GROUP}/retained-for"] == unique_name


OWNER = {"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "name": "www", "uid": str(uuid.uuid4())}
MISMATCHES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "names": ({}, {"dnsNames": ["other.example.com"]}, 'DNS name: "other.example.com" is missing'),
    "key": (
        {},
        {"privateKey": {"algorithm": "RSA"}},
        "private key: it is ECDSA 256, where spec.privateKey asks for RSA",
    ),
    "usages": ({}, {"usages": ["digital signature", "code signing"]}, "code signing"),
    "another-ca": ({}, {"issuerRef": {"name": "revoking"}}, "which is not among the issuer's roots"),
    "self-signed": ({}, {"issuerRef": {"name": "root"}}, "which is not among the issuer's roots"),
    "type": ({"type": "Opaque"}, {}, "is of type Opaque, where kubernetes.io/tls is needed, and"),
    "owner": (
        {"metadata": {"ownerReferences": [OWNER | {"controller": True}]}},
        {},
        "release it, for example with `kubectl delete certificate www --cascade=orphan`",
    ),
}


@pytest.fixture(scope="module")
def mismatched(site: Site) -> float:
    """Of each kind a Secret and the request that is to have it; how often a CA was asked before."""
    data = issued_elsewhere(site, "mismatch")
    for kind, (change, _, _) in MISMATCHES.items():
        site.kubectl.apply(secret_of_others(f"m-{kind}-tls", data, adopt=f"m-{kind}", **change))
    asked = submits(site)
    wanted = {"dnsNames": ["mismatch.example.com"]}
    site.kubectl.apply(*(request(f"m-{kind}", "ca", **{**wanted, **spec}) for kind, (_, spec, _) in MISMATCHES.items()))
    return asked


@pytest.mark.parametrize("kind", MISMATCHES)
def test_what_is_not_asked_for_is_refused_with_each_difference(site: Site, mismatched: float, kind: str) -> None:
    before = site.kubectl.get("secret", f"m-{kind}-tls")
    message = site.wait_condition(f"m-{kind}", "Stalled", "AdoptionRefused")["message"]
    assert MISMATCHES[kind][2] in message
    assert site.kubectl.get("secret", f"m-{kind}-tls") == before
    assert submits(site) == mismatched


def test_a_certificate_without_its_key_is_refused(site: Site, unique_name: str) -> None:
    data = issued_elsewhere(site, unique_name)
    other = issued_elsewhere(site, f"{unique_name}-other")
    mixed = data | {"tls.key": other["tls.key"]}
    site.kubectl.apply(secret_of_others(f"{unique_name}-tls", mixed, adopt=unique_name), request(unique_name, "ca"))
    message = site.wait_condition(unique_name, "Stalled", "AdoptionRefused")["message"]
    assert "none of the" in message
    assert "is for the key that was asked for" in message


def test_a_request_that_is_corrected_takes_it_over(site: Site, unique_name: str) -> None:
    data = issued_elsewhere(site, unique_name)
    site.kubectl.apply(secret_of_others(f"{unique_name}-tls", data, adopt=unique_name))
    site.kubectl.apply(request(unique_name, "ca", dnsNames=["wrong.example.com"]))
    site.wait_condition(unique_name, "Stalled", "AdoptionRefused")
    asked = submits(site)
    site.kubectl.apply(request(unique_name, "ca"))
    site.kubectl.wait_ready(unique_name)
    assert submits(site) == asked
    assert site.data(f"{unique_name}-tls") == decoded({"data": data})


def test_it_waits_for_an_issuer_whose_it_could_be(site: Site, unique_name: str) -> None:
    data = issued_elsewhere(site, unique_name)
    site.kubectl.apply(
        secret_of_others(f"{unique_name}-tls", data, adopt=unique_name), request(unique_name, f"{unique_name}-ca")
    )
    site.wait_condition(unique_name, "Reconciling", "IssuerNotFound")
    asked = submits(site)
    site.kubectl.apply(issuer(f"{unique_name}-ca", ca={"secretName": "root-tls"}))
    site.kubectl.wait_ready(unique_name)
    assert submits(site) == asked


def _let_go(site: Site, name: str) -> dict[str, Any]:
    """Delete the request alone; returns the Secret."""
    site.kubectl("delete", REQUEST, name, "--cascade=orphan", "--timeout=30s")
    wait_gone(site, name)
    return site.kubectl.get("secret", f"{name}-tls")


def test_what_a_request_left_behind_is_taken_over_by_the_next(site: Site, unique_name: str) -> None:
    site.kubectl.apply(request(unique_name, "ca"))
    site.kubectl.wait_ready(unique_name)
    left, asked = _let_go(site, unique_name), submits(site)
    assert "ownerReferences" not in left["metadata"]

    site.kubectl.apply(request(unique_name, "ca"))

    site.kubectl.wait_ready(unique_name)
    secret = site.kubectl.get("secret", f"{unique_name}-tls")
    assert secret["data"] == left["data"]
    uid = site.kubectl.get(REQUEST, unique_name)["metadata"]["uid"]
    assert [owner["uid"] for owner in secret["metadata"]["ownerReferences"]] == [uid]
    assert submits(site) == asked


def test_a_request_that_lets_its_secret_go_does_not_take_it_back(site: Site, unique_name: str) -> None:
    """The operator may hear that the Secret has no owner any more before it hears of the deletion."""
    names = [f"{unique_name}-{n}" for n in range(20)]
    site.kubectl.apply(*(request(each, "ca") for each in names))
    site.kubectl.wait_ready(*names)
    site.kubectl("delete", REQUEST, *names, "--cascade=orphan", "--timeout=60s")
    site.settle()
    left = {s["metadata"]["name"]: s["metadata"] for s in site.kubectl.list("secrets")}
    assert [each for each in names if "ownerReferences" in left[f"{each}-tls"]] == []


def test_what_was_left_and_is_not_asked_for_is_left_untouched(site: Site, unique_name: str) -> None:
    site.kubectl.apply(request(unique_name, "ca"))
    site.kubectl.wait_ready(unique_name)
    left, asked = _let_go(site, unique_name), submits(site)
    site.kubectl.apply(request(unique_name, "ca", dnsNames=["other.example.com"]))
    message = site.wait_condition(unique_name, "Stalled", "AdoptionRefused")["message"]
    assert message.endswith(f"change the request, or delete Secret {unique_name}-tls")
    assert (site.kubectl.get("secret", f"{unique_name}-tls"), submits(site)) == (left, asked)


def test_what_was_revoked_when_it_was_left_is_never_taken_over(site: Site, unique_name: str, tmp_path: Any) -> None:
    site.kubectl.apply(request(unique_name, "revoking", revocation=ON_DELETE))
    site.kubectl.wait_ready(unique_name)
    certificate = site.data(f"{unique_name}-tls")["tls.crt"]
    left = _let_go(site, unique_name)
    assert checked(tmp_path, certificate, crl(site)) == "certificate revoked"
    assert f"{GROUP}/revoked-certificate" in left["metadata"]["annotations"]
    asked = submits(site)

    for adopt in ("", unique_name):  # not even if somebody wants it
        site.kubectl("annotate", "secret", f"{unique_name}-tls", f"{ADOPT}={adopt}", "--overwrite")
        site.kubectl.apply(request(unique_name, "revoking"))
        message = site.wait_condition(unique_name, "Stalled", "AdoptionRefused")["message"]
        assert "the certificate was revoked, or was to be, when the request before was deleted" in message
        site.kubectl("delete", REQUEST, unique_name)

    assert submits(site) == asked
    assert site.kubectl.get("secret", f"{unique_name}-tls")["data"] == left["data"]


def test_what_was_revoked_and_retained_is_replaced(site: Site, unique_name: str, tmp_path: Any) -> None:
    wanted = request(unique_name, "revoking", revocation=ON_DELETE, deletionPolicy="Retain")
    site.kubectl.apply(wanted)
    site.kubectl.wait_ready(unique_name)
    certificate = site.data(f"{unique_name}-tls")["tls.crt"]
    site.kubectl("delete", REQUEST, unique_name, "--timeout=30s")
    assert checked(tmp_path, certificate, crl(site)) == "certificate revoked"
    site.kubectl.apply(wanted)
    site.wait_status(unique_name, revision=2)
    assert site.data(f"{unique_name}-tls")["tls.crt"] != certificate


def test_deletion_in_the_usual_way_marks_nothing(site: Site, unique_name: str) -> None:
    """The Secret goes as well, and is let go before: where it is still to be seen then, it has another version."""
    site.kubectl.apply(request(unique_name, "revoking", revocation=ON_DELETE))
    site.kubectl.wait_ready(unique_name)
    with site.operator_away():
        site.kubectl("delete", REQUEST, unique_name, "--wait=false")
    wait_gone(site, unique_name)
    left = site.kubectl.get("secret", f"{unique_name}-tls")
    assert not left or f"{GROUP}/revoked-certificate" not in left["metadata"]["annotations"]


def test_a_certificate_whose_key_is_elsewhere_is_nobodys_to_revoke(site: Site, unique_name: str, tmp_path: Any) -> None:
    """Else who names a key could have the certificate of somebody else revoked."""
    victim = f"{unique_name}-victim"
    site.kubectl.apply(request(victim, "revoking"))
    site.kubectl.wait_ready(victim)
    data = dict(site.kubectl.get("secret", f"{victim}-tls")["data"])
    certificate = decoded({"data": data})["tls.crt"]
    del data["tls.key"]
    site.kubectl.apply(secret_of_others(f"{unique_name}-tls", data, adopt=unique_name, type="Opaque"))
    spec = {"dnsNames": [f"{victim}.example.com"], "privateKey": {"secretRef": {"name": f"{victim}-tls"}}}
    asked = submits(site)
    site.kubectl.apply(request(unique_name, "revoking", revocation=ON_DELETE, **spec))
    site.kubectl.wait_ready(unique_name)
    assert submits(site) == asked
    assert site.kubectl.get("secret", f"{unique_name}-tls")["metadata"]["annotations"][f"{GROUP}/issuer"] == ""
    site.kubectl("delete", REQUEST, unique_name, "--timeout=30s")
    assert checked(tmp_path, certificate, crl(site)) == "OK"
