"""Whose Secret it is decides who may have it, whatever somebody does to its labels, and whoever else names it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support.kubectl import condition, wait_until
from tests.support.manifests import request
from tests.support.names import unique
from tests.support.scene import create
from tests.support.site import REQUEST, Site

MANAGED = "csr-operator.dev/managed"


@dataclass(frozen=True, slots=True)
class Contested:
    """A Secret, the request whose it is, and the others that name it."""

    secret: str
    owner: str
    others: tuple[str, ...]


def _contested(site: Site, secret: str) -> Contested | None:
    """None if the owner would come first among those that name it, if nobody had the Secret."""
    requests = [r for r in site.kubectl.list(REQUEST) if r["spec"]["secretName"] == secret]
    in_order = sorted(requests, key=lambda r: (r["metadata"]["creationTimestamp"], r["metadata"]["uid"]))
    names = [r["metadata"]["name"] for r in in_order]
    ready = [r["metadata"]["name"] for r in requests if condition(r, "Ready").get("status") == "True"]
    assert len(ready) == 1
    owner = ready[0]
    return None if names[0] == owner else Contested(secret, owner, tuple(n for n in names if n != owner))


@pytest.fixture
def contested(site: Site) -> Iterator[Contested]:
    """Requests of the same second: who was seen first has the Secret, and it is not who comes first by UID."""
    secrets = [unique("www") for _ in range(4)]
    for secret in secrets:
        create(site.kubectl, *(request(f"{secret}-{n}", "ca", secretName=secret) for n in range(8)))
    site.settle()
    found = [one for secret in secrets if (one := _contested(site, secret)) is not None]
    assert found, "each was had by the first by UID: this cannot be but by chance, once in thousands of runs"
    yield found[0]
    site.kubectl("delete", REQUEST, *(f"{secret}-{n}" for secret in secrets for n in range(8)))


def _label(site: Site, secret: str) -> str | None:
    labels: dict[str, str] = site.kubectl.get("secret", secret)["metadata"].get("labels", {})
    return labels.get(MANAGED)


def _keeps(site: Site, contested: Contested) -> None:
    """The Secret has its label again, and its owner is told nothing, the others whose it is."""
    wait_until("the label is back", lambda: _label(site, contested.secret) == "true")
    site.settle()
    owner = site.kubectl.get(REQUEST, contested.owner)
    assert condition(owner, "Ready")["status"] == "True"
    assert condition(owner, "Stalled") == {}
    for other in contested.others:
        stalled = condition(site.kubectl.get(REQUEST, other), "Stalled")
        assert stalled["reason"] == "SecretNotOwned"
        assert f"belongs to CertificateRequest {contested.owner} " in stalled["message"]


def _submitted(site: Site) -> float:
    return site.operator.metric("csr_operator_ca_calls_total", backend="ca", call="submit")


def test_a_secret_without_its_label_is_still_its_owners(site: Site, contested: Contested) -> None:
    before, submitted = site.kubectl.get("secret", contested.secret), _submitted(site)

    site.kubectl("label", "secret", contested.secret, f"{MANAGED}-")

    wait_until("the label is back", lambda: _label(site, contested.secret) == "true")
    assert _submitted(site) == submitted, "the CA was asked in vain"
    _keeps(site, contested)
    assert site.kubectl.get("secret", contested.secret)["data"] == before["data"]
    site.kubectl("annotate", REQUEST, contested.owner, "csr-operator.dev/renew=now")
    site.wait_status(contested.owner, revision=2)


def test_and_that_does_not_hang_on_a_status(site: Site, contested: Contested) -> None:
    with site.operator_away():
        site.kubectl("label", "secret", contested.secret, f"{MANAGED}-")
        for name in (contested.owner, *contested.others):
            status = {"revision": None if name == contested.owner else 7}
            patch = ("--subresource=status", "--type=merge", "--patch-file=/dev/stdin")
            site.kubectl("patch", REQUEST, name, *patch, stdin=json.dumps({"status": status}))

    _keeps(site, contested)
