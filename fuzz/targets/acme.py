"""What an ACME server answers, in the life of a certificate. May raise BackendError."""

from typing import Any

from csr_operator.backends.acme import AcmeBackend
from csr_operator.pki.keys import KeyAlgorithm, KeyParameters, generate, private_key_pem
from csr_operator.plugin.testing import World
from fuzz.backends import CA_BUNDLE, CLOCK, live
from fuzz.parties import NOW
from fuzz.servers import Session

SHAPE = "json"

_CONFIG: dict[str, Any] = {
    "server": "https://ca.example.com/directory",
    "privateKeySecretRef": {"name": "account"},
    "termsOfServiceAgreed": True,
    "caBundle": CA_BUNDLE,
    "solvers": [{"http01": {"selfCheck": False}}],
}
_ACCOUNT = {"tls.key": private_key_pem(generate(KeyParameters(KeyAlgorithm.ECDSA)))}


def fuzz(data: bytes) -> None:
    CLOCK.now = NOW
    world = World(Session(data), CLOCK, {"account": _ACCOUNT}, frozenset({"account"}), _Responder())  # type: ignore[arg-type]
    live(world.make(AcmeBackend, _CONFIG))


class _Responder:
    """Answers, as far as the CA sees."""

    def check_http(self, route: Any) -> None:
        pass

    async def present_http(self, host: str, token: str, answer: str, route: Any) -> None:
        pass

    async def withdraw_http(self, host: str, token: str) -> None:
        pass

    async def present_alpn(self, identifier: str, answer: str) -> None:
        pass

    async def withdraw_alpn(self, identifier: str, answer: str) -> None:
        pass
