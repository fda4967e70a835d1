"""What proves control over a name, by challenge type. All functions are pure.

http-01, dns-01: RFC 8555, section 8. tls-alpn-01: RFC 8737. dns-account-01: draft-ietf-acme-dns-account-label.
dns-persist-01: draft-ietf-acme-dns-persist.
"""

import base64
import hashlib
import ipaddress
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from csr_acme.jose import AccountKey, b64url, thumbprint
from csr_acme.objects import Identifier

HTTP_PATH = "/.well-known/acme-challenge/"
ALPN_PROTOCOL = "acme-tls/1"
_ACME_IDENTIFIER = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")


def key_authorization(token: str, key: AccountKey) -> str:
    """What http-01 serves under HTTP_PATH + token, as text."""
    return f"{token}.{thumbprint(key)}"


def dns_name(domain: str) -> str:
    """Where dns-01 looks for the TXT record."""
    return f"_acme-challenge.{domain.removeprefix('*.')}"


def dns_account_name(domain: str, account_url: str) -> str:
    """Where dns-account-01 looks: below a label of the account's own, so that several can prove the same name."""
    label = base64.b32encode(hashlib.sha256(account_url.encode()).digest()[:10]).decode().lower()
    return f"_{label}.{dns_name(domain)}"


def dns_value(token: str, key: AccountKey) -> str:
    """The TXT record of dns-01 and dns-account-01."""
    return b64url(hashlib.sha256(key_authorization(token, key).encode()).digest())


def dns_persist_name(domain: str) -> str:
    """Where dns-persist-01 looks for the TXT record, which stays."""
    return f"_validation-persist.{domain.removeprefix('*.')}"


def dns_persist_value(issuer_domain: str, account_url: str, *, wildcard: bool = False) -> str:
    """The TXT record of dns-persist-01; `issuer_domain` is one of the challenge's `issuer-domain-names`."""
    return f"{issuer_domain}; accounturi={account_url}" + ("; policy=wildcard" if wildcard else "")


def alpn_certificate(
    identifier: Identifier, answer: str, now: datetime
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """A self-signed certificate that answers tls-alpn-01, and its key, which is made for it; it serves for a day.

    answer: the key authorization. What counts in the certificate follows from that and the identifier, both of which
    are public, and not from its key: whoever knows them makes one that serves as well.
    """
    own = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    digest = hashlib.sha256(answer.encode()).digest()
    subject: x509.GeneralName = (
        x509.IPAddress(ipaddress.ip_address(identifier.value))
        if identifier.type == "ip"
        else x509.DNSName(identifier.value)
    )
    certificate = (
        x509.CertificateBuilder(name, name, own.public_key(), x509.random_serial_number())
        .not_valid_before(now.astimezone(UTC) - timedelta(hours=1))
        .not_valid_after(now.astimezone(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([subject]), critical=True)
        .add_extension(x509.UnrecognizedExtension(_ACME_IDENTIFIER, b"\x04\x20" + digest), critical=True)
        .sign(own, hashes.SHA256())
    )
    return certificate, own
