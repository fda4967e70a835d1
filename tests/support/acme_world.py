"""An ACME issuer as the operator has it, without the operator: a backend, and the world that it gets."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from csr_operator.backends.acme import AcmeBackend
from csr_operator.pki.csr import CsrTemplate, build_csr
from csr_operator.pki.names import Names
from csr_operator.pki.profile import Profile
from csr_operator.plugin import testing
from csr_operator.plugin.backend import Issued, Order, Pending
from csr_operator.plugin.context import NoResponder
from tests.support.hostile_acme import HostileAcme
from tests.support.loop import abort_connections

NAME = "www.example.com"


@dataclass
class Routes(NoResponder):
    """What is answered for the CA, by host and token."""

    present: dict[tuple[str, str], str] = field(default_factory=dict)
    ever: set[str] = field(default_factory=set)

    async def present_http(self, host: str, token: str, answer: str, route: Mapping[str, Any]) -> None:
        self.present[host, token] = answer
        self.ever.add(host)

    async def withdraw_http(self, host: str, token: str) -> None:
        self.present.pop((host, token), None)


@dataclass
class World:
    """An issuer, as the operator has it, at a CA; `again` is the same after a restart. ahead: of its clock."""

    ca: HostileAcme
    session: aiohttp.ClientSession
    routes: Routes = field(default_factory=Routes)
    secrets: dict[str, Mapping[str, bytes]] = field(default_factory=dict)
    ahead: timedelta = timedelta()

    def clock(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def again(self, **config: Any) -> AcmeBackend:
        config = {
            "server": self.ca.directory,
            "caBundle": self.ca.ca_bundle,
            "privateKeySecretRef": {"name": "account"},
            "solvers": [{"http01": {"selfCheck": False}}],
            **config,
        }
        around = testing.World(self.session, self.clock, self.secrets, frozenset({"account"}), self.routes)
        return around.make(AcmeBackend, config)


@asynccontextmanager
async def world_of(ca: HostileAcme) -> AsyncIterator[World]:
    async with aiohttp.ClientSession(trust_env=False) as session:
        yield World(ca, session)
    await abort_connections()


def csr(*names: str) -> x509.CertificateSigningRequest:
    template = CsrTemplate(Names(dns_names=names), Profile())
    return build_csr(template, ec.generate_private_key(ec.SECP256R1()))


def order(key: str = "mine", *names: str) -> Order:
    return Order(key, csr(*(names or (NAME,))), Profile(), timedelta(days=30))


async def go(backend: AcmeBackend, asked: Order, handle: str) -> Issued:
    for _ in range(5):
        answer = await backend.poll(asked, handle)
        if isinstance(answer, Issued):
            return answer
    raise AssertionError("there is no certificate")


async def submitted(backend: AcmeBackend, asked: Order) -> str:
    answer = await backend.submit(asked)
    assert isinstance(answer, Pending)
    return answer.handle
