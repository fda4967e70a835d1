"""`selfSigned`: each certificate is signed by its own key. For roots, and for tests.

A repeat is harmless: nothing outside the operator is asked.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Self

from cryptography import x509

from csr_operator.pki.authority import self_sign
from csr_operator.pki.errors import PkiError
from csr_operator.pki.signatures import is_self_signed
from csr_operator.plugin.backend import Backend, Health, Issued, Order, Pending, Traits
from csr_operator.plugin.context import Context
from csr_operator.plugin.errors import Misconfigured, Rejected

from .backdate import backdate_of, validity


class SelfSignedBackend(Backend):
    """Issuers of `spec.selfSigned`: each certificate is signed with its own private key."""

    traits = Traits(needs_private_key=True, knows_roots=True)

    def __init__(self, backdate: timedelta, context: Context) -> None:
        self._backdate, self._clock = backdate, context.clock

    @classmethod
    def create(cls, config: Mapping[str, Any], context: Context) -> Self:
        if unknown := config.keys() - {"backdate"}:
            raise Misconfigured(f"spec.selfSigned has no such field: remove {', '.join(sorted(unknown))}")
        return cls(backdate_of(config, "spec.selfSigned"), context)

    async def check(self) -> Health:
        return Health("signs each certificate with its own key")

    async def submit(self, order: Order) -> Issued | Pending:
        if order.private_key is None:
            raise Rejected("selfSigned signs with the key itself, not available with spec.request: use another issuer")
        first, last = validity(self._clock(), order.duration, self._backdate)
        try:
            certificate = self_sign(order.csr, order.private_key, order.profile, not_before=first, not_after=last)
        except PkiError as error:
            raise Rejected(f"selfSigned: {error}") from None
        return Issued((certificate,), roots=(certificate,))

    async def poll(self, order: Order, handle: str) -> Issued | Pending:
        return await self.submit(order)

    async def roots_of(self, leaf: x509.Certificate) -> Sequence[x509.Certificate] | None:
        return (leaf,) if is_self_signed(leaf) else ()

    async def revoke(self, certificate: x509.Certificate, reason: x509.ReasonFlags) -> None:
        raise Rejected("a self-signed certificate cannot be revoked: whoever trusts it has to stop")
