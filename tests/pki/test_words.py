"""What is broken in whatever way is told of in words of our own: none of the library's, and none of Python's."""

import ast
import base64
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from csr_operator import pki
from csr_operator.pki.chain import load_bundle
from csr_operator.pki.crl import load_crl
from csr_operator.pki.csr import load_csr, profile_with
from csr_operator.pki.errors import PkiError
from csr_operator.pki.extensions import extensions_of
from csr_operator.pki.keys import load_private_key, private_key_der
from csr_operator.pki.profile import Profile
from tests.pki.crafted import WWW, crafted
from tests.pki.support import P256, RSA, authority, issue, key_of, request
from tests.pki.test_csr import EVERY_EXTENSION, EVERY_NAME

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

FOREIGN = re.compile(
    r"ParseError|asn1|Traceback|kind:|location|Rust|\bNone\b|b'|\\x|0x[0-9a-f]{6}|unsupported|InvalidVersion|codec|"
    r"does not appear|argument|object at|Error\b|Exception|invalid literal|expected|panicked|pyo3"
)
OURS = {"PkiError", "Mismatch"}


def read_request(data: bytes) -> None:
    profile_with(load_csr(data), Profile())


def read_bundle(data: bytes) -> None:
    for certificate in load_bundle(data):
        extensions_of(certificate)


def broken(der: bytes, times: int) -> Iterator[bytes]:
    """Changes of a byte, of a length, and cuts, the same in each run; those near the beginning the more often."""
    chance = random.Random(len(der))
    for _ in range(times):
        at = int(len(der) * chance.random() ** 2)
        match chance.randrange(4):
            case 0:
                yield der[:at] + bytes([chance.randrange(256)]) + der[at + 1 :]
            case 1:
                yield der[:at] + bytes([der[at] ^ 1 << chance.randrange(8)]) + der[at + 1 :]
            case 2:
                yield der[:at] + der[at + chance.randrange(1, 5) :]
            case _:
                yield der[:at] + chance.randbytes(chance.randrange(1, 4)) + der[at:]


def say(read: Callable[[bytes], object], data: bytes) -> str:
    try:
        read(data)
    except PkiError as error:
        return str(error)
    return ""


CHAIN = issue(authority(), request(EVERY_NAME))
KINDS: dict[str, tuple[Callable[[bytes], object], bytes]] = {
    "request": (read_request, request(EVERY_NAME, EVERY_EXTENSION).csr.public_bytes(Encoding.DER)),
    "plain request": (read_request, crafted(WWW)),
    "certificate": (read_bundle, CHAIN.leaf.public_bytes(Encoding.DER)),
    "PKCS 7": (read_bundle, pkcs7.serialize_certificates(list(CHAIN.certificates), Encoding.DER)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("in_pem", [False, True], ids=["DER", "PEM"])
def test_whatever_is_broken_the_words_are_ours(kind: str, in_pem: bool) -> None:
    read, der = KINDS[kind]
    label = "CERTIFICATE REQUEST" if "request" in kind else "CERTIFICATE"
    told = set()
    for data in broken(der, 600):
        if in_pem:
            text = base64.encodebytes(data).decode()
            data = f"-----BEGIN {label}-----\n{text}-----END {label}-----\n".encode()
        text = say(read, data)
        assert text.isprintable()
        assert not FOREIGN.search(text), text
        told.add(text)
    assert len(told) > 3


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"\xff\xfe-\x00-\x00",
        b"<html>",
        b"-----BEGIN CERTIFICATE REQUEST-----",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
        b"-----BEGIN CERTIFICATE REQUEST-----\n!\n-----END CERTIFICATE REQUEST-----",
        b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----",
        private_key_der(key_of(P256)),
        private_key_der(key_of(RSA)),
    ],
)
@pytest.mark.parametrize("read", [read_request, read_bundle, load_crl, load_private_key])
def test_what_is_something_else_is_told_of_in_our_words(read: Callable[[bytes], object], data: bytes) -> None:
    if read is load_private_key and data[:1] == b"\x30":
        data = data[:-1]
    text = say(read, data)
    assert text
    assert text.isprintable()
    assert not FOREIGN.search(text), text


def test_no_message_quotes_what_the_library_says() -> None:
    """An exception has a name only where its words are ours."""
    for path in Path(pki.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ExceptHandler) and node.name is not None:
                caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
                names = {ast.unparse(one) for one in caught if one is not None}
                assert names <= OURS | {"x509.DuplicateExtension"}, f"{path.name}:{node.lineno}"
