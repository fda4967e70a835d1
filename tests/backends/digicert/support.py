"""A backend as the operator has it, without the operator: orders made by hand, and a clock that is set."""

import heapq
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.x509.oid import NameOID

from csr_operator.backends.digicert.certcentral import DigicertBackend
from csr_operator.pki.profile import Profile
from csr_operator.plugin.backend import Order, Pending
from csr_operator.plugin.testing import Clock


def csr(*dns_names: str, common_name: str = "", others: tuple[x509.GeneralName, ...] = ()) -> Any:
    """A CSR with a new key."""
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else []
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(attributes))
    if names := (*map(x509.DNSName, dns_names), *others):
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(generate_private_key(SECP256R1()), hashes.SHA256())


def order(key: str = "a" * 64, *dns_names: str, **fields: Any) -> Order:
    """For www.example.com and 90 days, unless `fields` say otherwise."""
    wanted = {
        "csr": csr(*(dns_names or ("www.example.com",))),
        "profile": Profile(),
        "duration": timedelta(days=90),
        **fields,
    }
    return Order(key, **wanted)


_SHARED = csr("www.example.com")


class Queue:
    """Looks at each pending order when it is due, as the operator does. said: what was, by order."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due: list[tuple[datetime, str, str]] = []
        self._orders: dict[str, Order] = {}
        self.answers: dict[str, set[tuple[str, str]]] = {}
        self.done: list[str] = []
        self.looks = 0

    async def submit(self, ca: DigicertBackend, count: int) -> None:
        for n in range(count):
            wanted = order(f"{n:064x}", csr=_SHARED)
            self._orders[wanted.key] = wanted
            self._note(wanted.key, await ca.submit(wanted))

    async def run(self, ca: DigicertBackend, until: datetime) -> None:
        while self._due and self._due[0][0] <= until:
            when, key, handle = heapq.heappop(self._due)
            self.looks += 1
            self._clock.now = max(when, self._clock.now)
            self._note(key, await ca.poll(self._orders[key], handle))
        self._clock.now = until

    def all_due(self) -> None:
        """After a restart, nothing is known of when to look again."""
        self._due = [(self._clock.now, key, handle) for _, key, handle in self._due]

    def _note(self, key: str, answer: object) -> None:
        if isinstance(answer, Pending):
            self.answers.setdefault(key, set()).add((answer.handle, answer.message))
            heapq.heappush(self._due, (self._clock.now + answer.poll_after, key, answer.handle))
        else:
            self.done.append(key)
