"""What a policy permits and denies: a table of what is asked for, and properties that no name gets around."""

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID
from hypothesis import assume, example, given
from hypothesis import strategies as st

from csr_operator.api.parse_issuer import parse_issuer
from csr_operator.api.parse_request import parse_request
from csr_operator.api.request import CertificateRequest
from csr_operator.decisions.policy import RequestFacts, key_violations, violations
from csr_operator.decisions.policy_facts import facts_of, facts_of_csr
from csr_operator.pki.csr import build_csr, load_csr, profile_with
from csr_operator.pki.errors import PkiError
from csr_operator.pki.profile import Profile

Rule = Mapping[str, Any]
KEY = ec.generate_private_key(ec.SECP256R1())
METADATA = {
    "namespace": "shop",
    "name": "www",
    "uid": "u",
    "resourceVersion": "1",
    "creationTimestamp": "2026-01-01T00:00:00Z",
}
COM = {"suffixes": ["example.com"]}
WILD = {**COM, "wildcards": True}


def denials(policy: Mapping[str, Any], spec: Mapping[str, Any], **labels: str) -> tuple[str, ...]:
    issuer = parse_issuer({"kind": "Issuer", "metadata": METADATA, "spec": {"selfSigned": {}, "policy": policy}})
    assert not issuer.problem
    assert issuer.policy is not None
    return violations(issuer.policy, seen(spec), "shop", labels)


def seen(spec: Mapping[str, Any]) -> RequestFacts:
    """What a policy looks at; also of a request that is refused for its names before any policy is asked."""
    if "request" not in spec or not read(spec).problem:
        return facts_of(parsed(spec))
    with pytest.raises(PkiError):
        profile_with(load_csr(spec["request"].encode()), Profile())
    beside = {name: value for name, value in spec.items() if name != "request"}
    return facts_of_csr(load_csr(spec["request"].encode()), parsed(beside))


def read(spec: Mapping[str, Any]) -> CertificateRequest:
    least = {"secretName": "tls", "issuerRef": {"name": "ca"}}
    return parse_request({"metadata": METADATA, "spec": {**least, **spec}})


def parsed(spec: Mapping[str, Any]) -> CertificateRequest:
    request = read(spec)
    assert not request.problem
    return request


def denied_by(rule: Rule, spec: Mapping[str, Any]) -> str:
    """What one rule has against it; empty if nothing."""
    return "\n".join(denials({"rules": [rule]}, spec))


def csr(subject: Sequence[tuple[x509.ObjectIdentifier, str]] = (), *extensions: x509.ExtensionType) -> str:
    """A user's own request, which asks for what no field of ours would take."""
    attributes = [x509.NameAttribute(oid, value) for oid, value in subject]
    builder = x509.CertificateSigningRequestBuilder(x509.Name(attributes))
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(KEY, SHA256()).public_bytes(Encoding.PEM).decode()


class Name(NamedTuple):
    """A GeneralName (RFC 5280, 4.2.1.6) by its tag, with any text in it: cryptography writes none that is malformed."""

    tag: int
    text: str


def mail(text: str) -> Name:
    return Name(1, text)


def dns(text: str) -> Name:
    return Name(2, text)


def uri(text: str) -> Name:
    return Name(6, text)


def tlv(tag: int, value: bytes) -> bytes:
    """DER (X.690)."""
    size = len(value)
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, size] if size < 128 else [tag, 0x80 | len(octets), *octets]) + value


def own(
    *names: Name, cn: Sequence[str] = (), email: Sequence[str] = (), other: Sequence[x509.GeneralName] = ()
) -> dict[str, Any]:
    subject = [(NameOID.COMMON_NAME, value) for value in cn] + [(NameOID.EMAIL_ADDRESS, value) for value in email]
    if other:
        return {"request": csr(subject, x509.SubjectAlternativeName(other))}
    if not names:
        return {"request": csr(subject)}
    value = tlv(0x30, b"".join(tlv(0x80 | name.tag, name.text.encode("ascii")) for name in names))
    return {"request": csr(subject, x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, value))}


