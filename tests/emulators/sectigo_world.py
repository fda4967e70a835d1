"""What the `sectigo` backend sees in tests: Secrets in memory, a clock that goes when it is told, and the emulation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import Name, NameAttribute
from cryptography.x509.oid import NameOID

from csr_operator.backends.sectigo import SectigoBackend
from csr_operator.pki.csr import CsrTemplate, build_csr
from csr_operator.pki.keys import KeyAlgorithm, KeyParameters, generate
from csr_operator.pki.names import Names
from csr_operator.pki.profile import Profile
from csr_operator.plugin import testing
from csr_operator.plugin.backend import Issued, Order, Pending
from csr_operator.plugin.testing import Clock
from tests.emulators.sectigo_server import (
    CLIENT_ID,
    CLIENT_SECRET,
    CUSTOMER,
    LOGIN,
    PASSWORD,
    TOKEN_PATH,
    SectigoServer,
)
from tests.support.signing import VendorCa, pem

LOGIN_DATA = {"login": LOGIN.encode(), "password": PASSWORD.encode()}
OAUTH_DATA = {"clientID": CLIENT_ID.encode(), "clientSecret": CLIENT_SECRET.encode()}
_KEY = generate(KeyParameters(KeyAlgorithm.ECDSA))


@dataclass(slots=True)
class World:
    """secrets: by name; `account` holds the credentials."""

    server: SectigoServer
    clock: Clock
    session: aiohttp.ClientSession
    secrets: dict[str, Mapping[str, bytes]] = field(default_factory=lambda: {"account": LOGIN_DATA})

    def config(self, **more: Any) -> dict[str, Any]:
        """Of an issuer that logs in with a password, as `spec.sectigo`."""
        return {
            "url": f"{self.server.url}/api",
            "caBundle": self.server.ca_bundle,
            "customerURI": CUSTOMER,
            "login": {"secretName": "account"},
            "organization": "Example Inc",
            "profile": "Public OV SSL",
            **more,
        }

    def oauth(self, **more: Any) -> dict[str, Any]:
        self.secrets["account"] = OAUTH_DATA
        access = {"secretName": "account", "tokenURL": self.server.url + TOKEN_PATH}
        config = self.config(oauth=access, **more)
        return {name: value for name, value in config.items() if name not in ("login", "customerURI")}

    def backend(self, config: Mapping[str, Any] | None = None) -> SectigoBackend:
        around = testing.World(self.session, self.clock, self.secrets)
        return around.make(SectigoBackend, self.config() if config is None else config)


def order(*names: str, key: str = "0123456789abcdef" * 4, days: int = 90, **more: Any) -> Order:
    """For these DNS names (www.example.com if there are none), as the operator places it."""
    profile = more.pop("profile", Profile())
    names = names or ("www.example.com",)
    csr = build_csr(CsrTemplate(more.pop("names", None) or Names(dns_names=names), profile), more.pop("pair", _KEY))
    return Order(key, csr, profile, timedelta(days=days), **more)


async def finish(backend: SectigoBackend, wanted: Order, answer: Issued | Pending) -> Issued:
    """Poll until it is issued, which has to be soon: the clock does not go."""
    for _ in range(5):
        if isinstance(answer, Issued):
            return answer
        answer = await backend.poll(wanted, answer.handle)
    raise AssertionError(f"still pending: {answer}")


def member(members: VendorCa, login: str) -> dict[str, bytes]:
    """A Secret of type kubernetes.io/tls, by a CA that the server takes for `client_ca`."""
    key, now = generate_private_key(SECP256R1()), datetime.now(UTC)
    name = Name([NameAttribute(NameOID.COMMON_NAME, login)])
    leaf = members.sign(key.public_key(), name, [], now - timedelta(days=1), now + timedelta(days=1))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return {"tls.crt": (pem(leaf) + pem(members.intermediate)).encode(), "tls.key": private}
