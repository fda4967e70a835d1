"""The API server does not take a renewed Secret: nobody is told to delete the one that serves, unless that helps."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.denial import secrets_denied
from tests.support.kubectl import condition, wait_until
from tests.support.manifests import request
from tests.support.names import unique
from tests.support.revocation import renew
from tests.support.site import REQUEST, Site


@pytest.fixture
def name(site: Site) -> str:
    """Of a request that is Ready."""
    name = unique("www")
    site.kubectl.apply(request(name, "ca"))
    site.kubectl.wait_ready(name)
    return name


def patch(site: Site, secret: str, change: dict[str, Any]) -> None:
    arguments = ("patch", "secret", secret, "--type=merge", "--patch-file=/dev/stdin")
    site.kubectl(*arguments, stdin=json.dumps(change))


def serves(site: Site, name: str) -> bool:
    return bool(condition(site.kubectl.get(REQUEST, name), "Ready")["status"] == "True")


@pytest.fixture
def denied(site: Site) -> Iterator[None]:
    """Secrets without the label `team` are denied in this namespace, by a policy as administrators have them."""
    expression = "has(object.metadata.labels) && 'team' in object.metadata.labels"
    policy, probe = unique("team"), unique("probe")
    with secrets_denied(site.kubectl, policy, expression, "Secrets need the label team", probe):
        yield


def test_what_a_policy_denies_is_said_in_its_words(site: Site, name: str, denied: None) -> None:
    before = site.kubectl.get("secret", f"{name}-tls")
    renew(site, name)
    told = site.wait_condition(name, "Renewing", "SecretRefused")
    assert "Secrets need the label team" in told["message"]
    assert "delete" not in told["message"].lower()
    assert serves(site, name)
    assert site.kubectl.get("secret", f"{name}-tls") == before


def test_a_secret_that_would_be_too_large_is_not_to_be_deleted(site: Site, name: str) -> None:
    size = sum(len(base64.b64decode(v)) for v in site.kubectl.get("secret", f"{name}-tls")["data"].values())
    filler = base64.b64encode(b"x" * (1024 * 1024 - size - 30)).decode()
    patch(site, f"{name}-tls", {"data": {"extra": filler}})
    names = [f"{name}.example.com", "one-more-name-that-makes-it-longer.example.com"]
    site.kubectl.apply(request(name, "ca", dnsNames=names))
    told = site.wait_condition(name, "Reconciling", "SecretRefused")
    assert "Too long" in told["message"]

    patch(site, f"{name}-tls", {"data": {"extra": None}})
    site.kubectl.wait_ready(name, seconds=90)


def test_a_secret_that_nobody_can_change_is(site: Site, name: str) -> None:
    patch(site, f"{name}-tls", {"immutable": True})
    renew(site, name)
    told = site.wait_condition(name, "Renewing", "SecretConflict")
    assert told["status"] == "False"
    assert told["message"].endswith("-tls is immutable, so that nothing in it can be replaced: delete the Secret")
    assert serves(site, name)

    site.kubectl("delete", "secret", f"{name}-tls")
    wait_until("there is another", lambda: site.status(name)["revision"] == 2, 90)
