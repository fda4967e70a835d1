"""Whatever is in an object, a CSR or a certificate, what reads it ends in words for its user and not in a traceback.

FUZZ_SECONDS is how long each test goes on, FUZZ_SEED where it begins; what fails is told with the seed.
"""

import base64
import copy
import json
import os
import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from csr_operator.api.names import GROUP
from csr_operator.api.parse_issuer import parse_issuer
from csr_operator.api.parse_request import parse_request
from csr_operator.api.policy import Policy
from csr_operator.api.reasons import Reason
from csr_operator.decisions.policy import violations
from csr_operator.decisions.policy_facts import facts_of
from csr_operator.decisions.status import request_status, status_body
from csr_operator.kube.nesting import DEEPEST, cut_nesting
from csr_operator.pki.chain import build_chain, load_bundle
from csr_operator.pki.csr import CsrTemplate, build_csr, csr_digest, load_csr, profile_of, profile_with
from csr_operator.pki.errors import PkiError
from csr_operator.pki.keys import KeyAlgorithm, KeyEncoding, KeyParameters, generate, load_private_key, private_key_der
from csr_operator.pki.names import Names
from csr_operator.pki.profile import Profile
from csr_operator.pki.verify import CA_DECIDES, verify

# A certificate with a serial number that is none is looked at all the same.
pytestmark = [
    pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning"),
    pytest.mark.slow("takes as long as it is given"),
]

SECONDS = float(os.environ.get("FUZZ_SECONDS", "15"))
SEED = int(os.environ.get("FUZZ_SEED", "20261128"))
NOW = datetime(2026, 11, 28, tzinfo=UTC)


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    print(f"FUZZ_SEED={SEED}")
    return random.Random(f"{SEED}/{request.node.name}")


def _rounds() -> Iterator[int]:
    end, number = time.monotonic() + SECONDS, 0
    while time.monotonic() < end:
        yield number
        number += 1


def _deep(depth: int, kind: type) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = {"a": value} if kind is dict else [value]
    return value


ODD: list[Any] = [
    *(None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63), 10**30, 10**400, 0.5, -1e308, float("inf"), float("nan")),
    *("", "x", "*", ".", "..", "-", "\0", "\x1b[31m", "\u202e", "\ud800", "\N{SOFT HYPHEN}", "a" * 5000, "ü" * 300),
    *("xn--", "xn--a", "1.2.3", "1.2.999999999999999999999", "2.5.29.17", "::1", "10.0.0.0/8", "fe80::1%eth0"),
    *("99999999999h", "1e9h", "9" * 400 + "h", "-1h", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "[" * 5000),
    *("https://[", "a@b", "CN=" + "\\" * 99, "=" * 100, "QQ==", "%%%", "٣h", "𝌆" * 64),
    *([], {}, [[]], [{}], [None], {"a": None}, {"": ""}, {1: 2}, ["x"] * 2001, {str(n): n for n in range(300)}),
    *(_deep(90, dict), _deep(90, list)),
]


def _odd(rng: random.Random) -> Any:
    return copy.deepcopy(rng.choice(ODD))


def _mutated(value: Any, rng: random.Random) -> Any:
    """A copy in which one to four nodes, at any depth, are odd, absent, doubled or of their neighbours."""
    value = copy.deepcopy(value)
    for _ in range(rng.choice((1, 1, 2, 4))):
        nodes: list[tuple[Any, Any]] = []
        rest = [value]
        while rest:
            one = rest.pop()
            for key in list(one) if isinstance(one, dict) else range(len(one)):
                nodes.append((one, key))
                if isinstance(one[key], dict | list):
                    rest.append(one[key])
        if not nodes:
            return value
        holder, key = rng.choice(nodes)
        match rng.randrange(6):
            case 0:
                del holder[key]
            case 1:
                holder[key] = [copy.deepcopy(holder[key])] * 2
            case 2:
                other, where = rng.choice(nodes)
                holder[key] = copy.deepcopy(other[where]) if where in other or isinstance(other, list) else None
            case _:
                holder[key] = _odd(rng)
    return value


def _metadata(**more: Any) -> dict[str, Any]:
    return {
        "namespace": "team-a",
        "name": "www",
        "uid": "0a6ec5a6-7a8e-4f5b-9f3c-1234567890ab",
        "resourceVersion": "17",
        "generation": 3,
        "creationTimestamp": "2026-01-01T00:00:00Z",
        **more,
    }