PERMITTED: list[tuple[Rule, Mapping[str, Any]]] = [
    ({}, {"dnsNames": ["anything.example"], "uris": ["urn:x"], "commonName": "Anybody"}),
    # DNS names
    ({"dnsNames": COM}, {"dnsNames": ["example.com", "www.example.com", "a.b.example.com", "WWW.Example.COM"]}),
    ({"dnsNames": {"suffixes": ["Example.COM"]}}, {"dnsNames": ["www.example.com"]}),
    ({"dnsNames": {"exact": ["www.example.com"]}}, {"dnsNames": ["WWW.example.com"]}),
    ({"dnsNames": WILD}, {"dnsNames": ["*.example.com", "*.a.example.com"]}),
    ({"dnsNames": {"exact": ["*.example.com"]}}, {"dnsNames": ["*.example.com"]}),
    ({"dnsNames": {"exact": ["example.com"], "wildcards": True}}, {"dnsNames": ["*.example.com"]}),
    ({"dnsNames": {"suffixes": ["bücher.example"]}}, {"dnsNames": ["www.xn--bcher-kva.example", "BÜCHER.example"]}),
    ({"dnsNames": {"exact": ["xn--bcher-kva.example"]}}, {"dnsNames": ["bücher.example"]}),
    ({"dnsNames": {"suffixes": ["internal"]}}, {"dnsNames": ["db.internal", "internal"]}),
    ({"dnsNames": COM}, own(dns("www.example.com"))),
    ({"dnsNames": {}}, {"uris": ["urn:x"]}),
    # Common names
    ({"commonNames": {"exact": ["Ann Example"]}}, {"commonName": "Ann Example"}),
    ({"commonNames": COM, "dnsNames": {}}, {"commonName": "www.example.com"}),
    ({"dnsNames": COM}, {"commonName": "WWW.example.com", "dnsNames": ["www.Example.com", "example.com"]}),
    ({"dnsNames": WILD}, {"commonName": "*.example.com", "dnsNames": ["*.example.com"]}),
    ({"dnsNames": COM}, {"commonName": "2001:DB8::7", "ipAddresses": ["2001:db8:0::7"]}),
    ({"dnsNames": {"suffixes": ["bücher.example"]}}, {"commonName": "Bücher.example", "dnsNames": ["bücher.example"]}),
    ({"ipAddresses": {"networks": ["10.0.0.0/8"]}}, {"commonName": "10.1.2.3"}),
    ({"ipAddresses": {}, "emailAddresses": {}}, {"commonName": "Ann Example"}),
    ({"commonNames": COM}, {"literalSubject": "CN=a.example.com+CN=b.example.com"}),
    # The rest of the subject
    ({}, {"commonName": "a", "subject": {"organizations": ["system:masters"]}}),
    (
        {
            "commonNames": {"exact": ["Ann"]},
            "subject": {
                "countries": ["de"],
                "organizations": ["Example", "Example, Ltd."],
                "organizationalUnits": ["Web"],
                "localities": ["Bonn"],
                "provinces": ["NRW"],
                "streetAddresses": ["Am Platz 1"],
                "postalCodes": ["53111"],
                "serialNumbers": ["7"],
                "others": [{"oid": "0.9.2342.19200300.100.1.25", "values": ["example", "com"]}],
            },
        },
        {
            "commonName": "Ann",
            "subject": {
                "countries": ["DE"],
                "organizations": ["Example, Ltd.", "Example"],
                "organizationalUnits": ["Web"],
                "localities": ["Bonn"],
                "provinces": ["NRW"],
                "streetAddresses": ["Am Platz 1"],
                "postalCodes": ["53111"],
                "serialNumber": "7",
            },
        },
    ),
    (
        {"uris": {}, "subject": {"others": [{"oid": "0.9.2342.19200300.100.1.25", "values": ["example", "com"]}]}},
        {"literalSubject": "CN=a,DC=example,DC=com"},
    ),
    # Addresses
    ({"ipAddresses": {"networks": ["10.0.0.0/8", "2001:db8::/32"]}}, {"ipAddresses": ["10.255.0.1", "2001:db8::7"]}),
    ({"ipAddresses": {"networks": ["192.0.2.7"]}}, {"ipAddresses": ["192.0.2.7"]}),
    (
        {"ipAddresses": {"networks": ["10.0.0.0/8"]}},
        own(other=[x509.IPAddress(ipaddress.ip_address("::ffff:10.0.0.1"))]),
    ),
    # URIs
    ({"uris": COM}, {"uris": ["https://example.com/a?b#c", "SPIFFE://Example.com/x", "https://a.example.com:8443/"]}),
    ({"uris": {"exact": ["urn:uuid:0b3e", "https://[2001:db8::7]/"]}}, {"uris": ["urn:uuid:0b3e"]}),
    ({"uris": {"exact": ["https://10.0.0.1/x"]}}, {"uris": ["HTTPS://10.0.0.1/x"]}),
    ({"uris": {"suffixes": ["bücher.example"]}}, {"uris": ["https://www.bücher.example/ü"]}),
    # Mail
    ({"emailAddresses": COM}, {"emailAddresses": ["ann@example.com", "Bob@MAIL.example.com"]}),
    ({"emailAddresses": {"exact": ["ann@Example.com"]}}, {"emailAddresses": ["ann@example.COM"]}),
    ({"emailAddresses": COM}, {"subject": {"emailAddress": "ann@example.com"}, "commonName": "Ann"}),
    # The rest
    ({"otherNames": True}, {"otherNames": [{"oid": "1.2.3", "utf8Value": "x"}]}),
    ({"keys": [{"algorithm": "RSA"}]}, {"privateKey": {"algorithm": "RSA", "size": 4096}}),
    ({"keys": [{"algorithm": "RSA", "maxSize": 8192}]}, {"privateKey": {"algorithm": "RSA", "size": 8192}}),
    ({"keys": [{"algorithm": "RSA", "minSize": 4097}]}, {"privateKey": {"algorithm": "RSA", "size": 8192}}),
    ({"keys": [{"algorithm": "RSA", "maxSize": 2048}]}, {"privateKey": {"algorithm": "RSA"}}),
    ({"keys": [{"algorithm": "RSA"}, {"algorithm": "ECDSA", "minSize": 256}]}, {}),
    ({"keys": [{"algorithm": "ML-DSA-65"}]}, {"privateKey": {"algorithm": "ML-DSA-65"}}),
    ({"keys": [{"algorithm": "ECDSA"}]}, own(dns("a"))),
    ({"maxDuration": "2160h"}, {}),
    ({"maxDuration": "1h"}, {"duration": "60m"}),
    ({"isCA": True}, {"isCA": True, "usages": ["cert sign"]}),
    ({"isCA": True, "usages": ["digital signature"]}, {"isCA": True, "usages": ["cert sign", "signing"]}),
    ({"usages": ["signing", "key encipherment"]}, {}),
    ({"usages": ["digital signature", "server auth"]}, {"usages": ["signing", "1.3.6.1.5.5.7.3.1"]}),
    ({"extensions": ["1.2.3.4"]}, {"extensions": [{"oid": "1.2.3.4", "value": "BQA="}]}),
]

