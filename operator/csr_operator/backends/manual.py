"""`manual`: the CA is a person. The CSR is in `status.csr`; `kubectl csr import` brings the chain.

Asking twice is harmless, as nobody is asked: the CSR that the person took away is the one in the staging Secret, and
stays the same until its answer is there. An answer that is wrong is refused in words, and the right one still waited
for.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Self

from cryptography import x509

from csr_operator.pki.chain import load_bundle
from csr_operator.pki.errors import Added, Mismatch, Missing, PkiError
from csr_operator.pki.verify import accepted, clock_words
from csr_operator.plugin.backend import Backend, Health, Issued, Order, Pending, Traits
from csr_operator.plugin.context import Context
from csr_operator.plugin.errors import Misconfigured, Rejected
from csr_operator.plugin.offload import offload

_SOON = timedelta(seconds=1)
_LOOK_AGAIN = timedelta(hours=24)  # what is imported is seen at once; this is no polling


class ManualBackend(Backend):
    """Issuers of `spec.manual`: a person has the CSR signed elsewhere, and imports the chain."""

    traits = Traits(costs=True, knows_roots=True)

    def __init__(self, roots: tuple[x509.Certificate, ...], context: Context) -> None:
        self._roots, self._clock = roots, context.clock

    @classmethod
    def create(cls, config: Mapping[str, Any], context: Context) -> Self:
        bundle = config.get("caBundle") or ""
        try:
            return cls(load_bundle(bundle.encode()) if bundle else (), context)
        except PkiError as error:
            raise Misconfigured(f"spec.manual.caBundle: {error}") from None

    async def check(self) -> Health:
        known = ", ".join(root.subject.rfc4514_string() for root in self._roots)
        return Health("certificates are signed manually" + (f", and accepted if {known} signed them" if known else ""))

    async def submit(self, order: Order) -> Issued | Pending:
        if not order.answer:
            return Pending("", _LOOK_AGAIN, _WANTED, by_user=True)
        try:
            certificates = await offload(len(order.answer), self._read, order)
        except Mismatch as error:
            now, why = self._clock(), "; ".join(error.differences)
            if error.not_before is not None:
                text = f"what was imported is not valid yet: {why}; {clock_words(error, now)}"
                return Pending("", max(error.not_before - now, _SOON), text)
            if error.is_over:
                why += f"; {clock_words(error, now)}"
            return _refused(why + _remedy(error))
        except PkiError as error:
            return _refused(str(error))
        return Issued(certificates, self._roots, any_duration=True)

    def _read(self, order: Order) -> tuple[x509.Certificate, ...]:
        """What was imported. Raises PkiError if it is not what was asked for."""
        if b"PRIVATE KEY-----" in order.answer:
            raise PkiError(
                "there is a private key in it, which whoever may read the request has seen: have another key "
                "certified, and import the certificates alone"
            )
        certificates = load_bundle(order.answer)
        accepted(order.csr, certificates, order.profile, now=self._clock(), roots=self._roots or None)
        return certificates

    async def poll(self, order: Order, handle: str) -> Issued | Pending:
        return await self.submit(order)

    async def roots_of(self, leaf: x509.Certificate) -> Sequence[x509.Certificate] | None:
        return self._roots or None

    async def revoke(self, certificate: x509.Certificate, reason: x509.ReasonFlags) -> None:
        raise Rejected("a manual CA revokes by hand")


_WANTED = "have the CSR in status.csr signed, and import the chain with `kubectl csr import`"


def _remedy(refusal: Mismatch) -> str:
    """What else may be done than to have the CSR signed again; it follows what is refused."""
    added = any(isinstance(difference, Added) for difference in refusal.differences)
    missing = any(isinstance(difference, Missing) for difference in refusal.differences)
    if not (added or missing):
        return ""
    ways = [
        *(("ask for what the CA adds",) if added else ()),
        *(("leave out of the spec what it leaves out",) if missing else ()),
    ]
    return f" (have the CA sign what is asked for, or {', or '.join(ways)})"


def _refused(why: str) -> Pending:
    return Pending("", _LOOK_AGAIN, f"what was imported is refused: {why}; {_WANTED}", by_user=True)