WISHES = {f"{GROUP}/{name}": "x" for name in ("renew", "revoke", "import", "abandon-revocation")}
REQUEST: dict[str, Any] = {
    "kind": "CertificateRequest",
    "metadata": _metadata(annotations=WISHES, finalizers=["a", "b"], deletionTimestamp="2026-01-01T00:00:00Z"),
    "spec": {
        "secretName": "www-tls",
        "issuerRef": {"name": "ca", "kind": "Issuer"},
        "issuerRefs": [{"name": "ca"}],
        "commonName": "www.example.com",
        "subject": {
            **{f: ["x"] for f in ("organizations", "organizationalUnits", "localities", "provinces", "postalCodes")},
            "countries": ["DE"],
            "streetAddresses": ["x"],
            "serialNumber": "1",
            "emailAddress": "a@example.com",
        },
        "literalSubject": "CN=x,O=y",
        "dnsNames": ["www.example.com", "*.bücher.example"],
        "ipAddresses": ["10.0.0.1", "::1"],
        "uris": ["https://example.com/a", "urn:x:y"],
        "emailAddresses": ["a@example.com"],
        "otherNames": [{"oid": "1.2.3", "utf8Value": "x"}],
        "usages": ["server auth", "1.2.3"],
        "isCA": True,
        "pathLenConstraint": 1,
        "nameConstraints": {
            "critical": True,
            **{w: {"dnsDomains": ["a.example"], "ipRanges": ["10.0.0.0/8"]} for w in ("permitted", "excluded")},
        },
        "mustStaple": True,
        "extensions": [{"oid": "1.2.3.4", "value": "BQA=", "critical": False}],
        "privateKey": {"algorithm": "RSA", "size": 2048, "encoding": "PKCS8", "rotationPolicy": "Never"},
        "secretTemplate": {"labels": {"a": "b"}, "annotations": {"c": "d"}},
        "keystores": {
            kind: {"create": True, "alias": "a", "profile": "x", "passwordSecretRef": {"name": "p", "key": "k"}}
            for kind in ("pkcs12", "jks")
        },
        "additionalOutputFormats": [{"type": "DER"}],
        "duration": "2160h",
        "renewBefore": "1h30m",
        "renewBeforePercentage": 30,
        "deletionPolicy": "Retain",
        "revocation": {"onDelete": True, "onRotation": False},
    },
    "status": {
        "conditions": [
            {"type": "Ready", "status": "True", "reason": "Issued", "message": "x", "observedGeneration": 1}
        ],
        "observedGeneration": 3,
        "serialNumber": "1F",
        "revision": 7,
        "csr": "-----BEGIN",
        "renewalTime": "x",
        "notBefore": "2026-01-01T00:00:00Z",
        "notAfter": "2027-01-01T00:00:00Z",
        "sha256Fingerprint": "ab",
    },
}
NAMES = {"exact": ["a.example"], "suffixes": ["b.example"], "wildcards": True}
ISSUER: dict[str, Any] = {
    "kind": "Issuer",
    "metadata": _metadata(),
    "spec": {
        "external": {"name": "some", "config": {"a": [1, {"b": "c"}]}},
        "approval": "Manual",
        "limits": {"concurrent": 3, "perMinute": 60},
        "policy": {
            "default": "Deny",
            "rules": [
                {
                    "name": "r",
                    "namespaces": {
                        "names": ["team-a"],
                        "selector": {
                            "matchLabels": {"a": "b"},
                            "matchExpressions": [{"key": "k", "operator": "In", "values": ["v"]}],
                        },
                    },
                    **dict.fromkeys(("commonNames", "dnsNames"), NAMES),
                    "uris": {"exact": ["https://a.example/"], "suffixes": ["a.example"]},
                    "emailAddresses": {"exact": ["a@a.example"], "suffixes": ["a.example"]},
                    "ipAddresses": {"networks": ["10.0.0.0/8", "fe80::/10"]},
                    "keys": [{"algorithm": "RSA", "minSize": 2048, "maxSize": 4096}],
                    "maxDuration": "24h",
                    "isCA": True,
                    "otherNames": True,
                    "usages": ["any"],
                    "extensions": ["1.2"],
                }
            ],
        },
    },
    "status": {"conditions": [{"type": "Ready", "status": "False", "reason": "x", "message": "y"}]},
}
KEPT = ("namespace", "name", "uid", "resourceVersion")
"""Of the metadata, what the API server vouches for."""


