"""One tenant asks a shared issuer for all that it can: another one is served meanwhile, and not afterwards."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from devcluster import ControlPlane
from tests.support.kubectl import Kubectl, condition, wait_until
from tests.support.manifests import issuer, request
from tests.support.names import unique
from tests.support.operator import ROOT, OperatorProcess
from tests.support.scene import create
from tests.support.site import REQUEST, new_namespace

ANY_KEY = {"rules": [{"keys": [{"algorithm": "RSA", "maxSize": 8192}, {"algorithm": "ECDSA"}]}]}
"""Keys beyond RSA 4096 are allowed by name only."""


@dataclass(frozen=True, slots=True)
class Tenants:
    """mallory asks for too much, the neighbour for little; both of the ClusterIssuer `shared`."""

    mallory: Kubectl
    neighbour: Kubectl
    shared: str

    def ask(self, who: Kubectl, *names: str, **spec: Any) -> None:
        reference = {"name": self.shared, "kind": "ClusterIssuer"}
        create(who, *(request(name, self.shared, issuerRef=reference, **spec) for name in names))

    def done(self) -> int:
        """How many of mallory's are Ready."""
        return sum(condition(r, "Ready").get("status") == "True" for r in self.mallory.list(REQUEST))

    def limit(self, **limits: int) -> None:
        shared = issuer(self.shared, kind="ClusterIssuer", selfSigned={}, policy=ANY_KEY, limits=limits)
        self.mallory.apply(shared)
        self.mallory.wait_ready(self.shared, kind="clusterissuer")


@pytest.fixture
def tenants(cluster: ControlPlane, operator_credentials: Path, tmp_path: Path) -> Iterator[Tenants]:
    tenants = Tenants(
        Kubectl(cluster, new_namespace(cluster)),
        Kubectl(cluster, new_namespace(cluster)),
        unique("shared"),
    )
    watched = ("--namespace", tenants.mallory.namespace, "--namespace", tenants.neighbour.namespace)
    with OperatorProcess(operator_credentials, tmp_path / "operator.log", *watched):
        tenants.limit(concurrent=32)
        yield tenants
    tenants.mallory("delete", "clusterissuer", tenants.shared)


@pytest.mark.parametrize("size", [4096, 8192])
def test_who_asks_for_keys_that_take_long_keeps_nobody_waiting(tenants: Tenants, size: int) -> None:
    names = [f"greedy-{n:02}" for n in range(40)]
    tenants.ask(tenants.mallory, *names, privateKey={"algorithm": "RSA", "size": size})

    tenants.ask(tenants.neighbour, "ecdsa")
    tenants.ask(tenants.neighbour, "rsa", privateKey={"algorithm": "RSA", "size": 2048})

    tenants.neighbour.wait_ready("ecdsa", "rsa", seconds=120)
    assert tenants.done() < len(names) / 2


def test_the_only_slot_of_an_issuer_is_not_held_while_keys_are_made(tenants: Tenants) -> None:
    tenants.limit(concurrent=1)
    names = [f"greedy-{n:02}" for n in range(40)]
    tenants.ask(tenants.mallory, *names, privateKey={"algorithm": "RSA", "size": 4096})
    few = [f"ecdsa-{n}" for n in range(10)]

    tenants.ask(tenants.neighbour, *few)

    tenants.neighbour.wait_ready(*few, seconds=120)
    assert tenants.done() < len(names) / 2


def test_who_asks_for_more_than_a_minute_allows_leaves_some_of_the_next_minute_to_others(tenants: Tenants) -> None:
    tenants.limit(perMinute=20)
    names = [f"greedy-{n:03}" for n in range(100)]
    tenants.ask(tenants.mallory, *names)
    wait_until("all of this minute is taken", lambda: tenants.done() == 20)

    tenants.ask(tenants.neighbour, "www", "api")

    tenants.neighbour.wait_ready("www", "api", seconds=120)
    assert tenants.done() <= 40
    waiting = [condition(r, "Reconciling") for r in tenants.mallory.list(REQUEST)]
    assert {each["reason"] for each in waiting if each} == {"Queued"}


def test_a_namespace_has_no_more_requests_than_its_quota_says(kubectl: Kubectl) -> None:
    """As documented, with another figure."""
    quota = yaml.safe_load((ROOT / "examples" / "quota.yaml").read_text())
    counted = "count/certificaterequests.csr-operator.dev"
    quota["spec"]["hard"][counted] = "1"
    kubectl.apply(quota)
    name = quota["metadata"]["name"]
    wait_until("it is counted", lambda: kubectl.get("resourcequota", name).get("status", {}).get("used"))
    create(kubectl, request("one", "nobody"))

    with pytest.raises(AssertionError, match=f"exceeded quota: {name}, requested: {counted}=1, used: {counted}=1"):
        create(kubectl, request("another", "nobody"))
