"""One Pebble for the whole folder, and clients of it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from csr_acme import AcmeClient
from devcluster import ControlPlane
from tests.support.acme_scene import Scene, running_scene
from tests.support.acme_world import World, world_of
from tests.support.hostile_acme import HostileAcme
from tests.support.pebble import Pebble, pebble
from tests.support.sessions import session_trusting


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pebble]:
    with pebble(tmp_path_factory.mktemp("pebble")) as running:
        yield running


@pytest.fixture
async def session(server: Pebble) -> AsyncIterator[aiohttp.ClientSession]:
    """Trusts Pebble's own certificate, and nothing else."""
    async with session_trusting(server.ca_file) as found:
        yield found


@pytest.fixture
def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
async def client(server: Pebble, session: aiohttp.ClientSession, key: ec.EllipticCurvePrivateKey) -> AcmeClient:
    """With an account."""
    found = AcmeClient(session, server.directory, key)
    await found.new_account(["mailto:admin@example.com"], terms_agreed=True)
    return found


@pytest.fixture(scope="session")
def scene(
    cluster: ControlPlane, operator_credentials: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    """An operator with a CA, which the tests of the folder share: each has issuers and names of its own."""
    with running_scene(cluster, operator_credentials, tmp_path_factory.mktemp("scene")) as running:
        yield running


@pytest.fixture
async def scene_session(scene: Scene) -> AsyncIterator[aiohttp.ClientSession]:
    """Trusts the scene's Pebble."""
    async with session_trusting(scene.pebble.ca_file) as found:
        yield found


@pytest.fixture(scope="module")
def hostile() -> Iterator[HostileAcme]:
    """A CA that may lie."""
    with HostileAcme() as running:
        yield running


@pytest.fixture
async def world(hostile: HostileAcme) -> AsyncIterator[World]:
    """An issuer at a CA that knows nothing of what other tests did."""
    hostile.forget()
    async with world_of(hostile) as at_it:
        yield at_it
