"""Certificate revocation lists (RFC 5280, section 5) of a CA that keeps its own."""

from collections.abc import Mapping
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from csr_operator.pki.authority import Authority
from csr_operator.pki.errors import PkiError, quoted
from csr_operator.pki.extensions import extension_of
from csr_operator.pki.keys import signature_hash


def load_crl(data: bytes) -> x509.CertificateRevocationList:
    """From PEM; raises PkiError."""
    try:
        return x509.load_pem_x509_crl(data)
    except ValueError as error:
        raise PkiError(f"the revocation list cannot be read: {quoted(error)}") from None


def is_revoked(crl: x509.CertificateRevocationList, serial_number: int) -> bool:
    return crl.get_revoked_certificate_by_serial_number(serial_number) is not None


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
    next_update: datetime,
    revoke: Mapping[int, x509.ReasonFlags],
) -> bytes:
    """The list that follows `before`, with `revoke` (reasons by serial number) added, as PEM.

    number: see RFC 5280, 5.2.3. Raises PkiError if `before` was signed by another key: what it lists would be vouched
    for unseen.
    """
    certificate = authority.certificate
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(certificate.subject)
        .last_update(now)
        .next_update(min(next_update, certificate.not_valid_after_utc))
    )
    if before is not None:
        if not is_signed_by(before, authority):
            raise PkiError("the revocation list was signed by another key than this CA's")
        for entry in before:
            builder = builder.add_revoked_certificate(entry)
    for serial_number, reason in revoke.items():
        entry_builder = x509.RevokedCertificateBuilder().serial_number(serial_number).revocation_date(now)
        if reason is not x509.ReasonFlags.unspecified:  # it is then absent (5.3.1)
            entry_builder = entry_builder.add_extension(x509.CRLReason(reason), critical=False)
        builder = builder.add_revoked_certificate(entry_builder.build())
    builder = builder.add_extension(x509.CRLNumber(number), critical=False)
    own = extension_of(certificate, x509.SubjectKeyIdentifier)
    identifier = (
        x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)
        if own is not None
        else x509.AuthorityKeyIdentifier.from_issuer_public_key(certificate.public_key())  # type: ignore[arg-type]
    )
    builder = builder.add_extension(identifier, critical=False)
    return builder.sign(authority.key, signature_hash(authority.key)).public_bytes(Encoding.PEM)
