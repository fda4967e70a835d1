"""Operators that share requests: each is one's, and one that ends, dies or sleeps leaves its own to the others."""

import os
import signal
import urllib.error
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster import ControlPlane
from tests.support.audit import api_calls
from tests.support.kubectl import Kubectl, wait_until
from tests.support.manifests import request
from tests.support.operator import NAMESPACE, ROOT, OperatorProcess
from tests.support.replicas import Replicas, replicas
from tests.support.scene import create, make_ca, wait_all_ready

COUNT = 60


@pytest.fixture
def team(cluster: ControlPlane, operator_credentials: Path, kubectl: Kubectl, tmp_path: Path) -> Iterator[Replicas]:
    with replicas(operator_credentials, tmp_path, kubectl) as running:
        yield running


def ask(kubectl: Kubectl) -> None:
    """For as many certificates as make COUNT with those that are there."""
    there = len(kubectl.list("certificaterequests"))
    create(kubectl, *(request(f"www-{n}", "ca") for n in range(COUNT - there)))


def writers(cluster: ControlPlane, namespace: str) -> dict[str, set[str]]:
    """Who wrote each request's status, by the name of the request."""
    found = defaultdict(set)
    for call in api_calls(cluster, user_agent="csr-operator (", namespace=namespace):
        if call.is_write and call.resource == "certificaterequests/status":
            found[call.name].add(call.user_agent)
    return found


def test_two_share_the_requests_and_each_is_written_by_one(
    cluster: ControlPlane, kubectl: Kubectl, team: Replicas
) -> None:
    team.start()
    team.start()
    team.wait_shared(2)
    make_ca(kubectl)
    ask(kubectl)
    wait_all_ready(kubectl, COUNT)
    by_request = writers(cluster, kubectl.namespace)
    assert {len(members) for members in by_request.values()} == {1}
    counts = [sum(member in members for members in by_request.values()) for member in set.union(*by_request.values())]
    assert len(counts) == 2
    assert sum(counts) == COUNT


def test_the_requests_of_one_that_ends_are_the_others_at_once(kubectl: Kubectl, team: Replicas) -> None:
    first, _ = team.start(), team.start()
    team.wait_shared(2)
    make_ca(kubectl)
    assert first.stop() == 0
    assert len(team.holders()) == 1
    ask(kubectl)
    wait_all_ready(kubectl, COUNT)


def test_the_requests_of_one_that_is_killed_are_the_others(kubectl: Kubectl, team: Replicas) -> None:
    first, _ = team.start(), team.start()
    team.wait_shared(2)
    make_ca(kubectl)
    first.kill()
    ask(kubectl)
    team.wait_shared(1)
    wait_all_ready(kubectl, COUNT)


def test_one_that_slept_writes_nothing_of_what_is_anothers_by_now(
    cluster: ControlPlane, kubectl: Kubectl, team: Replicas
) -> None:
    first, second = team.start(), team.start()
    team.wait_shared(2)
    make_ca(kubectl)
    sleeper = first.pid
    os.kill(sleeper, signal.SIGSTOP)
    try:
        ask(kubectl)
        team.wait_shared(1)
        wait_all_ready(kubectl, COUNT)
    finally:
        os.kill(sleeper, signal.SIGCONT)
    team.wait_shared(2)
    wait_until("it works again", lambda: first.is_ready() and second.is_ready())
    assert {len(members) for members in writers(cluster, kubectl.namespace).values()} == {1}


def test_without_the_right_to_leases_it_is_not_ready_and_says_so(
    operator_credentials: Path, kubectl: Kubectl, tmp_path: Path
) -> None:
    binding = ("rolebinding", "csr-operator-replicas", "--namespace", NAMESPACE)
    operator = OperatorProcess(operator_credentials, tmp_path / "operator.log", "--namespace", kubectl.namespace)
    kubectl("delete", *binding)
    try:
        operator.launch()
        wait_until("it says what it lacks", lambda: "leases" in not_ready(operator))
    finally:
        kubectl("apply", "--server-side", "-f", str(ROOT / "deploy" / "rbac.yaml"), "--namespace", NAMESPACE)
    wait_until("it goes on by itself", operator.is_ready)
    assert operator.stop() == 0


def test_when_the_right_to_leases_is_taken_away_it_is_not_ready_any_more_and_says_so(
    operator_credentials: Path, kubectl: Kubectl, tmp_path: Path
) -> None:
    arguments = ("--namespace", kubectl.namespace)
    with OperatorProcess(operator_credentials, tmp_path / "operator.log", *arguments, patience=3.0) as operator:
        kubectl("delete", "rolebinding", "csr-operator-replicas", "--namespace", NAMESPACE)
        try:
            wait_until("it says what it lacks", lambda: "leases" in not_ready(operator))
        finally:
            kubectl("apply", "--server-side", "-f", str(ROOT / "deploy" / "rbac.yaml"), "--namespace", NAMESPACE)
        wait_until("it goes on by itself", operator.is_ready)


def not_ready(operator: OperatorProcess) -> str:
    """What `/readyz` says; empty if nothing answers yet."""
    try:
        return operator.get("/readyz")
    except urllib.error.HTTPError as error:
        return error.read().decode()
    except OSError:
        return ""
