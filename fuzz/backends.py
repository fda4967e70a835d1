"""All that is asked of a CA in the life of a certificate, of which nothing but a BackendError may be raised."""

from collections.abc import Coroutine, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from csr_operator.pki.chain import MAX_BUNDLE_CERTIFICATES, to_pem
from csr_operator.pki.csr import CsrTemplate, build_csr
from csr_operator.pki.fingerprint import sha256_fingerprint
from csr_operator.pki.names import Names
from csr_operator.pki.profile import Profile
from csr_operator.plugin.backend import Backend, Health, Issued, Order, Pending, Renewal
from csr_operator.plugin.errors import BackendError
from csr_operator.plugin.testing import Clock, World
from csr_operator.plugin.text import redact

from .checks import check_message
from .loop import finish
from .parties import CA, NOW

_KEY = ec.derive_private_key(2, ec.SECP256R1())  # of a kind that all of them take
_CSR = build_csr(CsrTemplate(Names(common_name="www.example.com", dns_names=("www.example.com",)), Profile()), _KEY)
ORDER = Order("a" * 64, _CSR, Profile(), timedelta(days=90))

CA_BUNDLE = to_pem([CA.certificate]).decode()
"""Whom the server has to be trusted by: the system's CAs take long to load."""

CLOCK = Clock(NOW)


def make(kind: type[Backend], config: Mapping[str, Any], **secrets: Mapping[str, bytes]) -> Backend:
    """With these Secrets."""
    CLOCK.now = NOW
    # Nothing calls by the session: who is asked is a function that answers.
    return World(None, CLOCK, dict(secrets)).make(kind, config)  # type: ignore[arg-type]


def live(backend: Backend) -> None:
    """Check, renewal, revocation and abandonment; an order is placed, looked for, and followed by another."""
    _ask(backend.check())
    first = _order(backend, ORDER)
    leaf, reference = CA.certificate, "1000/2000"
    if isinstance(first, Issued):
        leaf, reference = first.certificates[0], first.reference
    _order(backend, replace(ORDER, repeated=True))
    _order(backend, replace(ORDER, key="b" * 64, replaces=reference, replaces_fingerprint=sha256_fingerprint(leaf)))
    if backend.traits.suggests_renewal:
        renewal = _ask(backend.suggest_renewal(reference))
        assert not isinstance(renewal, Renewal) or renewal.start <= renewal.end
    _ask(backend.revoke(leaf, x509.ReasonFlags.superseded))
    if backend.traits.abandons:
        _ask(backend.abandon(ORDER.key, _CSR, first.handle if isinstance(first, Pending) else ""))


def _order(backend: Backend, order: Order) -> object:
    """The last of the answers, within three polls."""
    answer = _ask(backend.submit(order))
    for _ in range(3):
        if not isinstance(answer, Pending):
            break
        CLOCK.advance(hours=1)
        answer = _ask(backend.poll(order, answer.handle) if answer.handle else backend.submit(order))
    if isinstance(answer, Issued):
        assert 0 < len(answer.certificates) <= MAX_BUNDLE_CERTIFICATES
        assert len(answer.reference) <= 1024
    return answer


def _ask(work: Coroutine[Any, Any, object]) -> object:
    """Its answer, if it has one. Whatever it says is shown as the operator shows it: in bounds."""
    try:
        answer = finish(work)
    except BackendError as error:
        check_message(redact(str(error)))
        return None
    if isinstance(answer, Health | Pending):
        check_message(redact(answer.message))
    return answer