DENIED: list[tuple[Rule, Mapping[str, Any], str]] = [
    # DNS names
    *(
        ({"dnsNames": WILD}, {"dnsNames": [name]}, f'dnsNames: "{name}" is not allowed')
        for name in (
            "evilexample.com",
            "example.com.evil.example",
            "com",
            "*.com",
            "example.org",
        )
    ),
    (
        {"dnsNames": WILD},
        {"dnsNames": ["e\N{LATIN SMALL LETTER X WITH DIAERESIS}ample.com"]},
        'dnsNames: "xn--eample-w77b.com" is not allowed',
    ),
    ({"dnsNames": COM}, {"dnsNames": ["*.example.com"]}, '"*.example.com" is a wildcard, which is not allowed'),
    ({"dnsNames": {"exact": ["example.com"]}}, {"dnsNames": ["www.example.com"]}, '"www.example.com" is not allowed'),
    (
        {"dnsNames": {"exact": ["*.example.com"]}},
        {"dnsNames": ["www.example.com"]},
        '"www.example.com" is not allowed',
    ),
    (
        {"dnsNames": {"exact": ["www.example.com"], "wildcards": True}},
        {"dnsNames": ["*.example.com"]},
        '"*.example.com" is not allowed',
    ),
    ({"dnsNames": {}}, {"dnsNames": ["a"]}, 'dnsNames: "a" is not allowed'),
    ({"dnsNames": {"suffixes": []}}, {"dnsNames": ["a"]}, 'dnsNames: "a" is not allowed'),
    *(
        ({"dnsNames": WILD}, own(dns(name)), why)
        for name, why in (
            ("evil.example.", "ends in a dot"),
            ("www.example.com.", "ends in a dot"),
            ("evil.example, www.example.com", "white space"),
            ("evil.example\x00.example.com", "white space or control characters"),
            ("evil.example/.example.com", "not letters, digits and inner hyphens"),
            ("evil@example.com", "not letters, digits and inner hyphens"),
            (".example.com", "empty label"),
            ("a..example.com", "empty label"),
            ("*.*.example.com", "wildcard"),
            ("a*.example.com", "wildcard"),
            ("10.0.0.1", "is an IP address"),
            ("", "is empty"),
            ("xn--a.example.com", "not an A-label"),
        )
    ),
    # Common names: where dnsNames alone restricts, none that is not among those asked for, whatever it looks like
    *(
        (
            {"dnsNames": WILD},
            {"commonName": name, "dnsNames": ["www.example.com"]},
            f'commonName: "{name}" is not among',
        )
        for name in (
            *("ban*.example.com", "*nk.example.com", "my_db.example.com", "kubernetes", "vault", "localhost"),
            *("host.123", "-bank.example.com", "www.example.com.", "a.example.com", "*.example.com", "Ann Example"),
            *("system:admin", "fe80::1%eth0", "0x7f.1"),
        )
    ),
    (
        {"dnsNames": COM},
        {"commonName": "10.0.0.1", "dnsNames": ["a.example.com"]},
        "not among the ipAddresses asked for",
    ),
    ({"dnsNames": COM}, {"commonName": "x.example.org", "dnsNames": ["x.example.org"]}, '"x.example.org" is not'),
    ({"commonNames": COM}, {"commonName": "Ann Example"}, 'commonName: "Ann Example" is not allowed'),
    ({"commonNames": COM}, {"commonName": "evil.example/x.example.com"}, "is not allowed"),
    ({"commonNames": COM}, {"commonName": "x .example.com"}, "is not allowed"),
    ({"commonNames": {"exact": ["Ann"]}}, {"commonName": "ann "}, "is not allowed"),
    ({"commonNames": {}}, {"commonName": "a"}, "is not allowed"),
    ({"dnsNames": COM}, {"commonName": "*.example.com", "dnsNames": ["*.example.com"]}, "is a wildcard"),
    ({"dnsNames": {}}, {"commonName": "www.example.com", "uris": ["urn:x"]}, "is not among the dnsNames asked for"),
    ({"ipAddresses": {"networks": ["10.0.0.0/8"]}}, {"commonName": "192.0.2.7"}, "commonName: 192.0.2.7"),
    *(
        ({"ipAddresses": {"networks": ["10.0.0.0/8"]}}, {"commonName": name}, "may be taken for an IP address")
        for name in ("8.8.8.8.", "008.8.8.8", "8.8.8.8 ", "0x8.8", "134744072", "[2001:db8::1]", "\uff18.8.8.8")
    ),
    ({"dnsNames": COM}, own(dns("www.example.com"), cn=["\uff57ww.example.com"]), "is not among"),
    ({"commonNames": COM}, {"literalSubject": "CN=a.example.com,CN=evil.example"}, '"evil.example" is not allowed'),
    ({"commonNames": COM}, {"literalSubject": r"O=x+2.5.4.3=evil.example"}, '"evil.example" is not allowed'),
    ({"commonNames": COM}, own(cn=["www.example.com", "evil.example"]), '"evil.example" is not allowed'),
    ({"commonNames": COM, "dnsNames": COM}, own(dns("evil.example"), cn=["a.example.com"]), "dnsNames"),
    ({"commonNames": COM, "dnsNames": COM}, own(dns("a.example.com"), cn=["evil.example"]), "commonName"),
    # The rest of the subject: nothing that is not listed, once a rule restricts names
    *(
        (
            {kind: {}},
            {"literalSubject": "CN=system:admin,O=system:masters"},
            'subject.organizations: "system:masters" is not allowed',
        )
        for kind in ("commonNames", "dnsNames", "ipAddresses", "uris", "emailAddresses", "subject")
    ),
    *(
        ({"subject": {"organizations": ["Example"]}}, {"commonName": "a", "subject": {field: value}}, words)
        for field, value, words in (
            ("organizations", ["Example", "example"], 'subject.organizations: "example" is not allowed'),
            ("organizationalUnits", ["Example"], 'subject.organizationalUnits: "Example" is not allowed'),
            ("countries", ["DE"], 'subject.countries: "DE" is not allowed'),
            ("localities", ["Bonn"], 'subject.localities: "Bonn" is not allowed'),
            ("provinces", ["NRW"], 'subject.provinces: "NRW" is not allowed'),
            ("streetAddresses", ["x"], 'subject.streetAddresses: "x" is not allowed'),
            ("postalCodes", ["x"], 'subject.postalCodes: "x" is not allowed'),
            ("serialNumber", "7", 'subject.serialNumbers: "7" is not allowed'),
        )
    ),
    *(
        ({"dnsNames": COM}, {"literalSubject": subject, "dnsNames": ["a.example.com"]}, f"subject: attribute {oid}: ")
        for subject, oid in (
            ("DC=example", "0.9.2342.19200300.100.1.25"),
            ("UID=root", "0.9.2342.19200300.100.1.1"),
            ("title=x+GN=y", "2.5.4.12"),
            ("1.2.3.4=x", "1.2.3.4"),
        )
    ),
    ({"dnsNames": {}}, own(dns("a"), cn=["a"], email=["a@b.example"]), "dnsNames"),
    # Addresses
    ({"ipAddresses": {"networks": ["10.0.0.0/8"]}}, {"ipAddresses": ["11.0.0.1"]}, "ipAddresses: 11.0.0.1"),
    ({"ipAddresses": {"networks": ["::/0"]}}, {"ipAddresses": ["10.0.0.1"]}, "10.0.0.1 is not allowed"),
    ({"ipAddresses": {}}, {"ipAddresses": ["10.0.0.1"]}, "10.0.0.1 is not allowed"),
    *(
        ({"ipAddresses": {"networks": networks}}, own(other=[x509.IPAddress(value)]), "ipAddresses")
        for networks, value in (
            (["::/0"], ipaddress.ip_address("::ffff:10.0.0.1")),
            (["10.0.0.0/8"], ipaddress.ip_address("::ffff:192.0.2.7")),
            (["10.0.0.0/8"], ipaddress.ip_network("10.0.0.0/8")),
        )
    ),
    # URIs
    *(
        ({"uris": COM}, {"uris": [uri]}, f'uris: "{uri}" is not allowed')
        for uri in (
            "https://example.com@evil.example/",
            "https://example.com:443@evil.example/",
            "https://evil.example?@example.com",
            "https://evil.example#@example.com/",
            "https://evil.example/@example.com",
            "https://evil.example/?https://example.com",
            "https://evilexample.com",
            "https://[2001:db8::7]/",
            "https://[v1.example.com]/",
            "https://10.0.0.1/",
            "urn:example.com",
            "mailto:ann@example.com",
            "file:///example.com",
        )
    ),
    *(
        ({"uris": COM}, own(uri(one)), f'uris: "{one}"')
        for one in (
            "https://evil.example\\@example.com",
            "https://evil.example\\.example.com",
            "//example.com",
            "https://*.example.com/",
            "example.com",
            "https://example.com./",
            "https:example.com",
        )
    ),
    ({"uris": {"exact": ["https://a.example/Path"]}}, {"uris": ["https://a.example/path"]}, "is not allowed"),
    ({"uris": {"exact": ["https://a.example/"]}}, {"uris": ["https://a.example/?"]}, "is not allowed"),
    # Mail
    *(
        ({"emailAddresses": COM}, {"emailAddresses": [address]}, f'emailAddresses: "{address}" is not allowed')
        for address in ("ann@evilexample.com", "ann@evil.example")
    ),
    *(
        ({"emailAddresses": COM}, own(mail(address)), "emailAddresses: ")
        for address in (
            '"ann@evil.example"@example.com',
            "ann@evil.example@example.com",
            "example.com",
            "@example.com",
            "ann@example.com.",
            "Ann <ann@evil.example> @example.com",
        )
    ),
    ({"emailAddresses": COM}, {"subject": {"emailAddress": "a@evil.example"}, "commonName": "A"}, "a@evil.example"),
    ({"emailAddresses": COM}, {"literalSubject": "CN=A,emailAddress=a@evil.example"}, "a@evil.example"),
    ({"emailAddresses": COM}, own(dns("a"), email=["a@evil.example"]), "a@evil.example"),
    ({"emailAddresses": {"exact": ["ann@example.com"]}}, {"emailAddresses": ["ANN@example.com"]}, "is not allowed"),
    # The rest
    ({}, {"otherNames": [{"oid": "1.2.3", "utf8Value": "x"}]}, "otherNames: names of other kinds are not allowed"),
    ({}, own(other=[x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "evil")]))]), "otherNames"),
    ({}, own(other=[x509.RegisteredID(x509.ObjectIdentifier("1.2.3"))]), "otherNames"),
    ({}, own(other=[x509.OtherName(x509.ObjectIdentifier("1.2.3"), b"\x0c\x01x")]), "otherNames"),
    ({"keys": [{"algorithm": "RSA"}]}, {}, "privateKey: ECDSA 256 is not allowed"),
    ({"keys": [{"algorithm": "RSA"}]}, own(dns("a")), "privateKey: ECDSA 256 is not allowed"),
    ({"keys": [{"algorithm": "RSA", "minSize": 3072}]}, {"privateKey": {"algorithm": "RSA"}}, "RSA 2048"),
    (
        {"keys": [{"algorithm": "RSA", "maxSize": 3072}]},
        {"privateKey": {"algorithm": "RSA", "size": 4096}},
        "RSA 4096",
    ),
    *(
        (rule, {"privateKey": {"algorithm": "RSA", "size": 4097}}, f": RSA 4097 {why}")
        for rule, why in (
            ({}, "is beyond 4096 bits"),
            ({"keys": [{"algorithm": "RSA"}]}, "is beyond 4096 bits"),
            ({"keys": [{"algorithm": "RSA", "minSize": 4096}]}, "is beyond 4096 bits"),
            ({"keys": [{"algorithm": "RSA", "minSize": 8192}, {"algorithm": "RSA"}]}, "is beyond 4096 bits"),
            ({"keys": [{"algorithm": "RSA", "maxSize": 4096}]}, "is not allowed"),
        )
    ),
    (
        {"keys": [{"algorithm": "ML-DSA-44"}]},
        {"privateKey": {"algorithm": "ML-DSA-87"}},
        "privateKey: ML-DSA-87 is not allowed",
    ),
    ({"maxDuration": "1.5h"}, {}, "duration: 2160h is more than 1.5h"),
    ({}, {"isCA": True}, "isCA: a CA certificate is not allowed"),
    ({}, {"request": csr([(NameOID.COMMON_NAME, "a")], x509.BasicConstraints(True, None))}, "isCA"),
    ({"usages": ["server auth"]}, {"usages": ["client auth", "server auth"]}, 'usages: "client auth" is not allowed'),
    ({"usages": ["server auth"]}, {}, 'usages: "digital signature" is not allowed'),
    ({"usages": ["server auth"]}, {"usages": ["1.3.6.1.5.5.7.3.2", "server auth"]}, '"client auth" is not allowed'),
    (
        {"usages": ["server auth"]},
        {
            "usages": ["server auth"],
            "request": csr([(NameOID.COMMON_NAME, "a")], x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])),
        },
        'usages: "code signing" is not allowed',
    ),
    ({}, {"extensions": [{"oid": "1.2.3.4", "value": "BQA="}]}, "extensions: 1.2.3.4 is not allowed"),
    (
        {"extensions": ["1.2.3.5"]},
        {
            "request": csr(
                [(NameOID.COMMON_NAME, "a")],
                x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"),
            )
        },
        "extensions: 1.2.3.4 is not allowed",
    ),
]


