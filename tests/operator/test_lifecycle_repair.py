"""A Secret that was deleted or edited heals, and keeps its certificate wherever that still serves."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.kubectl import condition, wait_until
from tests.support.manifests import issuer, request
from tests.support.names import unique
from tests.support.openssl import public_key, split
from tests.support.site import REQUEST, Site, base64_text, decoded


@pytest.fixture(scope="module", autouse=True)
def intermediate(site: Site) -> None:
    """The issuer `intermediate`, below `ca`."""
    site.kubectl.apply(
        request("intermediate", "ca", commonName="Test Intermediate", isCA=True),
        issuer("intermediate", ca={"secretName": "intermediate-tls"}),
    )


@pytest.fixture
def issued(site: Site) -> str:
    """The name of a request that was issued, by the intermediate, for one test alone."""
    name = unique("www")
    site.kubectl.apply(_request(name))
    site.kubectl.wait_ready(name)
    return name


def _request(name: str, **spec: Any) -> dict[str, Any]:
    template = {"labels": {"team": "web"}, "annotations": {"example.com/contact": "web"}}
    return request(name, "intermediate", dnsNames=["www.example.com"], secretTemplate=template, **spec)


def _patch(site: Site, name: str, patch: dict[str, Any]) -> None:
    site.kubectl("patch", "secret", f"{name}-tls", "--type=merge", "-p", json.dumps(patch))


def _content(secret: dict[str, Any]) -> dict[str, Any]:
    """What a user of the Secret sees."""
    return {
        "data": secret.get("data"),
        "labels": secret["metadata"].get("labels"),
        "annotations": secret["metadata"].get("annotations"),
    }


def test_a_deleted_secret_is_back_with_a_new_key(site: Site, issued: str) -> None:
    before = site.data(f"{issued}-tls")

    site.kubectl("delete", "secret", f"{issued}-tls")

    status = site.wait_status(issued, revision=2)
    after = site.data(f"{issued}-tls")
    assert public_key(after["tls.key"]) == public_key(after["tls.crt"]) != public_key(before["tls.key"])
    assert status["conditions"][0]["status"] == "True"


NONSENSE = "bm9uc2Vuc2U="
LOST: dict[str, dict[str, Any]] = {
    "certificate-emptied": {"data": {"tls.crt": ""}},
    "certificate-nonsense": {"data": {"tls.crt": NONSENSE}},
    "key-emptied": {"data": {"tls.key": ""}},
    "key-nonsense": {"data": {"tls.key": NONSENSE}},
}
LOST_CA: dict[str, dict[str, Any]] = {
    "ca-removed": {"data": {"ca.crt": None}},
    "ca-emptied": {"data": {"ca.crt": ""}},
    "ca-nonsense": {"data": {"ca.crt": NONSENSE}},
}
HARMLESS: dict[str, dict[str, Any]] = {
    "our-annotation-changed": {"metadata": {"annotations": {"csr-operator.dev/not-after": "2100-01-01T00:00:00Z"}}},
    "our-annotation-removed": {"metadata": {"annotations": {"csr-operator.dev/not-after": None}}},
    "hash-changed": {"metadata": {"annotations": {"csr-operator.dev/issuance-hash": "0"}}},
    "template-annotation-changed": {"metadata": {"annotations": {"example.com/contact": "somebody else"}}},
    "template-label-removed": {"metadata": {"labels": {"team": None}}},
    "our-label-changed": {"metadata": {"labels": {"csr-operator.dev/managed": "false"}}},
    # The watch, which goes by this label, then shows the Secret as deleted.
    "our-label-removed": {"metadata": {"labels": {"csr-operator.dev/managed": None}}},
}
DAMAGE = {**LOST, **LOST_CA, **HARMLESS}
"""What is done to a Secret, as a merge patch."""


@dataclass(frozen=True, slots=True)
class Healed:
    """A Secret before it was damaged and after it healed, and the revision of its request then."""

    before: dict[str, Any]
    after: dict[str, Any]
    revision: int


@pytest.fixture(scope="module")
def healed(site: Site) -> dict[str, Healed]:
    """All of DAMAGE, done at the same time to a Secret each."""

    def secrets() -> dict[str, dict[str, Any]]:
        return {s["metadata"]["name"].removesuffix("-tls"): s for s in site.kubectl.list("secrets")}

    def revisions() -> dict[str, int]:
        return {r["metadata"]["name"]: r["status"].get("revision", 0) for r in site.kubectl.list(REQUEST)}

    site.kubectl.apply(*(_request(name) for name in DAMAGE))
    site.kubectl.wait_ready(*DAMAGE)
    before = secrets()

    for name, patch in DAMAGE.items():
        _patch(site, name, patch)

    def whole() -> bool:
        now, revision = secrets(), revisions()
        return (
            all(revision[name] == 2 for name in LOST)
            and all(now[name]["data"].get("ca.crt") == before[name]["data"]["ca.crt"] for name in LOST_CA)
            and all(_content(now[name]) == _content(before[name]) for name in HARMLESS)
        )

    wait_until("all Secrets have healed", whole)
    site.settle()
    after, revision = secrets(), revisions()
    return {name: Healed(before[name], after[name], revision[name]) for name in DAMAGE}


@pytest.mark.parametrize("name", LOST)
def test_a_lost_certificate_or_key_is_replaced(healed: dict[str, Healed], name: str) -> None:
    before, after = decoded(healed[name].before), decoded(healed[name].after)
    assert public_key(after["tls.key"]) == public_key(after["tls.crt"])
    assert after["tls.key"] != before["tls.key"]
    assert after["ca.crt"] == before["ca.crt"]


@pytest.mark.parametrize("name", LOST_CA)
def test_a_lost_ca_certificate_is_the_root_again(healed: dict[str, Healed], name: str) -> None:
    """And not the intermediate, which is all that is left of the chain."""
    before, after = decoded(healed[name].before), decoded(healed[name].after)
    assert after == before  # the same certificate: the issuer knows its root
    assert healed[name].revision == 1


@pytest.mark.parametrize("name", HARMLESS)
def test_what_hurts_no_certificate_is_put_right_with_the_same(healed: dict[str, Healed], name: str) -> None:
    assert _content(healed[name].after) == _content(healed[name].before)
    assert healed[name].revision == 1


def test_a_chain_that_was_cut_off_is_whole_again(site: Site, issued: str) -> None:
    before = split(site.data(f"{issued}-tls")["tls.crt"])

    _patch(site, issued, {"data": {"tls.crt": base64_text(before[0])}})

    site.wait_status(issued, revision=2)
    assert split(site.data(f"{issued}-tls")["tls.crt"])[1:] == before[1:]


def test_what_others_put_into_the_secret_stays(site: Site, issued: str) -> None:
    _patch(
        site,
        issued,
        {
            "data": {"extra": "eA=="},
            "metadata": {"labels": {"theirs": "1", "team": None}, "annotations": {"theirs": "2"}},
        },
    )

    secret = wait_until(
        "the label is back",
        lambda: s if (s := site.kubectl.get("secret", f"{issued}-tls"))["metadata"]["labels"].get("team") else None,
    )
    assert secret["data"]["extra"] == "eA=="
    assert secret["metadata"]["labels"]["theirs"] == "1"
    assert secret["metadata"]["annotations"]["theirs"] == "2"


def test_who_keeps_changing_a_secret_is_named(site: Site) -> None:
    """Whose certificate serves all the while."""
    issued = unique("www")
    site.kubectl.apply(_request(issued, additionalOutputFormats=[{"type": "DER"}]))
    site.kubectl.wait_ready(issued)
    whole = site.kubectl.get("secret", f"{issued}-tls")["data"]
    theirs = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"{issued}-tls"},
        "data": {"key.der": NONSENSE},
    }
    force = ("apply", "--server-side", "--force-conflicts", "--field-manager=mirror", "-f", "-")

    def waits() -> bool:
        site.kubectl(*force, stdin=json.dumps(theirs))
        reconciling = condition(site.kubectl.get(REQUEST, issued), "Reconciling")
        return reconciling.get("reason") == "RepairLoop"

    wait_until("the repair waits", waits, seconds=120)
    conditions = site.kubectl.get(REQUEST, issued)["status"]["conditions"]
    told = {one["type"]: one for one in conditions}
    where = f"Secret {site.kubectl.namespace}/{issued}-tls is restored only after a pause"
    assert told["Reconciling"]["message"].startswith(where)
    assert "by mirror (key.der): have that leave it alone" in told["Reconciling"]["message"]
    assert told["Ready"]["status"] == "True"
    wait_until("it is restored, and says so", lambda: len(site.status(issued)["conditions"]) == 1, 90)
    assert site.kubectl.get("secret", f"{issued}-tls")["data"] == whole
    assert site.status(issued)["revision"] == 1


def test_edited_and_put_back_while_nobody_looked_keeps_the_certificate(site: Site, issued: str) -> None:
    before = site.kubectl.get("secret", f"{issued}-tls")

    with site.operator_away():
        _patch(site, issued, {"data": {"tls.crt": "bm9uc2Vuc2U=", "ca.crt": None}})
        _patch(site, issued, {"data": before["data"]})

    site.settle()
    assert site.kubectl.get("secret", f"{issued}-tls")["data"] == before["data"]
    assert site.status(issued)["revision"] == 1


def test_a_pair_by_another_ca_is_not_taken_for_ours(site: Site, issued: str) -> None:
    """Same names, a valid chain, but not what the issuer signed."""
    site.kubectl.apply(
        request("other-root", "root", commonName="Test Intermediate", isCA=True),
        issuer("other", ca={"secretName": "other-root-tls"}),
        request("other", "other", dnsNames=["www.example.com"]),
    )
    site.kubectl.wait_ready("other")
    ours, theirs = site.data(f"{issued}-tls"), site.data("other-tls")

    _patch(site, issued, {"data": {name: base64_text(value) for name, value in theirs.items()}})

    site.wait_status(issued, revision=2)
    assert site.data(f"{issued}-tls")["ca.crt"] == ours["ca.crt"]


def test_the_secret_of_a_deleted_request_is_collected(site: Site, issued: str) -> None:
    site.kubectl("delete", REQUEST, issued)

    wait_until("the Secret is gone", lambda: not site.kubectl.get("secret", f"{issued}-tls"))


def test_the_secret_of_a_request_on_its_way_out_is_not_made_again(site: Site, issued: str) -> None:
    finalizers = json.dumps({"metadata": {"finalizers": ["example.com/not-yet"]}})
    site.kubectl("patch", REQUEST, issued, "--type=merge", "-p", finalizers)
    site.kubectl("delete", REQUEST, issued, "--wait=false")
    before = site.status(issued)

    site.kubectl("delete", "secret", f"{issued}-tls")
    site.settle()

    assert not site.kubectl.get("secret", f"{issued}-tls")
    assert site.status(issued) == before
    site.kubectl("patch", REQUEST, issued, "--type=merge", "-p", '{"metadata": {"finalizers": null}}')


def test_a_request_made_anew_waits_for_the_old_secret_to_be_collected(site: Site, issued: str) -> None:
    """Deleting and applying again, as `kubectl replace --force` does, needs nobody's help."""
    old = site.kubectl.get("secret", f"{issued}-tls")
    _patch(site, issued, {"metadata": {"finalizers": ["example.com/not-yet"]}})

    site.kubectl("delete", REQUEST, issued)
    site.kubectl.apply(_request(issued))

    reconciling = site.wait_condition(issued, "Reconciling", "SecretNotCollected")
    assert "garbage-collected" in reconciling["message"]
    assert not condition(site.kubectl.get(REQUEST, issued), "Stalled")

    _patch(site, issued, {"metadata": {"finalizers": None}})
    site.kubectl.wait_ready(issued)
    assert site.kubectl.get("secret", f"{issued}-tls")["metadata"]["uid"] != old["metadata"]["uid"]


def test_a_label_that_was_removed_while_there_is_no_issuer_is_put_back(site: Site) -> None:
    """The watch shows the Secret as deleted then, and nobody can be asked for another certificate."""
    name = unique("www")
    site.kubectl.apply(issuer(name, selfSigned={}), request(name, name))
    site.kubectl.wait_ready(name)
    before = site.data(f"{name}-tls")
    site.kubectl("delete", "issuer", name)

    _patch(site, name, {"metadata": {"labels": {"csr-operator.dev/managed": None}}})

    def labels() -> dict[str, str]:
        found: dict[str, str] = site.kubectl.get("secret", f"{name}-tls")["metadata"].get("labels", {})
        return found

    site.wait("the label is back", lambda: "csr-operator.dev/managed" in labels())
    site.settle()
    assert site.data(f"{name}-tls") == before
    assert condition(site.kubectl.get(REQUEST, name), "Ready")["status"] == "True"
