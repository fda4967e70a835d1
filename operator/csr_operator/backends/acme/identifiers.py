"""What an order asks an ACME CA for (RFC 8555, section 7.1.3; RFC 8738)."""

import ipaddress
from collections.abc import Collection

from cryptography import x509
from cryptography.x509.oid import NameOID

from csr_acme import Authorization, Identifier
from csr_operator.pki.errors import PkiError
from csr_operator.pki.extensions import alternative_names
from csr_operator.pki.general_names import dns_name
from csr_operator.plugin.errors import Rejected


def identifiers_of(csr: x509.CertificateSigningRequest) -> list[Identifier]:
    """The names in it, each once and in its one spelling. Raises Rejected where an ACME CA signs no such thing."""
    identifiers: dict[Identifier, None] = {}
    for name in alternative_names(csr):
        if isinstance(name, x509.DNSName):
            identifiers[Identifier("dns", _dns_name(name.value))] = None
        elif isinstance(name, x509.IPAddress):
            identifiers[Identifier("ip", str(name.value))] = None
        else:
            raise Rejected("an ACME CA signs only DNS names and IP addresses: remove the other names from the request")
    for attribute in csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME):
        identifiers.setdefault(Identifier("dns", _common_name(str(attribute.value))))
    if not identifiers:
        raise Rejected("an ACME CA needs a DNS name or an IP address: set spec.dnsNames")
    return list(identifiers)


def is_asked(authorization: Authorization, identifiers: Collection[Identifier]) -> bool:
    """It is about one of the names of an order: for `*.example.com` about example.com, and said to be for a wildcard
    (RFC 8555, section 7.1.4)."""
    kind, value = authorization.identifier
    return Identifier(kind, f"*.{value}" if authorization.wildcard else value) in identifiers


def _dns_name(text: str) -> str:
    try:
        return dns_name(text)
    except PkiError as error:
        raise Rejected(f"{error}: an ACME CA takes DNS names that can be looked up: correct it") from None


def _common_name(text: str) -> str:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        pass
    else:
        raise Rejected(
            "spec.commonName: an ACME CA takes no IP address there: write it in spec.ipAddresses, and remove commonName"
        )
    try:
        return dns_name(text)
    except PkiError:
        raise Rejected("spec.commonName: an ACME CA takes only a DNS name: write one, or none") from None