@pytest.mark.parametrize(("rule", "spec"), PERMITTED)
def test_permitted(rule: Rule, spec: Mapping[str, Any]) -> None:
    assert denied_by(rule, {"dnsNames": [], **spec}) == ""


@pytest.mark.parametrize(("rule", "spec", "why"), DENIED)
def test_denied(rule: Rule, spec: Mapping[str, Any], why: str) -> None:
    answer = denied_by({"name": "web", **rule}, spec)
    assert answer.startswith("rule web: ")
    assert why in answer


SHOP = {"namespaces": {"names": ["shop"]}, "dnsNames": COM}
OTHER = {"namespaces": {"names": ["bank"]}, "dnsNames": {}}
TIER = {"namespaces": {"selector": {"matchLabels": {"tier": "web"}}}, "dnsNames": COM}
UNLISTED = ("policy.default is Deny, and no rule is about namespace shop",)
WWW, EVIL = {"dnsNames": ["www.example.com"]}, {"dnsNames": ["evil.example"]}


@pytest.mark.parametrize(
    ("policy", "labels", "spec", "answer"),
    [
        ({"default": "Allow"}, {}, EVIL, ()),
        ({"default": "Deny"}, {}, WWW, UNLISTED),
        ({"default": "Deny", "rules": [OTHER]}, {}, WWW, UNLISTED),
        ({"default": "Deny", "rules": [OTHER, SHOP]}, {}, WWW, ()),
        ({"rules": [OTHER]}, {}, EVIL, ()),
        # A rule about the namespace that denies is not made good by the default.
        ({"rules": [SHOP]}, {}, EVIL, ('policy.rules[0]: dnsNames: "evil.example" is not allowed',)),
        (
            {"rules": [OTHER, SHOP, {"name": "b", "dnsNames": {}}]},
            {},
            EVIL,
            (
                'policy.rules[1]: dnsNames: "evil.example" is not allowed',
                'rule b: dnsNames: "evil.example" is not allowed',
            ),
        ),
        ({"rules": [SHOP, {"dnsNames": {"exact": ["evil.example"]}}]}, {}, EVIL, ()),
        # One rule has to permit all of it: two halves make no whole.
        (
            {"rules": [SHOP, {"dnsNames": {"exact": ["evil.example"]}}]},
            {},
            {"dnsNames": ["www.example.com", "evil.example"]},
            (
                'policy.rules[0]: dnsNames: "evil.example" is not allowed',
                'policy.rules[1]: dnsNames: "www.example.com" is not allowed',
            ),
        ),
        ({"default": "Deny", "rules": [TIER]}, {"tier": "web"}, WWW, ()),
        ({"default": "Deny", "rules": [TIER]}, {"tier": "db"}, WWW, UNLISTED),
        ({"default": "Deny", "rules": [TIER]}, {}, WWW, UNLISTED),
    ],
)
def test_rules_namespaces_and_the_default(
    policy: Mapping[str, Any], labels: dict[str, str], spec: Mapping[str, Any], answer: tuple[str, ...]
) -> None:
    assert denials(policy, spec, **labels) == answer


