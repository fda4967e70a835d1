"""The names a certificate is asked for: its subject and its subject alternative names."""

import contextlib
import dataclasses
from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import NameOID

from csr_operator.pki import rfc4514
from csr_operator.pki.asn1 import utf8_string
from csr_operator.pki.errors import PkiError, quoted
from csr_operator.pki.general_names import dns_name, email_address, ip_address, uri


@dataclass(frozen=True, slots=True)
class Subject:
    """The attributes of a subject besides its common name. Each value becomes an RDN of its own."""

    countries: tuple[str, ...] = ()
    organizations: tuple[str, ...] = ()
    organizational_units: tuple[str, ...] = ()
    localities: tuple[str, ...] = ()
    provinces: tuple[str, ...] = ()
    street_addresses: tuple[str, ...] = ()
    postal_codes: tuple[str, ...] = ()
    serial_number: str = ""
    email_address: str = ""


@dataclass(frozen=True, slots=True)
class OtherName:
    """An otherName (RFC 5280, 4.2.1.6) whose value is a UTF8String. ``oid`` is dotted."""

    oid: str
    utf8_value: str


@dataclass(frozen=True, slots=True)
class Names:
    """Everything that a certificate is to name, as the user wrote it.

    ``literal_subject`` is a distinguished name as RFC 4514 writes it, and excludes ``common_name`` and
    ``subject``.
    """

    common_name: str = ""
    subject: Subject = dataclasses.field(default_factory=Subject)
    literal_subject: str = ""
    dns_names: tuple[str, ...] = ()
    ip_addresses: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()
    email_addresses: tuple[str, ...] = ()
    other_names: tuple[OtherName, ...] = ()


# The order that the CA/Browser Forum's Baseline Requirements, 7.1.4.2, ask for, and the one openssl req is
# known for.
_BEFORE_COMMON_NAME = (
    ("countries", "countries", NameOID.COUNTRY_NAME),
    ("provinces", "provinces", NameOID.STATE_OR_PROVINCE_NAME),
    ("localities", "localities", NameOID.LOCALITY_NAME),
    ("postal_codes", "postalCodes", NameOID.POSTAL_CODE),
    ("street_addresses", "streetAddresses", NameOID.STREET_ADDRESS),
    ("organizations", "organizations", NameOID.ORGANIZATION_NAME),
    ("organizational_units", "organizationalUnits", NameOID.ORGANIZATIONAL_UNIT_NAME),
)
_NO_SUBJECT = Subject()


def subject_name(names: Names) -> x509.Name:
    """The subject's distinguished name; empty when only alternative names are asked for.

    A common name that is not ASCII and repeats one of the DNS names is written with A-labels, as the DNS name
    is (CA/B Baseline Requirements, 7.1.4.3). PkiError names the field that cannot be encoded.
    """
    subject = names.subject
    if names.literal_subject:
        if names.common_name or subject != _NO_SUBJECT:
            raise PkiError("literalSubject cannot be used together with commonName or subject: write all of it in one")
        return rfc4514.parse(names.literal_subject)
    attributes: list[x509.NameAttribute[str | bytes]] = []
    if subject != _NO_SUBJECT:
        for key, api_name, oid in _BEFORE_COMMON_NAME:
            for value in dict.fromkeys(getattr(subject, key)):
                attributes.append(rfc4514.attribute(oid, value, f"subject.{api_name}"))
        if subject.serial_number:
            attributes.append(rfc4514.attribute(NameOID.SERIAL_NUMBER, subject.serial_number, "subject.serialNumber"))
    if names.common_name:
        common_name = names.common_name
        if not common_name.isascii():
            with contextlib.suppress(PkiError):  # names in another script may be anything
                host = dns_name(common_name)
                common_name = host if host in map(dns_name, names.dns_names) else common_name
        attributes.append(rfc4514.attribute(NameOID.COMMON_NAME, common_name, "commonName"))
    if subject.email_address:
        attributes.append(rfc4514.attribute(NameOID.EMAIL_ADDRESS, subject.email_address, "subject.emailAddress"))
    return x509.Name(attributes)


def general_names(names: Names) -> tuple[x509.GeneralName, ...]:
    """The alternative names, normalized, without duplicates: DNS, IP, URI, email, other, each as ordered.

    An email address in the subject is one of them too (RFC 5280, 4.1.2.6). PkiError names the field that no CA takes.
    """
    emails = [("emailAddresses", address) for address in names.email_addresses]
    if names.subject.email_address:
        emails.append(("subject.emailAddress", names.subject.email_address))
    return tuple(
        dict.fromkeys(
            (
                *(x509.DNSName(dns_name(value)) for value in names.dns_names),
                *(x509.IPAddress(ip_address(value)) for value in names.ip_addresses),
                *(x509.UniformResourceIdentifier(uri(value)) for value in names.uris),
                *(x509.RFC822Name(email_address(value, field)) for field, value in emails),
                *(_other_name(value) for value in names.other_names),
            )
        )
    )


def _other_name(name: OtherName) -> x509.OtherName:
    try:
        oid = x509.ObjectIdentifier(name.oid)
    except ValueError:
        raise PkiError(f"otherNames: {quoted(name.oid)} is not a dotted object identifier") from None
    if not name.utf8_value:
        raise PkiError(f"otherNames: the value for {name.oid} is empty")
    return x509.OtherName(oid, utf8_string(name.utf8_value))
