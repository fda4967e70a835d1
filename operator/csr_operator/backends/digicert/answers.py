"""What CertCentral's answers mean to the operator, and in words to the user."""

from datetime import timedelta

from csr_operator.pki.chain import load_bundle
from csr_operator.pki.errors import PkiError
from csr_operator.pki.verify import CA_DECIDES
from csr_operator.plugin.backend import Issued
from csr_operator.plugin.errors import BackendError, Lapsed, Rejected, Retryable

from .handle import Handle

DEAD = frozenset({"rejected", "canceled", "expired", "revoked"})
"""Statuses of orders that nothing more comes of."""

_SOON = timedelta(minutes=1)
_LARGEST = 10**18


def number_of(given: object) -> int:
    """An ID of DigiCert's, as it may stand in a path. Raises ValueError."""
    if type(given) is int and 0 < given < _LARGEST:
        return given
    if isinstance(given, str) and given.isascii() and given.isdigit() and 0 < len(given) <= 18:
        return int(given)
    raise ValueError("no ID of DigiCert's")


def to_dead_order_error(handle: Handle, status: str) -> BackendError:
    """The error for an order, or its reissue, that DigiCert gave up: `status` is as DigiCert has it.

    Lapsed where another order may do better, Rejected where the request has to be changed.
    """
    if status == "expired":
        return Lapsed(f"DigiCert order {handle.order} expired before it was issued", _SOON)
    what = "the reissue" if handle.reissue else "the order"
    return Rejected(
        f"DigiCert order {handle.order}: {what} was {status}: see why in CertCentral, and change the request, or "
        "delete it and create it again"
    )


def to_issued(number: int, certificate_id: object, pem: bytes) -> Issued:
    """certificate_id: as DigiCert gave it; what is none is not kept. Raises Retryable."""
    try:
        certificates = load_bundle(pem)
    except PkiError as error:
        raise Retryable(f"the certificate of DigiCert order {number} cannot be read: {error}") from None
    try:
        reference = f"{number}/{number_of(certificate_id)}"
    except ValueError:
        reference = f"{number}/"
    return Issued(certificates, any_duration=True, rules=CA_DECIDES, reference=reference)
