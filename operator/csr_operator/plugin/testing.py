"""What a test of a backend needs: the world that it gets of the operator, in memory, and orders as they are placed."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import aiohttp

from csr_operator.pki.csr import CsrTemplate, build_csr
from csr_operator.pki.keys import KeyAlgorithm, KeyParameters, generate
from csr_operator.pki.names import Names
from csr_operator.pki.profile import Profile

from .backend import Backend, Order, check_traits
from .context import Context, NoResponder, Responder
from .http import http_session

B = TypeVar("B", bound=Backend)

_START = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)
_KEY = generate(KeyParameters(KeyAlgorithm.ECDSA))


class Clock:
    """Stands still until it is moved."""

    def __init__(self, now: datetime = _START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        """by: as `timedelta` takes it, such as `minutes=5`."""
        self.now += timedelta(**by)


@dataclass(slots=True)
class World:
    """What an issuer's backend gets. Several backends that are made in it are one, restarted."""

    session: aiohttp.ClientSession
    """For HTTP."""
    clock: Callable[[], datetime] = field(default_factory=Clock)
    """The time now, in UTC."""
    secrets: dict[str, Mapping[str, bytes]] = field(default_factory=dict)
    """The data of those in the issuer's namespace, by name."""
    own: frozenset[str] = frozenset()
    """The Secrets that the backend writes; to write another one fails the test."""
    responder: Responder = field(default_factory=NoResponder)
    """For ACME."""
    namespace: str = ""
    """Where the Secrets are, for messages."""

    async def read_secret(self, name: str) -> Mapping[str, bytes] | None:
        """As `Context.read_secret`."""
        return self.secrets.get(name)

    async def write_secret(self, name: str, change: Callable[[Mapping[str, bytes]], Mapping[str, bytes]]) -> None:
        """As `Context.write_secret`."""
        assert name in self.own, f"the backend writes Secret {name}, which is not one of its own"
        self.secrets[name] = change(self.secrets.get(name, {}))

    @property
    def context(self) -> Context:
        """For a backend, or a part of one."""
        return Context(
            self.read_secret,
            self.write_secret,
            self.clock,
            lambda: self.session,
            self.responder,
            namespace=self.namespace,
        )

    def make(self, backend: type[B], config: Mapping[str, Any]) -> B:
        """As the operator makes it for an issuer with this config. Raises Misconfigured, also for traits that it lacks
        the methods for."""
        made = backend.create(config, self.context)
        check_traits(made)
        assert isinstance(made, backend)
        return made


@asynccontextmanager
async def world(clock: Callable[[], datetime] | None = None, /, **secrets: Mapping[str, bytes]) -> AsyncIterator[World]:
    """With these Secrets. clock: the time now, in UTC, such as a `Clock` that the test moves; None for one that stands
    still."""
    async with http_session() as session:
        yield World(session, clock or Clock(), secrets)


def order(*dns_names: str, **fields: Any) -> Order:
    """For these names, or www.example.com, and 90 days. fields: those of `Order` that are to be others.

    All are for the same key pair.
    """
    profile = fields.pop("profile", Profile())
    csr = fields.pop("csr", None)
    if csr is None:
        csr = build_csr(CsrTemplate(Names(dns_names=dns_names or ("www.example.com",)), profile), _KEY)
    placed: dict[str, Any] = {"key": "a" * 64, "duration": timedelta(days=90), **fields}
    return Order(csr=csr, profile=profile, **placed)
