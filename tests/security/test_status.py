"""Who may write status, and nothing else, gains nothing by it: no name, key, CSR or approval is believed."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.security.conftest import StatusWriter
from tests.support.authorities import opaque
from tests.support.kubectl import condition, wait_until
from tests.support.manifests import issuer, request
from tests.support.openssl import OpensslCa, openssl, own_csr, public_key
from tests.support.site import REQUEST, Site, decoded

FORGED = {"lastTransitionTime": "2001-01-01T00:00:00Z", "reason": "Forged", "message": "believe me"}


@pytest.fixture
def issued(site: Site, unique_name: str) -> dict[str, Any]:
    """The request `unique_name`, Ready."""
    site.kubectl.apply(request(unique_name, "ca"))
    site.kubectl.wait_ready(unique_name)
    return site.kubectl.get(REQUEST, unique_name)


def _facts(status: dict[str, Any]) -> dict[str, Any]:
    """Without what may be another afterwards: the CSR's signature, and when a condition last changed."""
    conditions = [{k: v for k, v in c.items() if k != "lastTransitionTime"} for c in status.get("conditions", ())]
    public = openssl("req", "-noout", "-pubkey", stdin=status["csr"]) if status.get("csr") else ""
    return {**status, "csr": public, "conditions": conditions}


def test_mallory_may_write_status_and_nothing_else(mallory: StatusWriter) -> None:
    assert mallory.may("patch", "certificaterequests.csr-operator.dev", "status")
    for verb, resource in (
        ("patch", "certificaterequests.csr-operator.dev"),
        ("create", "certificaterequests.csr-operator.dev"),
        ("get", "secrets"),
        ("create", "secrets"),
        ("approve", "issuers.csr-operator.dev"),
    ):
        assert not mallory.may(verb, resource)


def test_a_key_secret_named_in_status_is_not_used(
    site: Site, mallory: StatusWriter, unique_name: str, issued: dict[str, Any]
) -> None:
    """As in issue 9224 of cert-manager: somebody else's key was copied into, and certified for, the request."""
    victim = openssl("genpkey", "-algorithm", "ED25519")
    site.kubectl.apply(opaque(f"{unique_name}-victim", **{"tls.key": victim}))
    forged = {"type": "Issuing", "status": "True", **FORGED}
    mallory.writes(
        unique_name,
        {
            "nextPrivateKeySecretName": f"{unique_name}-victim",
            "secretName": f"{unique_name}-victim",
            "privateKey": {"secretRef": {"name": f"{unique_name}-victim"}},
            "issuerRef": {"name": "root"},
            "conditions": [forged],
        },
    )

    def right() -> bool:
        return _facts(site.status(unique_name)) == _facts(issued["status"])

    wait_until("the status is right again", right)
    site.kubectl("annotate", REQUEST, unique_name, "csr-operator.dev/renew=now")
    site.wait_status(unique_name, revision=2)
    data = site.data(f"{unique_name}-tls")
    assert public_key(data["tls.key"]) == public_key(data["tls.crt"]) != public_key(victim)
    assert data["ca.crt"] == site.data("root-tls")["tls.crt"]
    assert decoded(site.kubectl.get("secret", f"{unique_name}-victim")) == {"tls.key": victim}


def test_the_status_of_another_request_is_put_right_and_issues_nothing(
    site: Site, mallory: StatusWriter, unique_name: str, issued: dict[str, Any]
) -> None:
    other = f"{unique_name}-other"
    site.kubectl.apply(request(other, "ca", duration="24h"))
    site.kubectl.wait_ready(other)
    secret, foreign = site.kubectl.get("secret", f"{unique_name}-tls"), site.status(other)

    mallory.writes(unique_name, {**foreign, "revision": 41})

    wait_until("the status is right again", lambda: _facts(site.status(unique_name)) == _facts(issued["status"]))
    site.settle()
    assert site.kubectl.get("secret", f"{unique_name}-tls") == secret
    assert site.kubectl.get(REQUEST, unique_name)["spec"] == issued["spec"]


