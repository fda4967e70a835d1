"""The names of a CSR and of an order, as the API has them."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID

from csr_operator.pki.chain import load_bundle, spki_of
from csr_operator.pki.errors import PkiError
from csr_operator.pki.extensions import alternative_names
from csr_operator.pki.fingerprint import serial_octets
from csr_operator.pki.keys import public_key_der
from csr_operator.plugin.errors import Rejected


def common_name(csr: x509.CertificateSigningRequest) -> str:
    """The first common name of the CSR's subject; empty if it has none."""
    return next((str(attribute.value) for attribute in csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)), "")


def subject_alternative_names(csr: x509.CertificateSigningRequest) -> list[str]:
    """Raises Rejected for names that the API does not take, and if there is no name at all."""
    names = []
    for name in alternative_names(csr):
        match name:
            case x509.DNSName():
                names.append(name.value)
            case x509.IPAddress():
                names.append(str(name.value))
            case _:
                text = "remove uris, emailAddresses and otherNames"
                raise Rejected(f"SSL certificates of Sectigo hold only DNS names and IP addresses: {text}")
    if not names and not common_name(csr):
        raise Rejected("SSL certificates of Sectigo need a DNS name or an IP address: set dnsNames")
    return names


def names_of(csr: x509.CertificateSigningRequest) -> set[str]:
    """All names that a CSR asks for, in lower case. Raises Rejected, as `subject_alternative_names`."""
    return _lower([*subject_alternative_names(csr), common_name(csr)])


def names_in(details: Mapping[str, Any]) -> set[str]:
    """The names of an order. Whether the common name is repeated among the alternative ones is up to Sectigo."""
    listed = details.get("subjectAlternativeNames")
    return _lower(map(str, [*(listed if isinstance(listed, list) else ()), details.get("commonName") or ""]))


def names_of_certificate(certificate: x509.Certificate) -> set[str]:
    """Raises PkiError."""
    common_names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    texts = [str(name.value) for name in alternative_names(certificate)]
    return _lower([*texts, *(str(attribute.value) for attribute in common_names)])


def leaf_for(data: bytes, csr: x509.CertificateSigningRequest) -> x509.Certificate | None:
    """The one of the certificates that holds the key of `csr`."""
    try:
        certificates, wanted = load_bundle(data), public_key_der(csr.public_key())
        return next((certificate for certificate in certificates if spki_of(certificate) == wanted), None)
    except PkiError:
        return None


def serial_of(certificate: x509.Certificate) -> str:
    """As the API has it: bytes in capital hexadecimal, with colons."""
    text = serial_octets(certificate)
    return ":".join(text[i : i + 2] for i in range(0, len(text), 2))


def format_reference(ssl_id: int, certificate: x509.Certificate | None) -> str:
    """What is kept with a certificate: its ID and serial number, for when it is followed."""
    return f"{ssl_id}/{serial_of(certificate)}" if certificate is not None else str(ssl_id)


def parse_reference(text: str) -> tuple[int, str] | None:
    """ID and serial number from `format_reference`; None if it is none."""
    match = re.fullmatch(r"([0-9]{1,18})(?:/([0-9A-F:]{2,128}))?", text)
    return (int(match[1]), match[2] or "") if match is not None else None


def day(text: Any) -> datetime | None:
    """A date as the API writes it: in the US form unless it was asked for another."""
    for form in ("%m/%d/%Y", "%Y-%m-%d"):
        try:
            return datetime.strptime(str(text)[:10], form).replace(tzinfo=UTC)
        except ValueError:
            continue
    return None


def _lower(names: Iterable[str]) -> set[str]:
    return {name.lower() for name in names if name}