@pytest.mark.parametrize("policy", [None, {"default": "Allow"}, {"default": "Allow", "rules": [OTHER]}])
def test_who_no_rule_is_about_gets_no_key_that_takes_minutes_to_make(policy: Mapping[str, Any] | None) -> None:
    for size, permitted in ((4096, True), (4097, False)):
        spec = {**WWW, "privateKey": {"algorithm": "RSA", "size": size}}
        answer = denials(policy, spec) if policy is not None else violations(None, facts_of(parsed(spec)), "shop", {})
        assert (answer == ()) is permitted
        assert permitted or "keys: [{algorithm: RSA, maxSize: 4097}]" in answer[0]
        assert key_violations(parsed(spec).spec.private_key.parameters) == answer


@pytest.mark.parametrize(
    ("requirement", "labels", "included"),
    [
        ({"operator": "In", "values": ["a", "b"]}, {"x": "b"}, True),
        ({"operator": "In", "values": ["a", "b"]}, {"x": "c"}, False),
        ({"operator": "In", "values": ["a", "b"]}, {}, False),
        ({"operator": "NotIn", "values": ["a"]}, {"x": "a"}, False),
        ({"operator": "NotIn", "values": ["a"]}, {"x": "b"}, True),
        ({"operator": "NotIn", "values": ["a"]}, {}, True),
        ({"operator": "Exists"}, {"x": ""}, True),
        ({"operator": "Exists"}, {}, False),
        ({"operator": "DoesNotExist"}, {"x": ""}, False),
        ({"operator": "DoesNotExist"}, {}, True),
    ],
)
def test_selectors_are_those_of_kubernetes(requirement: dict[str, Any], labels: dict[str, str], included: bool) -> None:
    selector = {"matchLabels": {"all": "of"}, "matchExpressions": [{"key": "x", **requirement}]}
    policy = {"default": "Deny", "rules": [{"namespaces": {"selector": selector}}]}
    assert (denials(policy, WWW, all="of", **labels) == ()) is included
    assert denials(policy, WWW, **labels) != ()


