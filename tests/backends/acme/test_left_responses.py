"""Responses to challenges that could not be removed are removed later, and there is a bound on how many are kept."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from csr_operator.backends.acme import proving
from csr_operator.plugin.errors import Retryable
from tests.support.acme_world import NAME, Routes, World, go, order, submitted, world_of
from tests.support.entries import entries_of
from tests.support.hostile_acme import HostileAcme


class StuckRoutes(Routes):
    """Nothing can be removed: that is refused, or (hangs) never answered."""

    stuck, hangs = True, False

    async def withdraw_http(self, host: str, token: str) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if self.stuck:
            raise Retryable("not now")
        await super().withdraw_http(host, token)


@pytest.fixture
def ca() -> Iterator[HostileAcme]:
    with HostileAcme() as server:
        yield server


@pytest.fixture
async def world(ca: HostileAcme) -> AsyncIterator[World]:
    async with world_of(ca) as found:
        found.routes = StuckRoutes()
        yield found


async def test_they_are_removed_also_after_a_check_that_was_cut_short(world: World) -> None:
    routes = world.routes
    assert isinstance(routes, StuckRoutes)
    backend, asked = world.again(), order()
    await go(backend, asked, await submitted(backend, asked))
    assert [host for host, _ in routes.present] == [NAME]

    routes.hangs = True
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await backend.check()
    routes.hangs = routes.stuck = False
    await backend.check()

    assert not routes.present
    assert not any(entries_of(backend._proving).values())


async def test_where_none_can_be_removed_the_earliest_are_given_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proving, "_MOST_LEFT", 3)
    backend = world.again()
    for number in range(6):
        asked = order(f"request-{number}", f"www-{number}.example.com")
        await go(backend, asked, await submitted(backend, asked))

    assert entries_of(backend._proving) == {"_traces": 0, "_set_up": 3, "_left": 3}
