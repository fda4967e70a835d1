"""Certificate revocation lists (RFC 5280, section 5) of a CA that keeps its own."""

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


def sign_crl(
    authority: Authority,
    before: x509.CertificateRevocationList | None,
    *,
    now: datetime,
    next_update: datetime,
    revoke: tuple[int, x509.ReasonFlags] | None = None,
) -> bytes:
    """The list that follows `before`, with `revoke` (serial number, reason) added, as PEM.

    The CRL number (5.2.3) goes up by one. Raises PkiError if `before` was signed by another key: what it lists would be
    vouched for unseen.
    """
    certificate = authority.certificate
    number = 1
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(certificate.subject)
        .last_update(now)
        .next_update(min(next_update, certificate.not_valid_after_utc))
    )
    if before is not None:
        if not before.is_signature_valid(certificate.public_key()):  # type: ignore[arg-type]
            raise PkiError("the revocation list was signed by another key than this CA's")
        number = before.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number + 1
        for entry in before:
            builder = builder.add_revoked_certificate(entry)
    if revoke is not None:
        serial_number, reason = revoke
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
