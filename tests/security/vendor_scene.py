"""Two tenants with one account at CertCentral or Sectigo: backends alone, as a forged order reaches them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256

from csr_operator.backends.digicert.certcentral import DigicertBackend
from csr_operator.plugin import http, testing
from csr_operator.plugin.backend import Issued
from csr_operator.plugin.testing import Clock, World
from tests.emulators import sectigo_world
from tests.emulators.digicert_server import BASE, KEY, ORGANIZATION, OV, DigicertServer
from tests.emulators.sectigo_server import SectigoServer


@dataclass(slots=True)
class CertCentral:
    server: DigicertServer
    clock: Clock
    world: World

    def backend(self, **settings: Any) -> DigicertBackend:
        """Each is a restart of the operator."""
        config = {
            "url": f"{self.server.url}{BASE}",
            "caBundle": self.server.ca_bundle,
            "secretName": "digicert",
            "product": OV,
            "organizationId": ORGANIZATION,
            **settings,
        }
        return DigicertBackend.create(config, self.world.context)


@asynccontextmanager
async def cert_central(folder: Path) -> AsyncIterator[CertCentral]:
    clock = Clock()
    with DigicertServer(folder / "digicert", clock) as server:
        async with testing.world(clock, digicert={"api-key": KEY.encode()}) as world:
            yield CertCentral(server, clock, world)


@asynccontextmanager
async def sectigo(folder: Path) -> AsyncIterator[sectigo_world.World]:
    clock = Clock(datetime.now(UTC))
    with SectigoServer(folder / "sectigo", clock) as server:
        async with http.http_session() as session:
            yield sectigo_world.World(server, clock, session)


def twin(issued: Issued) -> x509.Certificate:
    """A certificate of mallory's own making, with the serial number (and the names) of somebody else's."""
    leaf, key = issued.certificates[0], generate_private_key(SECP256R1())
    builder = x509.CertificateBuilder(leaf.issuer, leaf.subject, key.public_key(), leaf.serial_number)
    builder = builder.not_valid_before(leaf.not_valid_before_utc).not_valid_after(leaf.not_valid_after_utc)
    return builder.sign(key, SHA256())