def test_thousands_of_denials_are_told_in_short() -> None:
    rules = [{"name": f"r{n}", "dnsNames": {}} for n in range(50)]
    answer = denials({"rules": rules}, {"dnsNames": [f"{'a' * 60}.{n}.example" for n in range(1000)]})
    assert [text.partition(":")[0] for text in answer] == ["rule r0", "rule r1", "rule r2", "and 47 more rules"]
    assert answer[0].endswith("; and 997 more")


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ({"dnsNames": {"suffixes": ["*.example.com"]}}, 'spec.policy.rules[0].dnsNames.suffixes: "*.example.com" has'),
        ({"uris": {"suffixes": [".example.com"]}}, 'spec.policy.rules[0].uris.suffixes: ".example.com" has an empty'),
        ({"emailAddresses": {"suffixes": ["a@b.example"]}}, "spec.policy.rules[0].emailAddresses.suffixes: "),
        ({"dnsNames": {"exact": ["a_b"]}}, 'spec.policy.rules[0].dnsNames.exact: dnsNames: "a_b" has an underscore'),
        ({"uris": {"exact": ["example.com"]}}, "spec.policy.rules[0].uris.exact: "),
        ({"emailAddresses": {"exact": ["example.com"]}}, "spec.policy.rules[0].emailAddresses.exact: "),
        ({"ipAddresses": {"networks": ["10.0.0.0/33"]}}, "spec.policy.rules[0].ipAddresses.networks: "),
        ({"usages": ["serverAuth"]}, 'spec.policy.rules[0].usages: usages: "serverAuth" is unknown'),
        ({"maxDuration": "soon"}, "spec.policy.rules[0].maxDuration: 'soon' is not a duration"),
    ],
)
def test_a_rule_that_would_match_nothing_is_a_mistake_that_is_told(rule: Rule, problem: str) -> None:
    spec = {"selfSigned": {}, "policy": {"rules": [rule]}}
    issuer = parse_issuer({"kind": "Issuer", "metadata": METADATA, "spec": spec})
    assert issuer.problem.startswith(problem)


