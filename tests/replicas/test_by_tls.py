"""Replicas whose CA connects for tls-alpn-01: to any of them, such as by the Service in front."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from csr_operator.api.shards import shard_of
from csr_operator.challenges.routes import CHALLENGE_LABEL
from devcluster import ControlPlane
from tests.support.acme import acme_issuer
from tests.support.audit import api_calls
from tests.support.kubectl import Kubectl
from tests.support.manifests import request
from tests.support.operator import NAMESPACE
from tests.support.pebble import Pebble, pebble
from tests.support.ports import free_ports
from tests.support.replicas import Replicas, replicas
from tests.support.scene import create, wait_all_ready

EACH = 5
"""Requests of each replica."""


@pytest.fixture(autouse=True)
def _nothing_of_others(cluster: ControlPlane, operator_credentials: Path) -> None:
    """Operators that other tests stopped, or killed, may have left challenges behind."""
    Kubectl(cluster, NAMESPACE)("delete", "ingress,configmap", "-l", CHALLENGE_LABEL)


@pytest.fixture
def ports() -> list[int]:
    return free_ports(2)


@pytest.fixture
def team(operator_credentials: Path, kubectl: Kubectl, tmp_path: Path) -> Iterator[Replicas]:
    with replicas(operator_credentials, tmp_path, kubectl, "--http01-issuers", "All") as running:
        yield running


@pytest.fixture
def ca(ports: list[int], tmp_path: Path) -> Iterator[Pebble]:
    """It connects to the first replica alone."""
    with pebble(tmp_path, tls_port=ports[0]) as running:
        yield running


def names_in(shards: set[int], namespace: str) -> list[str]:
    """Of requests that are in these shards."""
    names = (f"www-{number}" for number in count())
    return [name for name, _ in zip(_within(shards, namespace, names), range(EACH), strict=False)]


def _within(shards: set[int], namespace: str, names: Iterator[str]) -> Iterator[str]:
    return (name for name in names if shard_of(namespace, f"{name}-tls") in shards)


def test_the_ca_connects_to_a_replica_that_does_not_hold_the_request(
    cluster: ControlPlane, kubectl: Kubectl, team: Replicas, ca: Pebble, ports: list[int]
) -> None:
    for port in ports:
        team.start("--acme-tls-address", f"127.0.0.1:{port}")
    team.wait_shared(2)
    kubectl.apply(acme_issuer("ca", ca, {"tlsALPN01": {}}))
    kubectl.wait_ready("ca", kind="issuer", seconds=60)
    by_member = {member: names_in(shards, kubectl.namespace) for member, shards in team.shards().items()}
    assert [len(names) for names in by_member.values()] == [EACH, EACH]

    create(kubectl, *(request(name, "ca") for names in by_member.values() for name in names))
    wait_all_ready(kubectl, 2 * EACH, seconds=120)

    for member, names in by_member.items():
        calls = api_calls(cluster, user_agent=f"csr-operator ({member})", namespace=kubectl.namespace)
        written = {call.name for call in calls if call.resource == "certificaterequests/status" and call.is_write}
        assert written == set(names)
    assert kubectl.list("configmap", "--namespace", NAMESPACE, "-l", CHALLENGE_LABEL) == []
    assert ca.orders() == 2 * EACH


def test_two_requests_for_one_name_are_proven_one_after_the_other(
    kubectl: Kubectl, team: Replicas, ca: Pebble, ports: list[int]
) -> None:
    """By two issuers, and in two replicas: neither sees the other's challenge but in the cluster."""
    for port in ports:
        team.start("--acme-tls-address", f"127.0.0.1:{port}")
    team.wait_shared(2)
    hosts = ["a.example.com", "b.example.com", "c.example.com"]
    first, second = (names_in(shards, kubectl.namespace)[0] for shards in team.shards().values())
    for name in ("one", "two"):
        kubectl.apply(acme_issuer(name, ca, {"tlsALPN01": {}}))
        kubectl.wait_ready(name, kind="issuer", seconds=60)
    create(
        kubectl,
        request(first, "one", dnsNames=hosts),
        request(second, "two", dnsNames=hosts[::-1]),
    )
    wait_all_ready(kubectl, 2, seconds=120)
    assert kubectl.list("configmap", "--namespace", NAMESPACE, "-l", CHALLENGE_LABEL) == []
    assert ca.orders() == 2
