"""Replicas that order from an ACME CA which counts: whatever happens to one, there is one order for each request.

REPLICA_ORDERS=200, of `make soak`, has more of them, and a replica sleep for a minute.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from devcluster import ControlPlane
from tests.support.acme import acme_issuer, rfc2136
from tests.support.acme_scene import Scene, running_scene
from tests.support.audit import api_calls
from tests.support.kubectl import condition, wait_until
from tests.support.manifests import request
from tests.support.operator import OperatorProcess
from tests.support.replicas import Replicas, replicas
from tests.support.scene import create, wait_all_ready

ORDERS = int(os.environ.get("REPLICA_ORDERS", "100"))
ASLEEP = [0.0, 60.0] if "REPLICA_ORDERS" in os.environ else [0.0]
"""Seconds, if its shards are another's by then; else until they are."""


@dataclass
class Team:
    """Two replicas, an issuer, and what is asked of it. The first is the scene's own."""

    scene: Scene
    replicas: Replicas
    first: OperatorProcess
    second: OperatorProcess

    def order(self, count: int, meanwhile: Callable[[], None]) -> None:
        """So many certificates; `meanwhile` is called when a fifth of the orders are placed, which is waited for."""
        kubectl = self.scene.kubectl
        before, placed = len(kubectl.list("certificaterequests")), len(self.scene.proxy.placed)
        hosts = [f"run-{before + number}" for number in range(count)]
        create(kubectl, *(request(host, "ca") for host in hosts))
        wait_until("orders are placed", lambda: len(self.scene.proxy.placed) >= placed + count // 5, 60)
        began = time.monotonic()
        meanwhile()
        took, left = time.monotonic() - began, before + count - self._ready()
        print(f"it took {took:.1f} s, and then {left} of {count} were not ready")  # shown with -s
        requests = wait_all_ready(kubectl, before + count, seconds=300)
        assert {each["status"]["revision"] for each in requests} == {1}
        assert {host: self.scene.placed(f"{host}.example.com") for host in hosts} == dict.fromkeys(hosts, 1)
        assert len(self.scene.proxy.placed) == placed + count
        wait_until("no order's Secret is left", lambda: not self.scene.orders_of("run"))

    def _ready(self) -> int:
        requests = self.scene.kubectl.list("certificaterequests")
        return sum(condition(each, "Ready").get("status") == "True" for each in requests)


@pytest.fixture
def team(cluster: ControlPlane, operator_credentials: Path, tmp_path: Path) -> Iterator[Team]:
    with running_scene(cluster, operator_credentials, tmp_path) as scene:
        arguments = ("--dns-programs", str(scene.programs))
        with replicas(operator_credentials, tmp_path, scene.kubectl, *arguments) as others:
            second = others.start()
            others.wait_shared(2)
            issuer = acme_issuer("ca", scene.pebble, rfc2136(scene.bind), directory=scene.proxy.directory)
            scene.kubectl.apply(issuer)
            scene.kubectl.wait_ready("ca", kind="issuer", seconds=60)
            yield Team(scene, others, scene.site.operator, second)


def test_one_is_killed(team: Team) -> None:
    def kill() -> None:
        team.first.kill()
        team.replicas.wait_shared(1, seconds=30)

    team.order(ORDERS, kill)


@pytest.mark.parametrize("seconds", ASLEEP)
def test_one_sleeps_until_its_shards_are_the_others_and_wakes(
    cluster: ControlPlane, team: Team, seconds: float
) -> None:
    names, namespace = {*team.replicas.holders()}, team.scene.kubectl.namespace
    sleeper, written = "", 0

    def writes() -> int:
        calls = api_calls(cluster, user_agent=f"csr-operator ({sleeper})", namespace=namespace)
        return sum(call.is_write and call.code < 400 for call in calls)

    def sleep() -> None:
        nonlocal sleeper, written
        os.kill(team.first.pid, signal.SIGSTOP)
        slept = time.monotonic()
        try:
            (awake,) = team.replicas.wait_shared(1, seconds=30)
            print(f"its shards were taken {time.monotonic() - slept:.1f} s after it fell asleep")
            while time.monotonic() < slept + seconds:  # the sleep itself, not a wait for something
                time.sleep(0.5)
            (sleeper,) = names - {awake}
            written = writes()
        finally:
            os.kill(team.first.pid, signal.SIGCONT)

    team.order(ORDERS, sleep)
    assert sleeper not in team.replicas.wait_shared(2)  # it has joined under another name
    assert written > 0
    assert writes() == written


def test_all_are_replaced_one_after_the_other(team: Team) -> None:
    def roll() -> None:
        for old in (team.first, team.second):
            team.replicas.start()
            team.replicas.wait_shared(3)
            assert old.stop() == 0

    team.order(ORDERS, roll)
    team.replicas.wait_shared(2)


def test_all_are_replaced_by_those_that_watch_one_more_namespace(team: Team) -> None:
    more = ("--namespace", "default")
    team.replicas.start(*more)

    def roll() -> None:
        assert team.first.stop() == 0
        team.replicas.start(*more)
        assert team.second.stop() == 0

    team.order(ORDERS // 2, roll)