# What no name gets around, whatever it looks like. The measure is the request that the CA would be sent, compared by
# label and not by what the policy itself takes for the same.

ALLOWED_DNS = ("example.com", "bücher.example")
ALLOWED_LABELS = (["example", "com"], ["xn--bcher-kva", "example"])
LABELS = st.sampled_from(
    [
        *("example", "com", "EXAMPLE", "Com", "evil", "evilexample", "www", "example.com", "*", "", "a*", "-", "a_b"),
        *("bücher", "BÜCHER", "xn--bcher-kva", "xn--", "exam\N{SOFT HYPHEN}ple", "10", "0"),
        "\N{FULLWIDTH LATIN SMALL LETTER E}xample",
    ]
)
HOSTS = st.builds(
    lambda labels, dot, end: dot.join(labels) + end,
    st.lists(LABELS, min_size=1, max_size=5),
    st.sampled_from([".", ".", ".", "\N{IDEOGRAPHIC FULL STOP}", "..", " ", "@", "/", "\x00"]),
    st.sampled_from(["", "", "", ".", " ", "example.com"]),
)
USERS = st.sampled_from(["", "", "example.com@", "evil.example:80@", "a@b@", '"a@example.com"@', "*."])
TAILS = st.sampled_from(["", "", "/", "?@example.com", "#example.com", "/x@example.com", ":443", "\\@example.com"])
URIS = st.builds(
    lambda scheme, user, host, tail: scheme + user + host + tail,
    st.sampled_from(["https://", "HTTPS://", "spiffe://", "urn:", "//", "https:", "file:///", "x://[", "mailto:"]),
    USERS,
    HOSTS | st.sampled_from(["10.0.0.1", "[::1]", "::1"]),
    TAILS,
)
MAILS = st.builds(lambda user, host: user + host, USERS, HOSTS)


