"""The emulation of Sectigo Certificate Manager, and a backend that talks to it."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from csr_operator.plugin.http import http_session
from csr_operator.plugin.testing import Clock
from tests.emulators.sectigo_server import SectigoServer
from tests.emulators.sectigo_world import World


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime.now(UTC))


@pytest.fixture
def server(tmp_path: Path, clock: Clock) -> Iterator[SectigoServer]:
    with SectigoServer(tmp_path / "journal", clock) as server:
        yield server


@pytest.fixture
async def world(server: SectigoServer, clock: Clock) -> AsyncIterator[World]:
    async with http_session() as session:
        yield World(server, clock, session)
