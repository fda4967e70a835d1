"""What an order asks DigiCert for. It does not read names from the CSR, so they are sent beside it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from csr_operator.pki.errors import PkiError, quoted
from csr_operator.pki.extensions import alternative_names
from csr_operator.pki.profile import Profile
from csr_operator.pki.usages import normalized_usages
from csr_operator.pki.verify import TLS_USAGES
from csr_operator.plugin.backend import Order
from csr_operator.plugin.errors import Rejected

_LONGEST = 64  # ub-common-name of RFC 5280, appendix A


@dataclass(frozen=True, slots=True)
class OrderNames:
    """common_name: the CSR's, or else the first of the others that can be one. dns_names: host names and IP addresses,
    as text.
    """

    common_name: str
    dns_names: tuple[str, ...]


def names_of(csr: x509.CertificateSigningRequest) -> OrderNames:
    """Raises Rejected if there are names that CertCentral's TLS products have no field for."""
    given = [str(attribute.value) for attribute in csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    try:
        alternatives = alternative_names(csr)
    except PkiError as error:
        raise Rejected(str(error)) from None
    texts = []
    for name in alternatives:
        if not isinstance(name, x509.DNSName | x509.IPAddress):
            kind = {x509.RFC822Name: "e-mail addresses", x509.UniformResourceIdentifier: "URIs"}.get(
                type(name), "other names"
            )
            raise Rejected(f"CertCentral puts no {kind} into certificates for TLS: remove them, or use another issuer")
        texts.append(str(name.value))
    everything = list(dict.fromkeys([*given, *texts]))
    if not everything:
        raise Rejected("CertCentral requires a name: set commonName or dnsNames")
    common_name = next((name for name in everything if len(name) <= _LONGEST), None)
    if common_name is None or (given and given[0] != common_name):
        raise Rejected(f"CertCentral requires a common name of at most {_LONGEST} characters: add a shorter name")
    return OrderNames(common_name, tuple(everything))


def holds_all_names(certificate: x509.Certificate, csr: x509.CertificateSigningRequest) -> bool:
    """Whether the CSR asks for all names that the certificate has."""
    try:
        there = [str(name.value) for name in alternative_names(certificate)]
    except (PkiError, ValueError):
        return False
    there += [str(attribute.value) for attribute in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return {name.lower() for name in there} <= {name.lower() for name in names_of(csr).dns_names}


def must_be_for_tls(profile: Profile, product: str) -> None:
    """Raises Rejected for what no TLS product can give, before it is paid for."""
    if profile.is_ca:
        raise Rejected(f"{product} is not a CA certificate: remove isCA, or use another issuer")
    if profile.must_staple:
        raise Rejected("DigiCert's API has no field for mustStaple: remove it, or use another issuer")
    if profile.extensions:
        raise Rejected("DigiCert's API has no field for custom extensions: remove extensions")
    if others := normalized_usages(profile.usages) - TLS_USAGES:
        raise Rejected(f"{product} is for TLS: remove {quoted(min(others))} from usages")


def certificate_body(order: Order, names: OrderNames, signature_hash: str) -> dict[str, Any]:
    """The member `certificate` of an order or a reissue."""
    return {
        "common_name": names.common_name,
        "dns_names": list(names.dns_names),
        "csr": order.csr.public_bytes(Encoding.PEM).decode(),
        "signature_hash": signature_hash,
        "server_platform": {"id": -1},  # "other"
    }


def whole_days(duration: timedelta) -> int:
    """Rounded up, as nobody wants less than was asked for."""
    return max(math.ceil(duration / timedelta(days=1)), 1)


def order_body(order: Order, names: OrderNames, config: Mapping[str, Any]) -> dict[str, Any]:
    """Of POST order/certificate/{product}. config: the issuer's `spec.digicert`."""
    certificate = certificate_body(order, names, config.get("signatureHash") or "sha256")
    if ca := config.get("caCertId"):
        certificate["ca_cert_id"] = ca
    days = {"days": whole_days(order.duration)}
    validity = config.get("validity")
    if validity:
        certificate["cert_validity"] = days  # an order may run for longer than its first certificate
    body: dict[str, Any] = {
        "certificate": certificate,
        "order_validity": dict(validity) if validity else days,
        "alternative_order_id": alternative_id(order.key),
        "disable_renewal_notifications": True,  # as the operator renews
    }
    if organization := config.get("organizationId"):
        body["organization"] = {"id": organization}
    if container := config.get("containerId"):
        body["container"] = {"id": container}
    if fields := config.get("customFields"):
        body["custom_fields"] = [{"metadata_id": custom["metadataId"], "value": custom["value"]} for custom in fields]
    for field, name in (
        ("dcvMethod", "dcv_method"),
        ("skipApproval", "skip_approval"),
        ("paymentMethod", "payment_method"),
    ):
        if field in config:
            body[name] = config[field]
    return body


def reissue_body(order: Order, names: OrderNames, config: Mapping[str, Any]) -> dict[str, Any]:
    """Of POST order/certificate/{order}/reissue."""
    certificate = certificate_body(order, names, config.get("signatureHash") or "sha256")
    certificate["cert_validity"] = {"days": whole_days(order.duration)}
    body: dict[str, Any] = {"certificate": certificate}
    for field, name in (("dcvMethod", "dcv_method"), ("skipApproval", "skip_approval")):
        if field in config:
            body[name] = config[field]
    return body


def alternative_id(key: str) -> str:
    """By which an order is found again: 128 bits of its key, as the length that DigiCert takes is not published."""
    return key[:32]