def inside(host: str, *, wildcards: bool = False) -> bool:
    labels = host.lower().split(".")
    if wildcards and labels[0] == "*":
        labels = labels[1:]
    return any(labels[-len(allowed) :] == allowed for allowed in ALLOWED_LABELS) and not set("*/@ \\\x00") & set(
        "".join(labels)
    )


@cache
def policy(wildcards: bool) -> dict[str, Any]:
    names = {"suffixes": list(ALLOWED_DNS)}
    with_wildcards = {**names, "wildcards": wildcards}
    rule = {"commonNames": with_wildcards, "dnsNames": with_wildcards, "uris": names, "emailAddresses": names}
    return {"rules": [{**rule, "ipAddresses": {"networks": ["10.0.0.0/8"]}}]}


def names_of(request: x509.CertificateSigningRequest) -> Iterator[tuple[str, str]]:
    """Each name in a request, by kind, as its bytes have it."""
    for attribute in request.subject:
        yield "dns" if attribute.oid == NameOID.COMMON_NAME else "email", str(attribute.value)
    for extension in request.extensions:
        for name in extension.value if isinstance(extension.value, x509.SubjectAlternativeName) else ():
            match name:
                case x509.DNSName():
                    yield "dns", name.value
                case x509.UniformResourceIdentifier():
                    yield "uri", name.value
                case x509.RFC822Name():
                    yield "email", name.value
                case x509.IPAddress():
                    yield "ip", str(name.value)


def assert_inside(request: x509.CertificateSigningRequest, *, wildcards: bool) -> None:
    for kind, name in names_of(request):
        match kind:
            case "dns":
                assert inside(name, wildcards=wildcards), name
            case "uri":
                assert inside(urlsplit(name).hostname or ""), name
            case "email":
                local, at, host = name.rpartition("@")
                assert at, name
                assert "@" not in local, name
                assert inside(host), name
            case _:
                assert ipaddress.ip_address(name) in ipaddress.ip_network("10.0.0.0/8")


@given(
    st.lists(HOSTS, max_size=2),
    st.lists(URIS, max_size=2),
    st.lists(MAILS, max_size=1),
    st.none() | HOSTS,
    st.none() | MAILS,
    st.booleans(),
)
@example(["*.com"], [], [], None, None, True)
@example(["evilexample.com"], [], [], None, None, True)
@example(["www.example.com"], [], [], "evil.example", None, True)
@example([], ["https://evil.example?@example.com"], [], None, None, True)
@example([], [], [], "www.example.com", "ann@evil.example", True)
def test_what_is_permitted_asks_the_ca_for_nothing_else(
    hosts: list[str], uris: list[str], mails: list[str], common_name: str | None, mail: str | None, wildcards: bool
) -> None:
    spec = {
        "secretName": "tls",
        "issuerRef": {"name": "ca"},
        "dnsNames": hosts,
        "uris": uris,
        "emailAddresses": mails,
        "commonName": common_name,
        "subject": {"emailAddress": mail},
    }
    if denials(policy(wildcards), spec):
        return
    request = parse_request({"metadata": METADATA, "spec": spec})
    try:
        built = build_csr(request.spec.template, KEY)
    except PkiError:
        return  # the user is told, and no CA is asked
    assert_inside(built, wildcards=wildcards)


ASCII = st.text(st.characters(codec="ascii"), max_size=30)


def ascii_only(names: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return names.filter(str.isascii)


@given(
    st.lists(ascii_only(HOSTS) | ASCII, max_size=2),
    st.lists(ascii_only(URIS) | ASCII, max_size=2),
    st.lists(ascii_only(MAILS) | ASCII, max_size=2),
    st.lists(HOSTS.filter(bool), max_size=2),
    st.booleans(),
)
def test_the_users_own_request_gets_no_further(
    hosts: list[str],
    uris: list[str],
    mails: list[str],
    common_names: list[str],
    wildcards: bool,
) -> None:
    names = [*map(dns, hosts), *map(uri, uris), *map(mail, mails)]
    assume(names or common_names)  # a request that names nothing is refused before any policy
    pem = own(*names, cn=common_names)["request"]
    if not denials(policy(wildcards), {"request": pem}):
        assert_inside(load_csr(pem.encode()), wildcards=wildcards)


PLAIN = st.from_regex(r"[a-z][a-z0-9]{0,9}(\.[a-z][a-z0-9]{0,9}){0,2}", fullmatch=True)


@given(PLAIN, st.sampled_from(ALLOWED_DNS))
def test_what_is_below_a_suffix_is_permitted_in_every_kind(below: str, suffix: str) -> None:
    host = f"{below}.{suffix}"
    spec = {
        "dnsNames": [host, suffix, f"*.{host}"],
        "uris": [f"https://user@{host}:8443/a?b#c"],
        "emailAddresses": [f"{below}@{host}"],
        "commonName": host,
    }
    assert denials(policy(True), spec) == ()
