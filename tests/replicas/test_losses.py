"""A replica that is lost is told of, where whoever runs the operator looks, and once."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from csr_operator.api.replicas import Group, Process
from csr_operator.kube.events import Events
from csr_operator.kube.transport import Transport
from csr_operator.replicas.identity import has_ended, own_process
from csr_operator.replicas.losses import Losses
from csr_operator.replicas.members import new_lease
from tests.support.kubectl import Kubectl, wait_until
from tests.support.names import unique
from tests.support.operator import NAMESPACE
from tests.support.replicas import replicas

NOW = datetime(2026, 6, 1, tzinfo=UTC)
POD = Process("csr-operator-7d9f8-abcde", "u-1", "node-1", "boot", "pids", "1", "100")
OUTSIDE = Process("", "", "workstation", "boot", "pids", "4711", "100")
RESTRICTED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True}


def make_pod(system: Kubectl) -> tuple[str, str]:
    """Name and UID of one that is like the Deployment's; no node runs it here."""
    name = unique("csr-operator")
    container = {"name": "csr-operator", "image": "csr-operator:latest", "securityContext": RESTRICTED}
    spec = {"containers": [container], "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}}
    system.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})
    return name, system.get("pod", name)["metadata"]["uid"]


def losses(system: Kubectl, *names: str) -> list[dict[str, Any]]:
    """The events that tell of these."""
    events = system.list("events.events.k8s.io", "--field-selector", "reason=ReplicaLost")
    return [event for event in events if any(name in event["note"] for name in names)]


def test_one_that_is_killed_is_told_of_once_with_its_name(
    operator_credentials: Path, kubectl: Kubectl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = Kubectl(kubectl.cluster, NAMESPACE)
    pods = [make_pod(system) for _ in range(3)]
    with replicas(operator_credentials, tmp_path, kubectl) as team:
        started = []
        for name, uid in pods:
            monkeypatch.setenv("POD_NAME", name)
            monkeypatch.setenv("POD_UID", uid)
            started.append(team.start())
        team.wait_shared(3)
        started[0].kill()
        team.wait_shared(2)
        assert started[1].stop() == 0
        team.wait_shared(1)
    names = [name for name, _ in pods]
    (told,) = wait_until("it is told", lambda: losses(system, *names))
    assert told["regarding"] == {"apiVersion": "v1", "kind": "Pod", "namespace": NAMESPACE} | dict(
        zip(("name", "uid"), pods[0], strict=True)
    )
    assert told["type"] == "Warning"
    assert told["note"].startswith(f"pod {names[0]} is lost: ")
    assert f"`kubectl describe pod {names[0]} -n {NAMESPACE}`" in told["note"]
    assert "ReplicaLost" in system("describe", "pod", names[0])
    assert f"pod/{names[0]}" in system("get", "events")


class Recorder:
    """An API server that takes all that it is told to create."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []

    async def call(self, *_: str, body: dict[str, Any], **__: Any) -> None:
        self.bodies.append(body)


def lease(process: Process | str, uid: str) -> dict[str, Any]:
    identity = process if isinstance(process, str) else process.identity
    made = new_lease("csr-operator-1a2b3c", Group(), identity, NOW)
    return {**made, "metadata": {**made["metadata"], "namespace": "system", "uid": uid}}


async def told_of(*leases: dict[str, Any]) -> list[dict[str, Any]]:
    api = Recorder()
    events = Events(cast(Transport, api), lambda: NOW)
    teller = Losses(events, "system")
    for each in leases:
        teller.tell(each)
    await events.drain()
    return api.bodies


@pytest.mark.parametrize(
    ("process", "name", "regarding"),
    [
        (POD, "pod csr-operator-7d9f8-abcde", {"kind": "Pod", "name": POD.pod, "uid": POD.pod_uid}),
        (POD._replace(pod_uid=""), "pod csr-operator-7d9f8-abcde", {"kind": "Pod", "name": POD.pod}),
        (OUTSIDE, "process 4711 on host workstation", {"kind": "Lease", "name": "csr-operator-1a2b3c", "uid": "l"}),
        (POD._replace(pod="No Name"), "pod No Name", {"kind": "Lease", "name": "csr-operator-1a2b3c", "uid": "l"}),
        ("something else", "a process", {"kind": "Lease", "name": "csr-operator-1a2b3c", "uid": "l"}),
        ("", "a process", {"kind": "Lease", "name": "csr-operator-1a2b3c", "uid": "l"}),
    ],
)
async def test_whom_it_is_about(process: Process | str, name: str, regarding: dict[str, str]) -> None:
    (event,) = await told_of(lease(process, "l"))
    assert event["note"].startswith(name)
    assert event["regarding"].items() >= {**regarding, "namespace": "system"}.items()
    assert ("uid" in event["regarding"]) is ("uid" in regarding)


async def test_all_who_tell_of_the_same_loss_make_the_same_event() -> None:
    first, second = await told_of(lease(POD, "l-1")), await told_of(lease(POD, "l-1"), lease(POD, "l-2"))
    names = [event["metadata"]["name"] for event in (*first, *second)]
    assert names[0] == names[1] != names[2]


async def test_a_flood_of_losses_makes_twenty_events_an_hour() -> None:
    assert len(await told_of(*(lease(POD, f"l-{n}") for n in range(100)))) == 20
    api, now = Recorder(), 0.0
    events = Events(cast(Transport, api), lambda: NOW)
    teller = Losses(events, "system", lambda: now)
    for _ in range(3):
        for n in range(100):
            teller.tell(lease(POD, f"{now}-{n}"))
        now += timedelta(hours=1).total_seconds()
    await events.drain()
    assert len(api.bodies) == 60


async def test_of_an_event_that_is_there_already_no_other_is_made(
    operator_credentials: Path, kubectl: Kubectl, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(operator_credentials))
    caplog.set_level("INFO")
    name = unique("host")
    gone = lease(OUTSIDE._replace(host=name), unique("uid"))
    gone["metadata"]["namespace"] = NAMESPACE
    transport = await Transport.connect(4, 30.0, 90.0)
    try:
        for _ in range(2):
            events = Events(transport, lambda: datetime.now(UTC))
            Losses(events, NAMESPACE).tell(gone)
            await events.drain()
    finally:
        await transport.close()
    assert len(losses(Kubectl(kubectl.cluster, NAMESPACE), name)) == 1
    assert "an event was lost" not in caplog.text


def test_an_earlier_container_of_the_same_pod_has_ended_and_another_pod_of_its_name_may_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("POD_NAME", POD.pod)
    monkeypatch.setenv("POD_UID", POD.pod_uid)
    assert has_ended(POD)
    assert not has_ended(POD._replace(pod_uid="u-2"))
    assert not has_ended(POD._replace(pod_uid=""))


def test_a_process_is_told_from_all_others() -> None:
    own_process.cache_clear()
    process = own_process()
    assert Process.read(process.identity) == process
    assert not has_ended(process)
    assert has_ended(process._replace(started="1"))
    assert not has_ended(process._replace(boot="", pids=""))
    assert Process.read("pod/a/b/1/2") is None
