"""What is left behind in the operator's namespace, and how often it is looked at."""

import asyncio
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from csr_operator.challenges.responder import Challenges
from csr_operator.challenges.routes import CHALLENGE_LABEL
from csr_operator.fence import fenced
from csr_operator.kube.routes import Routes
from csr_operator.kube.transport import Transport
from devcluster import ControlPlane
from tests.responder.support import ISSUER, challenge
from tests.support.audit import api_calls, writes
from tests.support.kubectl import Kubectl, wait_until
from tests.support.names import unique
from tests.support.operator import NAMESPACE, OperatorProcess

INGRESS = {"ingress": {"ingressClassName": "nginx"}}
DAY = timedelta(hours=24)


class Clock:
    def __init__(self, ago: timedelta = timedelta()) -> None:
        self.now = datetime.now(UTC) - ago

    def __call__(self) -> datetime:
        return self.now


def ingress(name: str, **labels: str) -> dict[str, object]:
    rule = {"host": "www.example.com", "http": {"paths": []}}
    rule["http"] = {
        "paths": [{"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "a", "port": {"number": 80}}}}]
    }
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name, "labels": labels},
        "spec": {"rules": [rule]},
    }


async def test_what_nobody_presented_for_a_day_is_removed_at_the_start(
    routes: Routes, operator_credentials: Path, home: Kubectl, tmp_path: Path
) -> None:
    old, recent = challenge(), challenge()
    clock = Clock(ago=DAY + timedelta(minutes=5))
    for kept, route in ((old, INGRESS), (challenge(), {})):
        await Challenges(routes, NAMESPACE, clock, None).present(kept, route, ISSUER)
    await Challenges(routes, NAMESPACE, Clock(ago=DAY / 2), None).present(recent, INGRESS, ISSUER)
    home.apply(ingress("of-somebody-else"), ingress("spoiled", **{CHALLENGE_LABEL: "http-01"}))

    with OperatorProcess(operator_credentials, tmp_path / "log", "--namespace", "kube-public"):
        await asyncio.to_thread(wait_until, "it is gone", lambda: not home.get("ingress", old.object_name))
        await asyncio.to_thread(
            wait_until, "so is the other", lambda: not home.list("configmap", "-l", CHALLENGE_LABEL)
        )

    left = {obj["metadata"]["name"] for obj in home.list("ingress")}
    assert left == {recent.object_name, "of-somebody-else", "spoiled"}
    home("delete", "ingress", *left)


async def test_what_is_still_presented_stays_until_no_order_can_wait_for_it(routes: Routes, home: Kubectl) -> None:
    clock, waiting = Clock(ago=10 * DAY), challenge()
    at_work, another = (Challenges(routes, NAMESPACE, clock, None) for _ in range(2))
    await at_work.present(waiting, INGRESS, ISSUER)

    for _ in range(5):
        clock.now += DAY
        await at_work.sweep()  # which shows the other one that it is not forgotten
        await another.sweep()
        assert home.get("ingress", waiting.object_name)

    home("delete", "ingress", waiting.object_name)
    clock.now += DAY
    await at_work.sweep()
    assert home.get("ingress", waiting.object_name)

    clock.now += DAY
    await at_work.sweep()
    assert not home.get("ingress", waiting.object_name)
    assert await at_work.answer(waiting.host, waiting.token) is None


async def test_what_another_replica_has_withdrawn_is_not_made_anew(routes: Routes, home: Kubectl) -> None:
    """The request's shard moved while the CA had not looked yet."""
    clock, moved, ours = Clock(ago=2 * DAY), challenge(), True
    before, after = (Challenges(routes, NAMESPACE, clock, None) for _ in range(2))
    with fenced(lambda: ours):
        await before.present(moved, INGRESS, ISSUER)
    ours = False
    await after.present(moved, INGRESS, ISSUER)
    await after.withdraw(moved.host, moved.token, ISSUER)
    clock.now += DAY / 2
    await before.sweep()
    assert not home.get("ingress", moved.object_name)


async def test_what_a_process_left_behind_is_removed_by_another(routes: Routes, home: Kubectl) -> None:
    clock, left = Clock(ago=2 * DAY), challenge()
    await Challenges(routes, NAMESPACE, clock, None).present(left, INGRESS, ISSUER)
    another = Challenges(routes, NAMESPACE, clock, None)
    clock.now += DAY - timedelta(minutes=1)
    await another.sweep()
    assert home.get("ingress", left.object_name)
    clock.now += timedelta(minutes=1)
    await another.sweep()
    assert not home.get("ingress", left.object_name)


async def test_a_challenge_of_another_route_is_made_anew_and_the_old_one_goes(routes: Routes, home: Kubectl) -> None:
    """The issuer was changed while an order was under way."""
    clock, moved = Clock(ago=2 * DAY), challenge()
    at_work = Challenges(routes, NAMESPACE, clock, None)
    await at_work.present(moved, INGRESS, ISSUER)
    clock.now += 2 * DAY
    await at_work.present(moved, {}, ISSUER)
    await at_work.sweep()
    assert home.get("configmap", moved.object_name)
    assert not home.get("ingress", moved.object_name)
    await at_work.withdraw(moved.host, moved.token, ISSUER)


async def test_unknown_tokens_cost_at_most_one_look_a_second(
    transport: Transport, routes: Routes, cluster: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = unique("scanned")
    monkeypatch.setattr(transport, "agent", agent)
    scanned, real = Challenges(routes, NAMESPACE, Clock(), None), challenge()
    await Challenges(routes, NAMESPACE, Clock(), None).present(real, {}, ISSUER)
    clock = asyncio.get_running_loop().time
    began = clock()

    for _ in range(3):
        asked = [scanned.answer(real.host, secrets.token_urlsafe(32)) for _ in range(200)]
        assert set(await asyncio.gather(*asked)) == {None}
    assert await scanned.answer(real.host, real.token) == real.answer
    looks = clock() - began + 1
    for malformed in ("", "a" * 257, "../secrets", "a b", "a\x00", "é", "a" * 100_000):
        assert await scanned.answer(real.host, malformed) is None

    lists = api_calls(cluster, user_agent=agent, verb="list")
    assert 3 <= len(lists) <= 3 * looks
    await Challenges(routes, NAMESPACE, Clock(), None).withdraw(real.host, real.token, ISSUER)


async def test_a_start_without_challenges_writes_nothing(
    operator_credentials: Path, cluster: ControlPlane, tmp_path: Path
) -> None:
    before = len(writes(cluster, NAMESPACE))

    def swept() -> bool:
        return bool(api_calls(cluster, verb="list", resource="configmaps", namespace=NAMESPACE)[listed:])

    listed = len(api_calls(cluster, verb="list", resource="configmaps", namespace=NAMESPACE))
    with OperatorProcess(operator_credentials, tmp_path / "log", "--namespace", "kube-public"):
        await asyncio.to_thread(wait_until, "it has looked", swept)
    assert len(writes(cluster, NAMESPACE)) == before
