"""Whether a CA's answer is what was asked for. Pure: kubectl-csr asks the same before it hands anything on."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from cryptography import x509

from csr_operator.api.request import CertificateRequest
from csr_operator.pki.chain import Chain
from csr_operator.pki.verify import Rules, accepted

_ROUNDING = timedelta(minutes=5)
"""By how much a CA may grant more than the duration that was asked for."""

_STRICT = Rules()
"""What a CA may differ in that says nothing of it."""


def check_answer(
    request: CertificateRequest,
    csr: x509.CertificateSigningRequest,
    certificates: Sequence[x509.Certificate],
    now: datetime,
    *,
    roots: Sequence[x509.Certificate] = (),
    rules: Rules = _STRICT,
    any_duration: bool = False,
) -> Chain:
    """The chain among the certificates that a CA sent, up to the issuer's root where that is known.

    roots, rules and any_duration: as in `plugin.Issued`. Raises PkiError if it is not what was asked for; mostly
    Mismatch, which has each difference.
    """
    return accepted(
        csr,
        certificates,
        request.spec.template.profile,
        now=now,
        not_after_limit=None if any_duration else now + request.spec.duration + _ROUNDING,
        roots=roots or None,
        rules=rules,
    )
