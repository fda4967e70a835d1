"""What an order asks an ACME CA for (RFC 8555, section 7.1.3; RFC 8738)."""

import ipaddress

from cryptography import x509
from cryptography.x509.oid import NameOID

from csr_acme import Identifier
from csr_operator.backends.base import Order, Rejected
from csr_operator.pki.errors import PkiError
from csr_operator.pki.extensions import alternative_names
from csr_operator.pki.general_names import dns_name


def identifiers_of(order: Order) -> list[Identifier]:
    """The names in its CSR. Raises Rejected where an ACME CA signs no such thing."""
    if order.profile.is_ca:
        raise Rejected("an ACME CA signs no CA certificates: remove spec.isCA, or use another issuer")
    found: dict[Identifier, None] = {}
    for name in alternative_names(order.csr):
        if isinstance(name, x509.DNSName):
            found[Identifier("dns", name.value.lower())] = None
        elif isinstance(name, x509.IPAddress):
            found[Identifier("ip", str(name.value))] = None
        else:
            raise Rejected("an ACME CA signs DNS names and IP addresses alone: remove the other names from the request")
    for attribute in order.csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME):
        found.setdefault(_common_name(str(attribute.value)))
    if not found:
        raise Rejected("an ACME CA needs a DNS name or an IP address: set spec.dnsNames")
    return list(found)


def _common_name(text: str) -> Identifier:
    try:
        return Identifier("ip", str(ipaddress.ip_address(text)))
    except ValueError:
        pass
    try:
        return Identifier("dns", dns_name(text))
    except PkiError:
        raise Rejected(
            "spec.commonName: an ACME CA takes only a DNS name or an IP address: write one, or none"
        ) from None
