"""CertCentral and DigiCert ONE on loopback, for tests of the backends alone."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from csr_operator.backends.digicert.certcentral import DigicertBackend
from csr_operator.backends.digicert.one import DigicertOneBackend
from csr_operator.plugin import testing
from csr_operator.plugin.testing import Clock, World
from tests.emulators.digicert_one_server import DigicertOneServer
from tests.emulators.digicert_server import BASE, KEY, ORGANIZATION, OV, DigicertServer


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def world(clock: Clock) -> AsyncIterator[World]:
    async with testing.world(clock, digicert={"api-key": KEY.encode()}) as world:
        yield world


@pytest.fixture
def server(clock: Clock, tmp_path: Path) -> Iterator[DigicertServer]:
    with DigicertServer(tmp_path / "journal", clock) as server:
        yield server


@pytest.fixture
def one_server(clock: Clock, tmp_path: Path) -> Iterator[DigicertOneServer]:
    with DigicertOneServer(tmp_path / "one", clock) as server:
        yield server


@pytest.fixture
def backend(server: DigicertServer, world: World) -> Callable[..., DigicertBackend]:
    """Makes a backend for the server; each call is a restart of the operator. Settings: of `spec.digicert`."""

    def make(**settings: Any) -> DigicertBackend:
        config = {
            "url": f"{server.url}{BASE}",
            "caBundle": server.ca_bundle,
            "secretName": "digicert",
            "product": OV,
            "organizationId": ORGANIZATION,
            **settings,
        }
        return DigicertBackend.create({k: v for k, v in config.items() if v is not None}, world.context)

    return make


@pytest.fixture
def one(one_server: DigicertOneServer, world: World) -> Callable[..., DigicertOneBackend]:
    """As `backend`, for DigiCert ONE."""

    def make(**settings: Any) -> DigicertOneBackend:
        config = {
            "url": one_server.url,
            "caBundle": one_server.ca_bundle,
            "secretName": "digicert",
            "profileId": one_server.PROFILE,
            **settings,
        }
        return DigicertOneBackend.create(config, world.context)

    return make
