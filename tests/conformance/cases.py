"""What a CA backend is asked for: each case is one request of a user, with the features that it needs of the CA."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

LABEL_63 = "a" * 63


class Feature(StrEnum):
    """What a CA may be unable, or unwilling, to do. A backend names those that it has."""

    COMMON_NAME_ONLY = "common name without alternative names"
    SUBJECT = "attributes of the subject"
    LITERAL_SUBJECT = "literal subject"
    IP_ADDRESSES = "IP addresses"
    ANY_ADDRESS = "IP addresses that nothing answers at"
    EMAIL_ADDRESSES = "e-mail addresses"
    URIS = "URIs"
    OTHER_NAMES = "other names"
    WILDCARDS = "wildcards"
    LONG_NAMES = "no name that is short enough for a common name"
    RSA = "RSA keys"
    ED25519 = "Ed25519 keys"
    CA = "CA certificates"
    USAGES = "usages as asked for"
    DURATION = "duration as asked for"
    USERS_CSR = "the user's own CSR"


@dataclass(frozen=True, slots=True)
class Expected:
    """What the certificate has to show. Empty: nothing of the kind. duration in seconds."""

    common_name: str = ""
    organizations: tuple[str, ...] = ()
    dns_names: tuple[str, ...] = ()
    ip_addresses: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()
    email_addresses: tuple[str, ...] = ()
    other_names: tuple[tuple[str, str], ...] = ()
    key: str = "ECDSA"
    is_ca: bool = False
    usages: tuple[str, ...] = ()
    duration: int = 90 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Case:
    """name: as the matrix shows it; spec: of the CertificateRequest, besides secretName and issuerRef."""

    name: str
    spec: dict[str, Any]
    expected: Expected
    needs: frozenset[Feature] = field(default_factory=frozenset)


def _certificate(name: str, *needs: Feature, spec: dict[str, Any], **expected: Any) -> Case:
    return Case(name, spec, Expected(**expected), frozenset(needs))


_ED25519 = {"algorithm": "Ed25519"}
_RSA = {"algorithm": "RSA", "size": 2048}
_HOST = "www.example.com"
_URI = "spiffe://cluster.local/ns/sandbox/sa/foo"

CERTIFICATES = (
    _certificate(
        "one DNS name, RSA key",
        Feature.RSA,
        spec={"dnsNames": [_HOST], "privateKey": _RSA},
        key="RSA",
        dns_names=(_HOST,),
    ),
    _certificate("one DNS name, ECDSA key", spec={"dnsNames": [_HOST]}, dns_names=(_HOST,)),
    _certificate(
        "one DNS name, Ed25519 key",
        Feature.ED25519,
        spec={"dnsNames": [_HOST], "privateKey": _ED25519},
        key="Ed25519",
        dns_names=(_HOST,),
    ),
    _certificate(
        "common name, RSA key",
        Feature.COMMON_NAME_ONLY,
        Feature.RSA,
        spec={"commonName": "rsa.example.com", "privateKey": _RSA},
        key="RSA",
        common_name="rsa.example.com",
    ),
    _certificate(
        "common name, ECDSA key",
        Feature.COMMON_NAME_ONLY,
        spec={"commonName": "ec.example.com"},
        common_name="ec.example.com",
    ),
    _certificate(
        "common name, Ed25519 key",
        Feature.COMMON_NAME_ONLY,
        Feature.ED25519,
        spec={"commonName": "ed.example.com", "privateKey": _ED25519},
        key="Ed25519",
        common_name="ed.example.com",
    ),
    _certificate(
        "CA certificate",
        Feature.CA,
        Feature.COMMON_NAME_ONLY,
        spec={"commonName": "Some CA", "isCA": True},
        common_name="Some CA",
        is_ca=True,
    ),
    _certificate(
        "other name and e-mail address",
        Feature.OTHER_NAMES,
        Feature.EMAIL_ADDRESSES,
        spec={
            "emailAddresses": ["jane@example.com"],
            "otherNames": [{"oid": "1.3.6.1.4.1.311.20.2.3", "utf8Value": "jane@example.com"}],
        },
        email_addresses=("jane@example.com",),
        other_names=(("1.3.6.1.4.1.311.20.2.3", "jane@example.com"),),
    ),
    _certificate(
        "literal subject",
        Feature.LITERAL_SUBJECT,
        Feature.SUBJECT,
        spec={"literalSubject": "CN=literal.example.com,O=Example Inc,C=DE", "dnsNames": ["literal.example.com"]},
        common_name="literal.example.com",
        organizations=("Example Inc",),
        dns_names=("literal.example.com",),
    ),
    _certificate("IP address", Feature.IP_ADDRESSES, spec={"ipAddresses": ["127.0.0.1"]}, ip_addresses=("127.0.0.1",)),
    _certificate(
        "DNS name and IP addresses",
        Feature.IP_ADDRESSES,
        Feature.ANY_ADDRESS,
        spec={"dnsNames": [_HOST], "ipAddresses": ["10.0.0.1", "2001:db8::1"]},
        dns_names=(_HOST,),
        ip_addresses=("10.0.0.1", "2001:db8::1"),
    ),
    _certificate(
        "common name and IP address",
        Feature.COMMON_NAME_ONLY,
        Feature.IP_ADDRESSES,
        Feature.ANY_ADDRESS,
        spec={"commonName": "ip.example.com", "ipAddresses": ["10.0.0.1"]},
        common_name="ip.example.com",
        ip_addresses=("10.0.0.1",),
    ),
    _certificate(
        "e-mail address",
        Feature.EMAIL_ADDRESSES,
        spec={"emailAddresses": ["alice@example.com"]},
        email_addresses=("alice@example.com",),
    ),
    _certificate(
        "common name and URI",
        Feature.COMMON_NAME_ONLY,
        Feature.URIS,
        spec={"commonName": "uri.example.com", "uris": [_URI]},
        common_name="uri.example.com",
        uris=(_URI,),
    ),
    _certificate("URI", Feature.URIS, spec={"uris": [_URI]}, uris=(_URI,)),
    _certificate(
        "two DNS names, one of them the common name",
        spec={"commonName": _HOST, "dnsNames": [_HOST, "example.com"]},
        common_name=_HOST,
        dns_names=(_HOST, "example.com"),
    ),
    _certificate(
        "a DNS name and another common name",
        Feature.COMMON_NAME_ONLY,
        spec={"commonName": "cn.example.com", "dnsNames": [_HOST]},
        common_name="cn.example.com",
        dns_names=(_HOST,),
    ),
    _certificate(
        "DNS name and duration",
        Feature.DURATION,
        spec={"dnsNames": [_HOST], "duration": "896h"},
        dns_names=(_HOST,),
        duration=896 * 3600,
    ),
    _certificate("wildcard", Feature.WILDCARDS, spec={"dnsNames": ["*.example.com"]}, dns_names=("*.example.com",)),
    _certificate(
        "wildcard and apex",
        Feature.WILDCARDS,
        spec={"dnsNames": ["*.example.com", "example.com"]},
        dns_names=("*.example.com", "example.com"),
    ),
    _certificate(
        "usages",
        Feature.USAGES,
        spec={"dnsNames": [_HOST], "usages": ["digital signature", "server auth", "client auth"]},
        dns_names=(_HOST,),
        usages=("1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"),
    ),
    _certificate(
        "a label of 63 characters",
        Feature.LONG_NAMES,
        spec={"dnsNames": [f"{LABEL_63}.example.com"]},
        dns_names=(f"{LABEL_63}.example.com",),
    ),
    _certificate(
        "attributes of the subject",
        Feature.SUBJECT,
        spec={"dnsNames": [_HOST], "subject": {"organizations": ["Example Inc"], "countries": ["DE"]}},
        organizations=("Example Inc",),
        dns_names=(_HOST,),
    ),
)


def _csr(name: str, *needs: Feature, spec: dict[str, Any] | None = None, **expected: Any) -> Case:
    """A CSR as the user's own tools make it, with just the names of `expected`."""
    wanted = Expected(**expected)
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, wanted.common_name)] if wanted.common_name else []
    attributes += [x509.NameAttribute(NameOID.ORGANIZATION_NAME, name) for name in wanted.organizations]
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(attributes))
    names = [*map(x509.DNSName, wanted.dns_names)]
    general: list[x509.GeneralName] = [
        *names,
        *(x509.IPAddress(_address(a)) for a in wanted.ip_addresses),
        *map(x509.UniformResourceIdentifier, wanted.uris),
        *map(x509.RFC822Name, wanted.email_addresses),
    ]
    if general:
        builder = builder.add_extension(x509.SubjectAlternativeName(general), critical=not attributes)
    if wanted.is_ca:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    key = _KEYS[wanted.key]()
    csr = builder.sign(key, None if wanted.key == "Ed25519" else hashes.SHA256())
    request = {"request": csr.public_bytes(Encoding.PEM).decode(), **(spec or {})}
    return Case(f"CSR: {name}", request, wanted, frozenset({*needs, Feature.USERS_CSR}))


