"""CAs whose answers make a certificate come due again at once, which no real CA can be made to give."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509

from csr_operator.pki.authority import load_authority, sign
from csr_operator.plugin.backend import Backend, Health, Issued, Order, Pending, Renewal, Traits
from csr_operator.plugin.context import Context
from csr_operator.plugin.errors import Lapsed


class HastyCa(Backend):
    """Signs with the key pair in a Secret.

    config: `secretName`; `backdated` and `life`, in seconds; with `renewNow`, it wants each certificate renewed.
    """

    traits = Traits(suggests_renewal=True)

    def __init__(self, config: Mapping[str, Any], context: Context) -> None:
        self._config, self._context = config, context

    @classmethod
    def create(cls, config: Mapping[str, Any], context: Context) -> "HastyCa":
        return cls(config, context)

    async def check(self) -> Health:
        return Health("is in a hurry")

    async def submit(self, order: Order) -> Issued | Pending:
        data = await self._context.read_secret(self._config["secretName"])
        assert data is not None
        authority, now = load_authority(data["tls.crt"], data["tls.key"]), self._context.clock()
        certificate = sign(
            authority,
            order.csr,
            order.profile,
            not_before=now - timedelta(seconds=self._config.get("backdated", 0)),
            not_after=now + timedelta(seconds=self._config.get("life", 86400)),
        )
        return Issued([certificate, *authority.certificates], reference="it", renewal=_now(self._config, now))

    async def suggest_renewal(self, reference: str) -> Renewal | None:
        return _now(self._config, self._context.clock())


class LapsingCa(HastyCa):
    """Takes each order, and drops it when it is asked how it stands."""

    traits = Traits(costs=True, suggests_renewal=True)

    async def submit(self, order: Order) -> Issued | Pending:
        return Pending("an-order", timedelta(seconds=0.1), "is taken")

    async def poll(self, order: Order, handle: str) -> Issued | Pending:
        raise Lapsed("the order came to nothing")


class PatientCa(HastyCa):
    """Takes each order, and never comes to an end with it; it wants to be told of those that are given up."""

    traits = Traits(costs=True, suggests_renewal=True, abandons=True)

    async def submit(self, order: Order) -> Issued | Pending:
        return Pending("an-order", timedelta(seconds=60), "is taken", by_user=True)

    async def poll(self, order: Order, handle: str) -> Issued | Pending:
        return await self.submit(order)

    async def abandon(self, key: str, csr: x509.CertificateSigningRequest, handle: str) -> None:
        pass


def _now(config: Mapping[str, Any], now: datetime) -> Renewal | None:
    if not config.get("renewNow"):
        return None
    return Renewal(datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 2, tzinfo=UTC), timedelta(hours=6))
