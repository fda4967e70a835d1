"""Certificates that were replaced and are still to be revoked, as an annotation of their Secret remembers them.

Its value is `CODE JSON`: what the operator did not write itself counts for nothing, or nobody's certificate would be
safe from whoever may write to a Secret.
"""

import base64
import json
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from .keys import SecretKey
from .names import SUPERSEDED
from .seal import Seal
from .secrets import DebtSummary
from .times import format_time, parse_time


@dataclass(frozen=True, slots=True)
class RevocationDebt:
    """A replaced certificate that is still to be revoked, with the certificate itself."""

    issuer: str
    """Who has to revoke it (`Kind/name`)."""
    certificate: x509.Certificate
    reason: str = SUPERSEDED
    """One of `names.REVOCATION_REASONS`."""


def write_debts(secret: SecretKey, debts: tuple[RevocationDebt, ...], seal: Seal) -> str:
    """The annotation's value."""
    text = json.dumps(
        [
            {
                "issuer": debt.issuer,
                "notAfter": format_time(debt.certificate.not_valid_after_utc),
                "certificate": base64.b64encode(debt.certificate.public_bytes(Encoding.DER)).decode(),
                **({"reason": debt.reason} if debt.reason != SUPERSEDED else {}),
            }
            for debt in debts
        ]
    )
    return f"{seal.code('debts', *secret, text)} {text}"


def read_debts(secret: SecretKey, value: str, seal: Seal) -> tuple[RevocationDebt, ...]:
    """Nothing if it is not the operator's."""
    text = _authentic(secret, value, seal)
    return tuple(
        RevocationDebt(
            entry["issuer"],
            x509.load_der_x509_certificate(base64.b64decode(entry["certificate"])),
            entry.get("reason", SUPERSEDED),
        )
        for entry in json.loads(text or "[]")
    )


def read_debt_summaries(secret: SecretKey, value: str, seal: Seal | None) -> tuple[DebtSummary, ...] | None:
    """Who has to revoke what, without looking into the certificates; None if it is not the operator's.

    seal: as for `parse_secret.parse_secret_meta`.
    """
    if not value:
        return ()
    text = _authentic(secret, value, seal)
    if text is None:
        return None
    try:
        summaries = tuple(DebtSummary(str(entry["issuer"]), str(entry["notAfter"])) for entry in json.loads(text))
        for summary in summaries:
            parse_time(summary.not_after)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None  # of use only without a seal, where anything may stand
    return summaries


def _authentic(secret: SecretKey, value: str, seal: Seal | None) -> str | None:
    code, _, text = value.partition(" ")
    return text if seal is None or seal.verifies(code, "debts", *secret, text) else None