def _address(text: str) -> Any:
    import ipaddress

    return ipaddress.ip_address(text)


_KEYS: dict[str, Callable[[], Any]] = {
    "RSA": lambda: rsa.generate_private_key(65537, 2048),
    "ECDSA": lambda: ec.generate_private_key(ec.SECP256R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
}

REQUESTS = (
    *(
        _csr(
            case.name,
            *case.needs,
            spec={k: v for k, v in case.spec.items() if k in ("isCA", "usages", "duration")},
            **{name: getattr(case.expected, name) for name in Expected.__slots__},
        )
        for case in CERTIFICATES
        if not {Feature.OTHER_NAMES, Feature.LITERAL_SUBJECT} & case.needs
    ),
    _csr(
        "common name, DNS name and duration",
        Feature.DURATION,
        spec={"duration": "896h"},
        common_name=_HOST,
        dns_names=(_HOST,),
        duration=896 * 3600,
    ),
    _csr("a duration of 3333 seconds", Feature.DURATION, spec={"duration": "3333s"}, dns_names=(_HOST,), duration=3333),
    _csr(
        "CA certificate for 10000 hours",
        Feature.CA,
        Feature.COMMON_NAME_ONLY,
        Feature.DURATION,
        spec={"isCA": True, "duration": "10000h"},
        common_name="Another CA",
        is_ca=True,
        duration=10000 * 3600,
    ),
)

CASES = (*CERTIFICATES, *REQUESTS)
