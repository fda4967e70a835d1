"""Certificate revocation lists (RFC 5280, section 5) of a CA that keeps its own."""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from csr_operator.pki.authority import Authority
from csr_operator.pki.errors import PkiError
from csr_operator.pki.extensions import extension_of
from csr_operator.pki.keys import signature_hash

_EXPIRIES_DIGEST = x509.ObjectIdentifier("2.25.149838294529367921839462047721338476113")
"""A CRL extension, not critical: the SHA-256 of the `Expiries` that are kept beside the list."""

_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Expiries:
    """When the certificates on a list have expired for certain, by what `_short` makes of a serial number.

    A list does not say it, and an entry may only go when it has appeared on a list of a later time (RFC 5280, 3.3).
    """

    days: Mapping[str, str]

    @classmethod
    def read(cls, text: bytes, crl: x509.CertificateRevocationList) -> "Expiries | None":
        """None unless the CA vouched for the text in that list: who could forge it would have entries dropped."""
        extension = next((e for e in crl.extensions if e.oid == _EXPIRIES_DIGEST), None)
        if extension is None or extension.value.public_bytes() != _digest(text):
            return None
        by_day: dict[str, str] = json.loads(text)
        return cls(
            {
                serials[at : at + _DIGITS]: day
                for day, serials in by_day.items()
                for at in range(0, len(serials), _DIGITS)
            }
        )

    def written(self) -> bytes:
        """JSON: by day (ISO 8601), the serial numbers in short."""
        by_day: dict[str, list[str]] = {}
        for short, day in sorted(self.days.items()):
            by_day.setdefault(day, []).append(short)
        return json.dumps({day: "".join(serials) for day, serials in sorted(by_day.items())}).encode()

    def passed(self, serial_number: int, moment: datetime) -> bool:
        """The certificate has expired before `moment`, as far as is known."""
        day = self.days.get(_short(serial_number))
        return day is not None and day <= moment.astimezone(UTC).date().isoformat()

    def of(self, serial_numbers: Collection[int], more: Mapping[int, datetime]) -> "Expiries":
        """Those of `serial_numbers`, as far as they are known, and those in `more`."""
        shorts = {_short(number) for number in serial_numbers}
        kept = {short: day for short, day in self.days.items() if short in shorts}
        for number, not_after in more.items():
            day = (not_after.astimezone(UTC) + timedelta(days=1)).date().isoformat()
            kept[_short(number)] = max(day, kept.get(_short(number), ""))
        return Expiries(kept)


def _short(serial_number: int) -> str:
    """Enough of it: serial numbers are random, and of two that are alike here the later expiry counts."""
    return f"{serial_number % (1 << 64):0{_DIGITS}x}"


def _digest(text: bytes) -> bytes:
    """As an OCTET STRING (DER)."""
    return b"\x04\x20" + hashlib.sha256(text).digest()


def load_crl(data: bytes) -> x509.CertificateRevocationList:
    """From PEM; raises PkiError, also for what is read of it only when somebody asks for it."""
    try:
        crl = x509.load_pem_x509_crl(data)
        _ = crl.issuer, crl.extensions, crl.last_update_utc, crl.next_update_utc
        for entry in crl:
            _ = entry.serial_number, entry.revocation_date_utc, entry.extensions
        return crl
    except Exception:  # whatever the library stumbles over
        raise PkiError("the revocation list cannot be read: it is not a list in PEM, or damaged") from None


def revoked(crl: x509.CertificateRevocationList | None) -> dict[int, x509.RevokedCertificate]:
    """All entries by serial number; none for no list."""
    return {entry.serial_number: entry for entry in crl or ()}


def crl_number(crl: x509.CertificateRevocationList) -> int:
    """0 if it has none (RFC 5280, 5.2.3)."""
    try:
        return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except (x509.ExtensionNotFound, ValueError):
        return 0


def is_signed_by(crl: x509.CertificateRevocationList, authority: Authority) -> bool:
    """Its signature is that of the CA's key."""
    return crl.is_signature_valid(authority.certificate.public_key())  # type: ignore[arg-type]


def sign_crl(
    authority: Authority,
    before: x509.CertificateRevocationList | None,
    *,
    number: int,
    now: datetime,
    this_update: datetime,
    next_update: datetime,
    revoke: Mapping[int, x509.ReasonFlags],
    drop: Collection[int] = (),
    expiries: bytes = b"",
) -> bytes:
    """The list that follows `before`, with `revoke` (reasons by serial number) added, as PEM.

    number: see RFC 5280, 5.2.3. now: when what is new on the list was revoked. this_update: when the list takes effect.
    drop: the serial numbers of entries that may go. expiries: what `Expiries.read` is to believe of this list. Raises
    PkiError if `before` was signed by another key: what it lists would be vouched for unseen.
    """
    certificate, entries = authority.certificate, list[x509.RevokedCertificate]()
    if before is not None:
        if not is_signed_by(before, authority):
            raise PkiError("the revocation list was signed by another key than this CA's")
        gone = frozenset(drop)
        entries += (entry for entry in before if entry.serial_number not in gone)
    for serial_number, reason in revoke.items():
        entry_builder = x509.RevokedCertificateBuilder().serial_number(serial_number).revocation_date(now)
        if reason is not x509.ReasonFlags.unspecified:  # it is then absent (5.3.1)
            entry_builder = entry_builder.add_extension(x509.CRLReason(reason), critical=False)
        entries.append(entry_builder.build())
    # Added one by one, each would have the builder copy all those before it.
    builder = x509.CertificateRevocationListBuilder(revoked_certificates=entries)
    builder = (
        builder.issuer_name(certificate.subject)
        .last_update(this_update)
        .next_update(min(next_update, certificate.not_valid_after_utc))
    )
    if expiries:
        builder = builder.add_extension(x509.UnrecognizedExtension(_EXPIRIES_DIGEST, _digest(expiries)), critical=False)
    builder = builder.add_extension(x509.CRLNumber(number), critical=False)
    own = extension_of(certificate, x509.SubjectKeyIdentifier)
    identifier = (
        x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)
        if own is not None
        else x509.AuthorityKeyIdentifier.from_issuer_public_key(certificate.public_key())  # type: ignore[arg-type]
    )
    builder = builder.add_extension(identifier, critical=False)
    return builder.sign(authority.key, signature_hash(authority.key)).public_bytes(Encoding.PEM)
