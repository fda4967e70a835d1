"""One BIND for the folder, with a second zone for delegation, and what a provider sees of the operator."""

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from csr_operator.dns.base import Provider
from csr_operator.dns.providers import make_provider
from csr_operator.plugin import testing
from csr_operator.plugin.http import http_session
from tests.support.bind import Bind, bind

FIELD = "spec.acme.solvers[0].dns01"


@dataclass(slots=True)
class World(testing.World):
    """The Secrets of an issuer's namespace."""

    def provider(self, config: Mapping[str, Any], programs: Path | None = None) -> Provider:
        """Of an issuer whose `dns01` object is `config`."""
        return make_provider(config, replace(self.context, programs=programs), FIELD)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with http_session() as session:
        yield World(session, lambda: datetime.now(UTC))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bind]:
    with bind(tmp_path_factory.mktemp("bind"), ("example.com", "sub.example.com", "acme.example.net")) as running:
        yield running


@pytest.fixture
def name(unique_name: str) -> str:
    """Where a challenge for a host of this test's own is answered."""
    return f"_acme-challenge.{unique_name}.example.com"
