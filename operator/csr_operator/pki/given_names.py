"""The names in a request that was made elsewhere, held against what the fields of a spec take."""

from collections.abc import Iterable

from cryptography import x509
from cryptography.x509.oid import NameOID

from csr_operator.pki import asn1, rfc4514
from csr_operator.pki.errors import PkiError, quoted
from csr_operator.pki.general_names import dns_name, email_address, ip_address, uri

_FIELDS = {
    NameOID.COMMON_NAME: "commonName",
    NameOID.COUNTRY_NAME: "subject.countries",
    NameOID.STATE_OR_PROVINCE_NAME: "subject.provinces",
    NameOID.LOCALITY_NAME: "subject.localities",
    NameOID.POSTAL_CODE: "subject.postalCodes",
    NameOID.STREET_ADDRESS: "subject.streetAddresses",
    NameOID.ORGANIZATION_NAME: "subject.organizations",
    NameOID.ORGANIZATIONAL_UNIT_NAME: "subject.organizationalUnits",
    NameOID.SERIAL_NUMBER: "subject.serialNumber",
    NameOID.EMAIL_ADDRESS: "subject.emailAddress",
}


def check_given(subject: x509.Name, names: Iterable[x509.GeneralName]) -> None:
    """PkiError, which names the field, if one of the names is such as its field would not take (`names`, `rfc4514`).

    What the operator would only have to spell another way, such as U-labels, is refused as well: the names of a request
    are signed as they stand.
    """
    _check_subject(subject, "subject")
    for name in names:
        _check(name)


def _check_subject(subject: x509.Name, where: str) -> None:
    for attribute in subject:
        field = _FIELDS.get(attribute.oid, "") if where == "subject" else ""
        if isinstance(attribute.value, str):  # else a BIT STRING, as an x500UniqueIdentifier is
            rfc4514.attribute(attribute.oid, attribute.value, field or f"{where}, {attribute.oid.dotted_string}")
        if attribute.oid == NameOID.EMAIL_ADDRESS:
            _as_it_stands(
                "subject.emailAddress",
                str(attribute.value),
                email_address(str(attribute.value), "subject.emailAddress"),
            )


def _check(name: x509.GeneralName) -> None:
    match name:
        case x509.DNSName():
            _as_it_stands("dnsNames", name.value, dns_name(name.value))
        case x509.IPAddress():
            ip_address(str(name.value))  # a network, if it comes with a netmask
        case x509.UniformResourceIdentifier():
            _as_it_stands("uris", name.value, uri(name.value))
        case x509.RFC822Name():
            _as_it_stands("emailAddresses", name.value, email_address(name.value))
        case x509.DirectoryName():
            _check_subject(name.value, "directory name")
        case x509.OtherName():
            _check_other(name)


def _as_it_stands(field: str, given: str, wanted: str) -> None:
    if given.lower() != wanted.lower():
        raise PkiError(f"{field}: {quoted(given)} is not in ASCII, as it has to be: write it as {quoted(wanted)}")


def _check_other(name: x509.OtherName) -> None:
    where = f"otherNames: the value for {name.type_id.dotted_string}"
    try:
        tag, content = asn1.decode(name.value)
    except PkiError as error:
        raise PkiError(f"{where} is {error}") from None
    if not content:
        raise PkiError(f"{where} is empty")
    try:
        readable = tag != asn1.UTF8_STRING or content.decode().isprintable()
    except UnicodeDecodeError:
        readable = False
    if not readable:
        raise PkiError(f"{where} is not printable text in UTF-8")
