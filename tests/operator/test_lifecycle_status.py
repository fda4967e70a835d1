"""Whoever writes into `status` gains nothing by it: it is put right, and nothing is issued because of it."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.kubectl import condition, wait_until
from tests.support.manifests import request
from tests.support.openssl import openssl, public_key
from tests.support.site import REQUEST, Site, decoded

_KINDS = ("CertificateRequest", "Secret")
READY = {
    "type": "Ready",
    "status": "True",
    "reason": "Bribed",
    "message": "believe me",
    "lastTransitionTime": "2001-01-01T00:00:00Z",
}
NONSENSE: dict[str, dict[str, Any] | None] = {
    "revision": {"revision": 99},
    "serial-number": {"serialNumber": "BAD"},
    "renewal-time": {"renewalTime": "2001-01-01T00:00:00Z"},
    "not-after": {"notAfter": "2001-01-01T00:00:00Z"},
    "fingerprint": {"sha256Fingerprint": None},
    "csr": {"csr": "nonsense"},
    "observed-generation": {"observedGeneration": 4711},
    "not-ready": {"conditions": [READY | {"status": "False"}]},
    "stalled-too": {"conditions": [READY, READY | {"type": "Stalled"}]},
    "no-conditions": {"conditions": None},
    "all-of-it": {
        "conditions": [READY | {"status": "Unknown"}],
        "revision": 0,
        "serialNumber": "",
        "notBefore": "2001-01-01T00:00:00Z",
        "notAfter": "2099-01-01T00:00:00Z",
        "renewalTime": None,
        "sha256Fingerprint": "00",
    },
    "nothing-left": None,
}


def _patch(site: Site, name: str, status: dict[str, Any] | None) -> None:
    patch = json.dumps({"status": status})
    site.kubectl("patch", REQUEST, name, "--subresource=status", "--type=merge", "-p", patch)


def _facts(obj: dict[str, Any]) -> dict[str, Any]:
    """The status without what may be another afterwards: the CSR's signature, and when a condition last changed."""
    status = obj.get("status", {})
    conditions = [{k: v for k, v in c.items() if k != "lastTransitionTime"} for c in status.get("conditions", ())]
    return {**status, "csr": status.get("csr", "")[:35], "conditions": conditions}


@dataclass(frozen=True, slots=True)
class Case:
    """A request and its Secret, as they were before its status was written to, and as they were put right."""

    before: dict[str, Any]
    secret: dict[str, Any]
    after: dict[str, Any]
    secret_after: dict[str, Any]


@pytest.fixture(scope="module")
def cases(site: Site) -> dict[str, Case]:
    def objects() -> tuple[dict[str, Any], dict[str, Any]]:
        found = site.kubectl.list(f"{REQUEST},secrets")
        named = {kind: {o["metadata"]["name"]: o for o in found if o["kind"] == kind} for kind in _KINDS}
        return named["CertificateRequest"], named["Secret"]

    site.kubectl.apply(*(request(name, "ca") for name in NONSENSE))
    site.kubectl.wait_ready(*NONSENSE)
    before, secrets = objects()

    for name, nonsense in NONSENSE.items():
        _patch(site, name, nonsense)

    def right() -> bool:
        now, _ = objects()
        return all(_facts(now[name]) == _facts(before[name]) for name in NONSENSE)

    wait_until("each status is right again", right)
    site.settle()
    after, secrets_after = objects()
    return {
        name: Case(before[name], secrets[f"{name}-tls"], after[name], secrets_after[f"{name}-tls"]) for name in NONSENSE
    }


@pytest.mark.parametrize("name", NONSENSE)
def test_what_somebody_else_wrote_is_put_right_and_issues_nothing(
    site: Site, cases: dict[str, Case], name: str
) -> None:
    case = cases[name]
    assert _facts(case.after) == _facts(case.before)
    requested = openssl("req", "-noout", "-verify", "-pubkey", stdin=case.after["status"]["csr"])
    assert requested == public_key(decoded(case.secret)["tls.crt"])
    assert case.secret_after == case.secret
    assert not site.warnings(name)


def test_a_request_is_not_ready_because_somebody_says_so(site: Site) -> None:
    site.kubectl.apply(request("waiting", "nobody"))
    site.wait_condition("waiting", "Ready", "IssuerNotFound")

    _patch(site, "waiting", {"conditions": [READY], "revision": 1, "notAfter": "2099-01-01T00:00:00Z"})

    site.wait_condition("waiting", "Ready", "IssuerNotFound")
    waiting = site.kubectl.get(REQUEST, "waiting")
    assert condition(waiting, "Ready")["status"] == "False"
    assert "notAfter" not in waiting["status"]