def test_a_person_is_not_made_to_sign_a_csr_of_somebody_elses(
    site: Site, mallory: StatusWriter, unique_name: str, tmp_path: Path
) -> None:
    ca = OpensslCa.create(tmp_path / "ca")
    site.kubectl.apply(issuer("person", manual={}), request(unique_name, "person"))
    site.wait_condition(unique_name, "Reconciling", "ActionRequired")
    ours = site.status(unique_name)["csr"]
    theirs = own_csr(tmp_path, f"{unique_name}.example.com")

    mallory.writes(unique_name, {"csr": theirs})

    wait_until("the CSR is ours again", lambda: site.status(unique_name).get("csr") == ours)
    # Somebody had been quick to sign it all the same.
    brought = json.dumps({"metadata": {"annotations": {"csr-operator.dev/import": ca.sign(theirs)}}})
    site.kubectl("patch", REQUEST, unique_name, "--type=merge", "--patch-file=/dev/stdin", stdin=brought)

    def refused() -> bool:
        message = condition(site.kubectl.get(REQUEST, unique_name), "Ready")["message"]
        return "what was imported is refused" in message

    wait_until("it is refused", refused)
    assert site.kubectl.get("secret", f"{unique_name}-tls") == {}


@pytest.mark.parametrize("csr", ["nonsense", "another"])
def test_a_forged_csr_is_put_right_also_after_a_restart(
    site: Site, mallory: StatusWriter, unique_name: str, issued: dict[str, Any], tmp_path: Path, csr: str
) -> None:
    forged = own_csr(tmp_path, unique_name) if csr == "another" else csr
    with site.operator_away():
        mallory.writes(unique_name, {"csr": forged})
    wait_until("the CSR is another one", lambda: site.status(unique_name).get("csr") != forged)
    assert _facts(site.status(unique_name)) == _facts(issued["status"])
    site.settle()
    assert site.status(unique_name)["revision"] == 1


def test_a_csr_where_there_is_none_is_removed(
    site: Site, mallory: StatusWriter, unique_name: str, tmp_path: Path
) -> None:
    site.kubectl.apply(request(unique_name, "nobody"))
    site.wait_condition(unique_name, "Ready", "IssuerNotFound")
    mallory.writes(
        unique_name, {"csr": own_csr(tmp_path, unique_name), "serialNumber": "01", "notAfter": "2099-01-01T00:00:00Z"}
    )
    wait_until("it is gone", lambda: not {"csr", "serialNumber", "notAfter"} & site.status(unique_name).keys())


@pytest.mark.parametrize("revision", [2**63 - 1, 2**31 - 1])
def test_no_revision_is_too_high_to_go_on_from(
    site: Site, mallory: StatusWriter, unique_name: str, revision: int
) -> None:
    site.kubectl.apply(request(unique_name, f"{unique_name}-late"))
    site.wait_condition(unique_name, "Ready", "IssuerNotFound")
    mallory.writes(unique_name, {"revision": revision})
    site.kubectl.apply(issuer(f"{unique_name}-late", ca={"secretName": "root-tls"}))
    site.kubectl.wait_ready(unique_name)
    assert 0 < site.status(unique_name)["revision"] < 2**31


@pytest.mark.parametrize("kind", ["Approved", "Denied"])
def test_an_approval_cannot_be_forged(site: Site, mallory: StatusWriter, unique_name: str, kind: str) -> None:
    site.kubectl.apply(
        issuer("watched", ca={"secretName": "root-tls"}, approval="Manual"), request(unique_name, "watched")
    )
    site.wait_condition(unique_name, "Reconciling", "ApprovalPending")
    generation = site.kubectl.get(REQUEST, unique_name)["metadata"]["generation"]
    forged = {"type": kind, "status": "True", "observedGeneration": generation, **FORGED}

    with pytest.raises(
        AssertionError, match="require the permission `approve` on Issuer watched, which mallory does not have"
    ):
        mallory.writes(unique_name, {"conditions": [forged]})

    site.settle()
    assert site.kubectl.get("secret", f"{unique_name}-tls") == {}
    assert condition(site.kubectl.get(REQUEST, unique_name), "Ready")["reason"] == "ApprovalPending"
