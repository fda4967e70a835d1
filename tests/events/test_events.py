"""Events are best effort: what is too much is lost, but only to the namespace that it comes from."""

import asyncio
from collections import Counter
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from csr_operator.api.parse_request import parse_request
from csr_operator.api.request import CertificateRequest
from csr_operator.kube.events import Events
from csr_operator.kube.transport import Transport
from tests.support.manifests import request


class Deaf:
    """An API server that answers nobody."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.go_on = asyncio.Event()

    async def call(self, verb: str, method: str, resource: str, path: str, **_: Any) -> None:
        assert (verb, resource) == ("create", "events")
        self.asked[path.split("/")[-2]] += 1
        await self.go_on.wait()


def of(namespace: str) -> CertificateRequest:
    obj = request("www", "ca")
    obj["metadata"] |= {
        "namespace": namespace,
        "uid": "1",
        "resourceVersion": "1",
        "generation": 1,
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    return parse_request(obj)


@pytest.mark.slow("takes seconds")
async def test_a_flood_of_one_namespace_takes_nothing_from_another() -> None:
    deaf = Deaf()
    events = Events(cast(Transport, deaf), lambda: datetime(2026, 1, 1, tzinfo=UTC))
    for _ in range(5000):
        events.warning(of("team-a"), "Rejected", "no")
    events.warning(of("team-b"), "Rejected", "no")
    await asyncio.sleep(0)
    assert deaf.asked == {"team-a": 200, "team-b": 1}
    deaf.go_on.set()
    await events.drain()
    events.warning(of("team-a"), "Rejected", "no")
    await asyncio.sleep(0)
    assert deaf.asked["team-a"] == 201
