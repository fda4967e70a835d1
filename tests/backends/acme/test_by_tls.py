"""Names that are proven by tls-alpn-01, each of which shows one proof at a time."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from csr_operator.plugin.errors import Retryable
from tests.support.acme_world import Routes, World, go, order, submitted, world_of
from tests.support.hostile_acme import TOKEN, HostileAcme

NAMES = ("c.example.com", "a.example.com", "b.example.com")


@dataclass
class Listener(Routes):
    """taken: names with the challenge of another order. calls: to present. shown: what came of them."""

    taken: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    shown: dict[str, str] = field(default_factory=dict)

    async def present_alpn(self, identifier: str, answer: str) -> None:
        self.calls.append(identifier)
        if identifier in self.taken:
            raise Retryable(f"there is another challenge at {identifier}")
        self.shown[identifier] = answer

    async def withdraw_alpn(self, identifier: str, answer: str) -> None:
        assert self.shown.pop(identifier, answer) == answer


def by_tls(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "challenges": [{**challenge, "type": "tls-alpn-01"} for challenge in body["challenges"][:1]]}


@pytest.fixture
def ca() -> Iterator[HostileAcme]:
    with HostileAcme() as server:
        server.lies["authorization"] = by_tls
        yield server


@pytest.fixture
async def world(ca: HostileAcme) -> AsyncIterator[World]:
    async with world_of(ca) as world:
        yield world


async def test_what_is_presented_is_the_key_authorization_and_it_is_withdrawn(world: World) -> None:
    world.routes = listener = Listener()
    backend, wanted = world.again(solvers=[{"tlsALPN01": {}}]), order("mine", *NAMES)
    seen = {}
    world.ca.lies["challenge"] = lambda body: seen.update(listener.shown) or body
    await go(backend, wanted, await submitted(backend, wanted))
    assert seen.keys() == {*NAMES}
    assert {answer.partition(".")[0] for answer in seen.values()} == {TOKEN}
    assert listener.shown == {}


async def test_an_order_that_waits_for_a_name_holds_none_that_comes_after_it(world: World) -> None:
    """So no two orders wait for each other, whatever their names have in common."""
    world.routes = listener = Listener(taken={"b.example.com"})
    backend, wanted = world.again(solvers=[{"tlsALPN01": {}}]), order("mine", *NAMES)
    handle = await submitted(backend, wanted)
    for _ in range(2):
        with pytest.raises(Retryable, match=r"another challenge at b\.example\.com"):
            await backend.poll(wanted, handle)
    assert listener.calls == ["a.example.com", "b.example.com", "b.example.com"]
    assert listener.shown.keys() == {"a.example.com"}
    assert world.ca.asked("challenge") == 0

    listener.taken.clear()
    await go(backend, wanted, handle)
    assert listener.calls[3:] == ["b.example.com", "c.example.com"]
    assert listener.shown == {}


async def test_an_order_that_is_given_up_while_it_waits_gives_back_what_it_holds(world: World) -> None:
    world.routes = listener = Listener(taken={"b.example.com"})
    backend, wanted = world.again(solvers=[{"tlsALPN01": {}}]), order("mine", *NAMES)
    handle = await submitted(backend, wanted)
    with pytest.raises(Retryable):
        await backend.poll(wanted, handle)
    await backend.abandon(wanted.key, wanted.csr, handle)
    assert listener.shown == {}
