"""Input that is far too large or nested without end, for each parser, and what a user is told of it."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from csr_acme.errors import Problem
from csr_acme.objects import Order
from csr_acme.origin import Origin
from csr_operator.api.names import OWED_ANNOTATION
from csr_operator.api.parse_issuer import parse_issuer
from csr_operator.api.parse_request import parse_request
from csr_operator.api.parse_secret import parse_secret_meta, parse_staged
from csr_operator.api.replicas import Assignment
from csr_operator.api.seal import Seal
from csr_operator.backends.digicert.handle import Handle, records_of
from csr_operator.backends.sectigo.order_states import dcv_instructions
from csr_operator.challenges.routes import host_name, is_token
from csr_operator.kube.bodies import parse_event, parse_list_head, parse_metadata_event
from csr_operator.pki import asn1, general_names, rfc4514
from csr_operator.pki.chain import load_bundle
from csr_operator.pki.crl import load_crl
from csr_operator.pki.csr import load_csr
from csr_operator.pki.keys import load_private_key
from csr_operator.pki.keystores import password_problem
from csr_operator.pki.pem import blocks
from csr_operator.plugin.http import Answer
from csr_operator.plugin.text import redact
from fuzz.loop import finish
from fuzz.pem_text import wrap

MUCH, DEEP = 10_000_000, 100_000
SEAL = Seal([b"k" * 32])


class Case(NamedTuple):
    """read: the input is made and read there. told: what its answer or its error says."""

    read: Callable[[], object]
    told: str


def _nested(tag: int, depth: int) -> bytes:
    """DER in which each value is the content of the one before."""
    headers, size = [], 0
    for _ in range(depth):
        headers.append(_header(tag, size))
        size += len(headers[-1])
    return b"".join(reversed(headers))


def _header(tag: int, size: int) -> bytes:
    if size < 0x80:
        return bytes((tag, size))
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length


def _sequence(content: bytes) -> bytes:
    return _header(asn1.SEQUENCE, len(content)) + content


def _pem(label: str, content: bytes) -> bytes:
    return b"-----BEGIN %b-----\n%b" % (label.encode(), content)


def _object(kind: str, spec: Any, **metadata: Any) -> dict[str, Any]:
    names = {"namespace": "team-a", "name": "www", "uid": "u", "resourceVersion": "1"}
    return {"kind": kind, "metadata": {**names, **metadata}, "spec": spec}


def _problem(spec: Mapping[str, Any]) -> str:
    return parse_request(
        _object("CertificateRequest", {"secretName": "www", "issuerRef": {"name": "ca"}, **spec})
    ).problem


def _tower(depth: int) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = {"a": value}
    return value


def _owed(text: str) -> tuple[str, ...]:
    value = f"{SEAL.code('debts', 'team-a', 'www', text)} {text}"
    return parse_secret_meta(_object("Secret", {}, annotations={OWED_ANNOTATION: value}), SEAL).forged


def _order_of_a_secret(number: str) -> object:
    annotations = {f"csr-operator.dev/{name}": number for name in ("revision", "lapses", "early-replacements")}
    labels = {"csr-operator.dev/order": "true", "csr-operator.dev/staging": "true"}
    more = {"creationTimestamp": "2026-01-01T00:00:00Z", "labels": labels}
    staged = parse_staged(_object("Secret", {}, annotations=annotations, **more), None)
    return staged and staged.authentic


def _acme_order(authorizations: list[str]) -> object:
    raw = {"status": "pending", "identifiers": [], "authorizations": authorizations, "finalize": "https://a/f"}
    return Order.parse("https://a/o", raw, Origin("https://a/d"), None)


def _event(text: bytes) -> str:
    return str(json.dumps(finish(parse_event(text))).count("["))


_MANY = b"\x05\0" * (MUCH // 2)
_SMALL_MANY = b"\x05\0" * (500 * 1024)
_EVENT = b'{"type":"ADDED","object":{"metadata":{"name":"www","namespace":"team-a","uid":"u"},"a":%b}}'

CASES: dict[str, Case] = {
    "PEM without an end": Case(lambda: blocks(_pem("A", b"A" * MUCH)), "END A----- is missing"),
    "PEM that begins and begins": Case(lambda: blocks(b"-----BEGIN A-----\n" * (MUCH // 18)), "END A----- is missing"),
    "CSR in PEM": Case(lambda: load_csr(wrap(b"\0" * MUCH, "CERTIFICATE REQUEST")), "is larger than 524288 bytes"),
    "CSR in DER": Case(lambda: load_csr(_sequence(_MANY)), "is larger than 524288 bytes"),
    "CSR of many values": Case(lambda: load_csr(_sequence(_sequence(_SMALL_MANY[:500_000]))), "its version is not 0"),
    "CSR of sequences in sequences": Case(
        lambda: load_csr(_nested(0x30, DEEP)), "not a certificate signing request|version"
    ),
    "CSR of lengths that are not told": Case(lambda: load_csr(b"\x30\x80" * DEEP), "it is cut off, or no DER"),
    "certificates in PEM": Case(lambda: load_bundle(wrap(b"\0" * MUCH, "CERTIFICATE")), "take more than 1048576 bytes"),
    "certificate in DER": Case(lambda: load_bundle(_sequence(_MANY)), "take more than 1048576 bytes"),
    "certificate of many values": Case(lambda: load_bundle(_sequence(_sequence(_SMALL_MANY))), "it is damaged"),
    "certificate of sequences": Case(lambda: load_bundle(_nested(0x30, DEEP)), "cannot be read"),
    "certificate of octet strings": Case(lambda: load_bundle(_sequence(_nested(0x04, DEEP))), "cannot be read"),
    "PKCS #7 of sequences": Case(lambda: load_bundle(wrap(_nested(0x30, DEEP), "PKCS7")), "the PKCS #7 is damaged"),
    "revocation list": Case(lambda: load_crl(wrap(_sequence(_MANY), "X509 CRL")), "cannot be read"),
    "revocation list of sequences": Case(lambda: load_crl(wrap(_nested(0x30, DEEP), "X509 CRL")), "cannot be read"),
    "private key": Case(lambda: load_private_key(wrap(_MANY, "PRIVATE KEY")), "is larger than 16384 bytes"),
    "private key of sequences": Case(
        lambda: load_private_key(wrap(_nested(0x30, 3000), "PRIVATE KEY")), "not a private key"
    ),
    "password": Case(lambda: password_problem("x" * MUCH), "is longer than 256 characters"),
    "distinguished name": Case(lambda: rfc4514.parse("CN=a," * (MUCH // 5)), "is longer than 8192 characters"),
    "distinguished name of escapes": Case(lambda: rfc4514.parse("CN=" + "\\" * MUCH), "is longer than 8192 characters"),
    "DNS name": Case(lambda: general_names.dns_name("a." * (MUCH // 2) + "b"), "is longer than 253 octets"),
    "DNS name in another script": Case(lambda: general_names.dns_name("ü" * MUCH), "is longer than 253 octets"),
    "URI": Case(lambda: general_names.uri("https://" + "a" * MUCH), "is longer than 253 octets"),
    "URI of brackets": Case(lambda: general_names.uri("https://" + "[" * MUCH), "cannot be parsed"),
    "e-mail address": Case(lambda: general_names.email_address("a@" + "a" * MUCH), "is longer than 253 octets"),
    "IP address": Case(lambda: general_names.ip_address("1." * MUCH), "is not an IPv4 or IPv6 address"),
    "IP address with a zone": Case(lambda: general_names.ip_address("fe80::1%" + "\0" * MUCH), "has a zone"),
    "request: CSR": Case(lambda: _problem({"request": "A" * MUCH}), "is larger than 524288 bytes"),
    "request: duration": Case(lambda: _problem({"duration": "9" * MUCH + "h"}), "spec.duration: "),
    "request: name of the Secret": Case(lambda: _problem({"secretName": "a" * MUCH}), "is not a valid Secret name"),
    "request: extension": Case(
        lambda: _problem({"extensions": [{"oid": "1." * MUCH, "value": ""}]}), "is not a dotted object identifier"
    ),
    "request: tower": Case(lambda: _problem({"subject": _tower(900), "issuerRef": _tower(900)}), "spec.issuerRef: "),
    "issuer: tower": Case(
        lambda: parse_issuer(_object("Issuer", {"ca": _tower(900)})).problem, "nested more than 32 levels deep"
    ),
    "issuer: number": Case(
        lambda: parse_issuer(_object("Issuer", {"ca": {}, "limits": {"perMinute": 10**4000}})).limits.per_minute,
        "^10000",
    ),
    "event of lists in lists": Case(lambda: _event(_EVENT % (b"[" * DEEP + b"]" * DEEP)), "^98$"),
    "event of lists without an end": Case(lambda: _event(b"[" * MUCH), "is not an event"),
    "event of metadata": Case(
        lambda: parse_metadata_event(_EVENT % (b'{"a":' * DEEP), "Secret"), "'name': 'www', 'namespace': 'team-a'"
    ),
    "page of a list": Case(lambda: parse_list_head(b'{"metadata":{},"items":' + b"[" * MUCH), "'items': \\[\\]"),
    "answer of a vendor": Case(Answer(200, {}, b"[" * DEEP).json, "is not JSON"),
    "answer of a vendor, a number": Case(Answer(200, {}, b"9" * 2_000_000).json, "is not JSON"),
    "pause that a CA asks for": Case(lambda: Answer(200, {"Retry-After": "9" * MUCH}, b"").retry_after, "^1 day"),
    "ACME order": Case(lambda: _acme_order(["https://a/1"] * 300_000), "authorizations is not a list of at most 2000"),
    "ACME problem": Case(
        lambda: Problem.parse(
            {
                "type": "urn:ietf:params:acme:error:malformed",
                "detail": "x" * MUCH,
                "subproblems": [{"type": "urn:ietf:params:acme:error:caa", "detail": "y" * 100}] * DEEP,
            }
        ).describe()[-20:],
        "and 99990 more$",
    ),
    "order of DigiCert": Case(lambda: Handle.parse("[" * MUCH), "cannot be read: it is looked for"),
    "domains of DigiCert": Case(
        lambda: len(
            records_of({"domains": [{"dns_name": f"{n}", "dcv_token": {"token": "x"}} for n in range(DEEP)]}, ())
        ),
        "^1000$",
    ),
    "instructions of Sectigo": Case(
        lambda: dcv_instructions([{"instructions": [{"domainName": "a" * 1000, "url": "u"}] * DEEP}]), "more$"
    ),
    "revocations that are owed": Case(lambda: _owed("[" * DEEP), re.escape(OWED_ANNOTATION)),
    "number in a Secret": Case(lambda: _order_of_a_secret("9" * MUCH), "False|None"),
    "shards of the replicas": Case(lambda: Assignment.read(1, "[" * DEEP), "it is nested too deeply"),
    "text of a CA": Case(lambda: redact("x" * MUCH, ["secret"]), "^x+\\.\\.\\.$"),
    "host that a CA asks for": Case(lambda: host_name("[" * MUCH) and is_token("a" * MUCH), "False"),
}


def read(name: str) -> str:
    """What is told of the input: the answer as text, or the error."""
    try:
        return str(CASES[name].read())
    except Exception as error:
        return f"{type(error).__name__}: {error}"
