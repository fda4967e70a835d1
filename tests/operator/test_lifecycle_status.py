"""Whoever writes into `status` gains nothing by it: it is put right, and nothing is issued because of it."""

import json
import uuid
from typing import Any

import pytest

from tests.support.kubectl import condition, wait_until
from tests.support.manifests import request
from tests.support.openssl import openssl, public_key
from tests.support.site import REQUEST, Site

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


def _facts(status: dict[str, Any]) -> dict[str, Any]:
    """Without what may be another afterwards: the CSR's signature, and when the condition last changed."""
    conditions = [{k: v for k, v in c.items() if k != "lastTransitionTime"} for c in status.get("conditions", ())]
    return {**status, "csr": None, "conditions": conditions}


@pytest.mark.parametrize("nonsense", NONSENSE.values(), ids=NONSENSE)
def test_what_somebody_else_wrote_is_put_right_and_issues_nothing(site: Site, nonsense: dict[str, Any] | None) -> None:
    name = f"www-{uuid.uuid4().hex[:8]}"
    site.kubectl.apply(request(name, "ca"))
    site.kubectl.wait_ready(name)
    before, secret = site.status(name), site.kubectl.get("secret", f"{name}-tls")

    _patch(site, name, nonsense)

    wait_until("the status is right again", lambda: _facts(site.status(name)) == _facts(before))
    site.settle()
    after = site.status(name)
    assert _facts(after) == _facts(before)
    assert openssl("req", "-noout", "-verify", "-pubkey", stdin=after["csr"]) == public_key(
        site.data(f"{name}-tls")["tls.crt"]
    )
    assert site.kubectl.get("secret", f"{name}-tls") == secret
    assert not site.warnings(name)


def test_a_request_is_not_ready_because_somebody_says_so(site: Site) -> None:
    site.kubectl.apply(request("waiting", "nobody"))
    site.wait_condition("waiting", "Ready", "IssuerNotFound")

    _patch(site, "waiting", {"conditions": [READY], "revision": 1, "notAfter": "2099-01-01T00:00:00Z"})

    site.wait_condition("waiting", "Ready", "IssuerNotFound")
    waiting = site.kubectl.get(REQUEST, "waiting")
    assert condition(waiting, "Ready")["status"] == "False"
    assert "notAfter" not in waiting["status"]
