"""What is written to the status of a request, and what is not worth a write."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

from csr_operator.api.keys import ObjectKey
from csr_operator.api.reasons import Reason
from csr_operator.api.request import CertificateRequest
from csr_operator.api.seal import Seal
from csr_operator.control.journal import Journal
from csr_operator.control.paces import Paces
from csr_operator.control.reports import Reports
from csr_operator.decisions.actions import Hold
from csr_operator.decisions.world import Waiting
from csr_operator.issuance.performer import Performer
from csr_operator.kube.custom_objects import CustomObjects
from csr_operator.kube.errors import KubeError
from csr_operator.kube.events import Events
from tests.control.scene import NOW, Scene, make_order, make_request

WWW = make_request()
PENDING = Hold(Reason.PENDING, "order 42 is with the CA", until=NOW + timedelta(seconds=5), needs_user=False)


class Cluster:
    """Takes a status, or refuses it."""

    def __init__(self, refuses: int = 0) -> None:
        self._refuses = refuses
        self.written: list[dict[str, Any]] = []

    async def patch_status(self, _: ObjectKey, __: str, status: dict[str, Any]) -> dict[str, Any]:
        self.written.append(status)
        if self._refuses:
            raise KubeError(self._refuses, "", "no")
        return {"metadata": {"resourceVersion": str(len(self.written) + 1)}}


class Reader:
    """A performer that reads the CSR."""

    async def csr_pem(self, *_: object) -> str:
        return "CSR"


def reports(scene: Scene, cluster: Cluster) -> Reports:
    seal = Seal()
    seal.use([b"k" * 32])
    return Reports(
        cast(CustomObjects, cluster),
        cast(Performer, Reader()),
        cast(Events, scene.told),
        Journal(asyncio.get_running_loop().time),
        scene.store,
        scene.memory,
        Paces(scene.memory, seal, scene.clock),
        scene.clock,
    )


def known(scene: Scene) -> CertificateRequest:
    """The request, as it is with what was written to it."""
    found = scene.store.request(WWW.key)
    assert found is not None
    return found


async def test_the_same_is_written_once() -> None:
    scene, cluster = Scene(), Cluster()
    scene.store.put_request(WWW)
    found, hold = reports(scene, cluster), Hold(Reason.APPROVAL_PENDING, "ask somebody", needs_user=True)
    for _ in range(3):
        await found.rest(known(scene), hold)
    assert len(cluster.written) == 1
    assert scene.told.notes == [("www", "ApprovalPending", "ask somebody")]


async def test_what_the_api_server_refuses_is_not_written_again_and_again() -> None:
    scene, cluster = Scene(), Cluster(refuses=422)
    scene.store.put_request(WWW)
    found = reports(scene, cluster)
    for _ in range(3):
        await found.rest(known(scene), Hold(Reason.APPROVAL_PENDING, "ask somebody", needs_user=True))
    assert len(cluster.written) == 1
    await found.rest(known(scene), Hold(Reason.APPROVAL_PENDING, "ask somebody else", needs_user=True))
    assert len(cluster.written) == 2


async def test_an_order_that_takes_seconds_costs_no_write_and_one_that_takes_longer_one() -> None:
    scene, cluster = Scene(), Cluster()
    scene.store.put_request(WWW)
    scene.store.saw_secret(make_order(WWW))
    found = reports(scene, cluster)
    assert await found.rest(known(scene), PENDING) == timedelta(seconds=5)
    assert cluster.written == []

    scene.now += timedelta(seconds=25)
    assert await found.rest(known(scene), replace(PENDING, until=scene.now + timedelta(seconds=5))) is not None
    assert len(cluster.written) == 1


async def test_who_has_to_act_is_reminded_once_a_day() -> None:
    scene, cluster = Scene(), Cluster()
    scene.store.put_request(WWW)
    scene.store.saw_secret(make_order(WWW))
    scene.memory.recall(WWW).waiting = Waiting(
        uid="order", message="sign it", poll_at=NOW, imported="", remind_at=NOW + timedelta(days=1), since=NOW
    )
    found = reports(scene, cluster)
    for hour in range(72):
        scene.now = NOW + timedelta(hours=hour)
        hold = Hold(Reason.ACTION_REQUIRED, "sign it", until=scene.now + timedelta(days=7), needs_user=True)
        after = await found.rest(known(scene), hold)
        assert after is not None
        assert after <= timedelta(hours=1)
    reminders = [note for _, reason, note in scene.told.notes if reason == "StillPending"]
    assert len(reminders) == 2
    assert all("sign it" in note for note in reminders)


async def test_a_status_that_came_too_late_is_looked_at_again() -> None:
    """As where it was told just before that the CA takes long: no watch shows anything new then."""
    scene, cluster = Scene(), Cluster(refuses=409)
    scene.store.put_request(WWW)
    hold = Hold(Reason.APPROVAL_PENDING, "ask somebody", needs_user=True)
    assert await reports(scene, cluster).rest(known(scene), hold) == timedelta(seconds=1)
