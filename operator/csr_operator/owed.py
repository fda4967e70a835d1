"""Certificates that were replaced and are still to be revoked, as an annotation of their Secret remembers them.

Whoever may write to the Secret may write the annotation: each entry proves that it was made by who had the private key,
or nobody's certificate would be safe from it.
"""

import base64
import json
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from .model import Debt, format_time, parse_time
from .pki.possession import proves


@dataclass(frozen=True, slots=True)
class Owed:
    """issuer: `Kind/name`. proof: see `pki.possession`."""

    issuer: str
    certificate: x509.Certificate
    proof: bytes

    @property
    def proven(self) -> bool:
        return proves(self.proof, self.certificate)


def write_owed(owed: tuple[Owed, ...]) -> str:
    """The annotation's value."""
    return json.dumps(
        [
            {
                "issuer": one.issuer,
                "notAfter": format_time(one.certificate.not_valid_after_utc),
                "certificate": base64.b64encode(one.certificate.public_bytes(Encoding.DER)).decode(),
                "proof": base64.b64encode(one.proof).decode(),
            }
            for one in owed
        ]
    )


def read_owed(text: str) -> tuple[Owed, ...]:
    """Nothing if it cannot be read."""
    try:
        return tuple(
            Owed(
                str(entry["issuer"]),
                x509.load_der_x509_certificate(base64.b64decode(entry["certificate"])),
                base64.b64decode(entry["proof"]),
            )
            for entry in json.loads(text or "[]")
        )
    except (ValueError, TypeError, KeyError):
        return ()


def debts(text: str) -> tuple[Debt, ...]:
    """Who has to revoke what, without looking into the certificates; nothing if it cannot be read."""
    try:
        found = tuple(Debt(str(entry["issuer"]), str(entry["notAfter"])) for entry in json.loads(text))
        for debt in found:
            parse_time(debt.not_after)
    except (ValueError, TypeError, KeyError):
        return ()
    return found