def _object(valid: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    metadata = _mutated({k: v for k, v in valid["metadata"].items() if k not in KEPT}, rng)
    metadata |= {name: valid["metadata"][name] for name in KEPT}
    obj = {**valid, "metadata": metadata}
    for part in ("spec", "status"):
        if rng.random() < 0.7:
            obj |= _mutated({part: valid[part]}, rng) or {part: None}
    return obj


def _with_csr(obj: dict[str, Any], pem: str) -> dict[str, Any]:
    spec = {**REQUEST["spec"], "request": pem}
    for field in ("commonName", "subject", "literalSubject", "dnsNames", "ipAddresses", "uris", "emailAddresses"):
        spec.pop(field, None)
    return {**obj, "spec": spec}


def test_requests_and_issuers_of_any_shape(rng: random.Random) -> None:
    key, policy = Ed25519PrivateKey.generate(), parse_issuer(ISSUER).policy or Policy()
    assert not parse_issuer(ISSUER).problem
    readable = 0
    for _ in _rounds():
        request = parse_request(_object(REQUEST, rng))
        assert request.key.name == "www"
        readable += not request.problem
        status_body(request_status(request, None, _hold(request.problem), NOW, ""), None)
        violations(policy, facts_of(request), "team-a", {"a": "b"})
        _in_words(lambda: build_csr(request.spec.template, key))  # noqa: B023
        issuer = parse_issuer(_object(ISSUER, rng))
        assert issuer.key.name == "www"
        if issuer.policy is not None:
            violations(issuer.policy, facts_of(request), "team-a", {})
    assert readable > 10


def _hold(message: str) -> Any:
    from csr_operator.decisions.actions import Hold

    return Hold(Reason.INVALID_SPEC, message or "x", needs_user=True)


def _in_words(work: Callable[[], object]) -> None:
    """A PkiError is what is to be; any other exception fails the test."""
    words = "it is fine"
    try:
        work()
    except PkiError as error:
        words = str(error)
    assert 0 < len(words) < 20_000


def _extensions(rng: random.Random) -> Iterator[x509.ExtensionType]:
    yield x509.SubjectAlternativeName([x509.DNSName("a.example"), x509.RFC822Name("a@b.example")])
    yield x509.KeyUsage(True, False, True, False, True, False, False, True, False)
    yield x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    yield x509.BasicConstraints(True, 3)
    yield x509.NameConstraints([x509.DNSName("example")], None)
    yield x509.TLSFeature([x509.TLSFeatureType.status_request])
    oids = [f"1.3.6.1.5.5.7.1.{n}" for n in range(1, 30)] + [f"2.5.29.{n}" for n in range(9, 60)]
    yield x509.UnrecognizedExtension(x509.ObjectIdentifier(rng.choice(oids)), _values(rng))


def _values(rng: random.Random) -> bytes:
    odd = [
        "3003020163",
        "0500",
        "30800000",
        "0c03616263",
        "02010f",
        "03020780",
        "3000",
        "ff",
        "a000",
        "1f8100",
        "0101ff",
    ]
    return bytes.fromhex(rng.choice(odd)) + rng.randbytes(rng.choice((0, 0, 3)))


NAME = x509.Name(
    [x509.NameAttribute(NameOID.COMMON_NAME, "www.example.com"), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Org")]
)


def _seeds(rng: random.Random) -> tuple[list[bytes], list[bytes]]:
    """CSRs and certificates in DER, as valid as they get with the extensions that they have."""
    csrs, certificates = [], []
    for _ in range(40):
        key = generate_private_key(SECP256R1())
        some = {e.oid: e for e in _extensions(rng) if rng.random() < 0.6}.values()
        csr = x509.CertificateSigningRequestBuilder(NAME)
        certificate = x509.CertificateBuilder(NAME, NAME, key.public_key(), 7)
        certificate = certificate.not_valid_before(NOW - timedelta(days=1)).not_valid_after(NOW + timedelta(days=1))
        for extension in some:
            csr = csr.add_extension(extension, critical=False)
            certificate = certificate.add_extension(extension, critical=False)
        csrs.append(csr.sign(key, SHA256()).public_bytes(Encoding.DER))
        certificates.append(certificate.sign(key, SHA256()).public_bytes(Encoding.DER))
    return csrs, certificates


def _broken(der: bytes, rng: random.Random) -> bytes:
    """With some bytes of another value: mostly one, as what is less like itself is refused at once."""
    data = bytearray(der)
    tags = (0x02, 0x03, 0x04, 0x05, 0x06, 0x0C, 0x13, 0x16, 0x17, 0x1E, 0x30, 0x31, 0x80, 0x81, 0x82, 0xA0, 0xFF)
    for _ in range(rng.choice((1, 1, 1, 2, 8))):
        at = rng.randrange(len(data))
        match rng.randrange(5):
            case 0:
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                data[at] = rng.choice(tags)
            case 2:
                data[at] = rng.randrange(256)
            case 3 if rng.random() < 0.1:
                del data[at:]
                data += b"\0"
            case _:
                data[at] = (data[at] + rng.choice((-1, 1))) % 256
    return bytes(data)


def test_certificate_signing_requests(rng: random.Random) -> None:
    csrs, _ = _seeds(rng)
    for _ in _rounds():
        der = _broken(rng.choice(csrs), rng)
        _in_words(lambda: profile_with(load_csr(der), Profile()))  # noqa: B023
        _in_words(lambda: _looked_into(der))  # noqa: B023
        pem = _pem(der, "CERTIFICATE REQUEST")
        csr_digest(pem)
        request = parse_request(_with_csr(REQUEST, pem))
        facts_of(request)


def _looked_into(der: bytes) -> None:
    """As after the signature was found to be good, which a broken one never is."""
    from csr_operator.pki import csr as module

    try:
        csr = x509.load_der_x509_csr(der)
    except Exception:
        return
    original, module._is_signed = module._is_signed, lambda csr: True
    try:
        csr = load_csr(der)
        profile_of(csr)
        parse_request(_with_csr(REQUEST, _pem(der, "CERTIFICATE REQUEST")))
    finally:
        module._is_signed = original


def _pem(der: bytes, kind: str) -> str:
    return f"-----BEGIN {kind}-----\n{base64.encodebytes(der).decode()}-----END {kind}-----\n"


def test_certificates(rng: random.Random) -> None:
    _, certificates = _seeds(rng)
    key = generate_private_key(SECP256R1())
    csr = build_csr(CsrTemplate(Names(dns_names=("www.example.com",)), Profile()), key)
    for number in _rounds():
        ders = [_broken(rng.choice(certificates), rng) for _ in range(rng.choice((1, 2, 5)))]
        bundle = ders[0] if number % 5 == 0 else "".join(_pem(der, "CERTIFICATE") for der in ders).encode()
        _in_words(lambda: _used(bundle, csr, rng))  # noqa: B023


def test_private_keys(rng: random.Random) -> None:
    keys = (generate_private_key(SECP256R1()), Ed25519PrivateKey.generate(), generate(KeyParameters(KeyAlgorithm.RSA)))
    seeds = [
        (private_key_der(key, encoding), "PRIVATE KEY" if encoding is KeyEncoding.PKCS8 else f"{kind}PRIVATE KEY")
        for key, kind in zip(keys, ("EC ", "", "RSA "), strict=True)
        for encoding in KeyEncoding
    ]
    for _ in _rounds():
        der, label = rng.choice(seeds)
        text = _pem(_broken(der, rng), label).encode()
        _in_words(lambda: load_private_key(text))  # noqa: B023


def _used(bundle: bytes, csr: x509.CertificateSigningRequest, rng: random.Random) -> None:
    """As an answer of a CA is."""
    certificates = load_bundle(bundle)
    try:
        key = rng.choice(certificates).public_key()
    except Exception:
        return
    chain = build_chain(key, certificates)
    verify(chain, csr, Profile(), now=NOW, roots=certificates[-1:], rules=CA_DECIDES)


def _depth(value: Any) -> int:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if children is None else 1 + max(map(_depth, children), default=0)


def test_json_of_any_depth_keeps_its_shape(rng: random.Random) -> None:
    for _ in _rounds():
        value = _mutated(REQUEST, rng)
        text = json.dumps(value, skipkeys=True).encode()
        if _depth(value) <= DEEPEST:
            assert cut_nesting(text) == text
        depth = rng.randrange(DEEPEST * 20)
        nested = text[:-1] + b', "z": ' + b'{"[": [' * depth + b'"]}"' + b"]}" * depth + b"}"
        found = json.loads(cut_nesting(nested))
        assert isinstance(found["z"], dict | list | str)
