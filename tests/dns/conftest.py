"""One BIND for the folder, with a second zone for delegation, and what a provider sees of the operator."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from csr_operator.dns.base import Provider
from csr_operator.dns.providers import provider
from csr_operator.plugin.context import Context, NoResponder
from csr_operator.plugin.http import http_session
from tests.support.bind import Bind, bind

FIELD = "spec.acme.solvers[0].dns01"


@dataclass(slots=True)
class World:
    """The Secrets of an issuer's namespace."""

    session: aiohttp.ClientSession
    secrets: dict[str, Mapping[str, bytes]] = field(default_factory=dict)

    async def read(self, name: str) -> Mapping[str, bytes] | None:
        return self.secrets.get(name)

    async def write_secret(self, name: str, change: Callable[[Mapping[str, bytes]], Mapping[str, bytes]]) -> None:
        raise AssertionError("no provider publishes anything")

    def provider(self, config: Mapping[str, Any], programs: Path | None = None) -> Provider:
        """Of an issuer whose `dns01` object is `config`."""
        clock = lambda: datetime.now(UTC)  # noqa: E731
        context = Context(self.read, self.write_secret, clock, lambda: self.session, NoResponder(), programs)
        return provider(config, context, FIELD)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with http_session() as session:
        yield World(session)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bind]:
    with bind(tmp_path_factory.mktemp("bind"), ("example.com", "sub.example.com", "acme.example.net")) as running:
        yield running


@pytest.fixture
def name(unique_name: str) -> str:
    """Where a challenge for a host of this test's own is answered."""
    return f"_acme-challenge.{unique_name}.example.com"
