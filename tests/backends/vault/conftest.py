"""OpenBao, with a PKI secrets engine, roles and auth methods, and what its administrator does."""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from csr_operator.backends.vault import VaultBackend
from csr_operator.plugin import testing
from csr_operator.plugin.testing import Clock, World
from tests.support.openbao import OpenBao, openbao

POLICY = {
    "pki/sign/*": {"capabilities": ["update"]},
    "pki/issuer/+/sign/*": {"capabilities": ["update"]},
    "pki/sign-verbatim": {"capabilities": ["update"]},
    "pki/roles/*": {"capabilities": ["read"]},
    "pki/revoke": {"capabilities": ["update"]},
}


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    with openbao(tmp_path_factory.mktemp("openbao"), dns_port=53) as server:
        server.write("pki/roles/any", allow_any_name=True, key_type="any", require_cn=False, max_ttl="2400h")
        server.write("sys/policies/acl/signer", policy=json.dumps({"path": POLICY}))
        server.write("sys/auth/approle", type="approle")
        server.write("auth/approle/role/operator", token_policies="signer", token_ttl="1h")
        yield server


@dataclass(slots=True)
class Site:
    """An issuer's backend, as the operator makes it, in a world whose Secrets and clock the test changes."""

    bao: OpenBao
    world: World
    clock: Clock

    def backend(self, path: str = "pki/sign/any", auth: Mapping[str, Any] | None = None, **more: Any) -> VaultBackend:
        """auth: the token in Secret vault when absent."""
        config = {
            "server": self.bao.url,
            "caBundle": self.bao.ca_file.read_text(),
            "path": path,
            "auth": auth or {"token": {"secretName": "vault"}},
            **more,
        }
        return self.world.make(VaultBackend, config)

    def token(self, **more: Any) -> str:
        """A new one, with the policy `signer`; it is put into the Secret vault."""
        token = str(self.bao.auth("auth/token/create", policies=["signer"], **more)["client_token"])
        self.world.secrets["vault"] = {"token": token.encode()}
        return token


@pytest.fixture
async def site(bao: OpenBao) -> AsyncIterator[Site]:
    clock = Clock(datetime.now(UTC))
    async with testing.world(clock) as world:
        site = Site(bao, world, clock)
        site.token()
        yield site
