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
from .secrets import Debt
from .times import format_time, parse_time


@dataclass(frozen=True, slots=True)
class Owed:
    """A replaced certificate that is still to be revoked, with the certificate itself."""

    issuer: str
    """Who has to revoke it (`Kind/name`)."""
    certificate: x509.Certificate
    reason: str = SUPERSEDED
    """One of `names.REVOCATION_REASONS`."""


def write_owed(secret: SecretKey, owed: tuple[Owed, ...], seal: Seal) -> str:
    """The annotation's value."""
    text = json.dumps(
        [
            {
                "issuer": one.issuer,
                "notAfter": format_time(one.certificate.not_valid_after_utc),
                "certificate": base64.b64encode(one.certificate.public_bytes(Encoding.DER)).decode(),
                **({"reason": one.reason} if one.reason != SUPERSEDED else {}),
            }
            for one in owed
        ]
    )
    return f"{seal.code('debts', *secret, text)} {text}"


def read_owed(secret: SecretKey, value: str, seal: Seal) -> tuple[Owed, ...]:
    """Nothing if it is not the operator's."""
    text = _authentic(secret, value, seal)
    return tuple(
        Owed(
            entry["issuer"],
            x509.load_der_x509_certificate(base64.b64decode(entry["certificate"])),
            entry.get("reason", SUPERSEDED),
        )
        for entry in json.loads(text or "[]")
    )


def read_debts(secret: SecretKey, value: str, seal: Seal | None) -> tuple[Debt, ...] | None:
    """Who has to revoke what, without looking into the certificates; None if it is not the operator's.

    seal: as for `parse.parse_secret_meta`.
    """
    if not value:
        return ()
    text = _authentic(secret, value, seal)
    if text is None:
        return None
    try:
        found = tuple(Debt(str(entry["issuer"]), str(entry["notAfter"])) for entry in json.loads(text))
        for debt in found:
            parse_time(debt.not_after)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None  # of use only without a seal, where anything may stand
    return found


def _authentic(secret: SecretKey, value: str, seal: Seal | None) -> str | None:
    code, _, text = value.partition(" ")
    return text if seal is None or seal.verifies(code, "debts", *secret, text) else None
