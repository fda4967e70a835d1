"""Keys of algorithms that are not accepted are refused before the library computes with them, for minutes.

None of the keys here is valid: to be refused, or to burn time, they need not be.
"""

import base64
import subprocess
import sys

import pytest

from csr_operator.pki.asn1 import INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, encode, object_identifier
from csr_operator.pki.errors import PkiError
from csr_operator.pki.keys import KeyParameters, load_private_key, private_key_pem
from tests.pki.support import ED25519, ML_DSA, P256, RSA, key_of
from tests.support.authorities import authority, credential, opaque
from tests.support.manifests import issuer, request
from tests.support.names import unique
from tests.support.site import Site

pytestmark = pytest.mark.slow("starts Python for each key that is read")

ALGORITHMS = {"DSA": "1.2.840.10040.4.1", "DH": "1.2.840.113549.1.3.1", "X9.42 DH": "1.2.840.10046.2.1"}
WORDS = "keys of this kind are not accepted: use one of RSA, ECDSA, Ed25519, ML-DSA-44, ML-DSA-65, ML-DSA-87"
BITS = 32768
LARGE = (1 << BITS) - 1
BIT_STRING, SET, UTC_TIME, VERSION = 0x03, 0x31, 0x17, 0xA0


def _sequence(*parts: bytes) -> bytes:
    return encode(SEQUENCE, b"".join(parts))


def _integer(number: int) -> bytes:
    return encode(INTEGER, number.to_bytes(number.bit_length() // 8 + 1))


def _oid(dotted: str) -> bytes:
    return encode(OBJECT_IDENTIFIER, object_identifier(dotted))


def _identifier(name: str, p: int, other: int) -> bytes:
    """The AlgorithmIdentifier: p, q, g for DSA (RFC 3279, 2.3.2), p, g for DH (PKCS #3), p, g, q for X9.42 (2.3.3)."""
    parameters = {"DSA": (p, other, 3), "DH": (p, 3), "X9.42 DH": (p, 3, other)}[name]
    return _sequence(_oid(ALGORITHMS[name]), _sequence(*map(_integer, parameters)))


def _public(name: str) -> bytes:
    return _sequence(_identifier(name, LARGE, LARGE >> 1), encode(BIT_STRING, b"\0" + _integer(LARGE // 3)))


def _explicit_curve() -> bytes:
    """A public key on a curve of its own (X9.62), over a field as large as the others'."""
    octets = LARGE.to_bytes(BITS // 8)
    field = _sequence(_oid("1.2.840.10045.1.1"), _integer(LARGE))
    curve = _sequence(*[encode(OCTET_STRING, octets)] * 2)
    point = b"\4" + octets * 2
    own = _sequence(_integer(1), field, curve, encode(OCTET_STRING, point), _integer(LARGE >> 1), _integer(1))
    return _sequence(_sequence(_oid("1.2.840.10045.2.1"), own), encode(BIT_STRING, b"\0" + point))


def _pem(label: str, der: bytes) -> str:
    return f"-----BEGIN {label}-----\n{base64.encodebytes(der).decode()}-----END {label}-----\n"


SIGNED_WITH = _sequence(_oid("1.2.840.10045.4.3.2"))  # ecdsa-with-SHA256
SIGNATURE = encode(BIT_STRING, b"\0" + b"x" * 64)


def _csr(public: bytes) -> str:
    asked = _sequence(_integer(0), _sequence(), public, encode(VERSION, b""))
    return _pem("CERTIFICATE REQUEST", _sequence(asked, SIGNED_WITH, SIGNATURE))


def _certificate(public: bytes) -> str:
    name = _sequence(encode(SET, _sequence(_oid("2.5.4.3"), encode(0x0C, b"a"))))
    validity = _sequence(encode(UTC_TIME, b"260101000000Z"), encode(UTC_TIME, b"360101000000Z"))
    version = encode(VERSION, _integer(2))
    own = _sequence(version, _integer(5), SIGNED_WITH, name, validity, name, public)
    return _pem("CERTIFICATE", _sequence(own, SIGNED_WITH, SIGNATURE))


def _private(name: str) -> str:
    """PKCS #8. The public half is 3**x mod p, which a private key does not bring along."""
    info = _sequence(_integer(0), _identifier(name, LARGE, 65537), encode(OCTET_STRING, _integer(LARGE >> 1)))
    return _pem("PRIVATE KEY", info)


READERS = {
    "csr": "from csr_operator.pki.csr import load_csr as read",
    "certificates": "from csr_operator.pki.chain import load_bundle as read",
    "certificate in the library's form": """
from cryptography.x509 import load_pem_x509_certificate
from csr_operator.pki.chain import build_chain, spki_of
from csr_operator.pki.keys import check_algorithm
from csr_operator.pki.signatures import is_self_signed
def read(data):
    certificate = load_pem_x509_certificate(data)
    assert spki_of(certificate) is None and not is_self_signed(certificate)
    check_algorithm(certificate)
""",
    "key": "from csr_operator.pki.keys import load_private_key as read",
    "client": """
import ssl
from csr_operator.plugin.http import identify
def read(data):
    identify(ssl.create_default_context(), *data.split(b"\\0"), "Secret account")
""",
}


def _told(reader: str, text: str) -> str:
    """What the reader says to the text. A process of its own: nothing else ends what the library computes."""
    program = (
        f"import sys\n{READERS[reader]}\ntry: read(sys.stdin.buffer.read())\nexcept Exception as e: print(repr(e))"
    )
    done = subprocess.run([sys.executable, "-c", program], input=text, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_public_key_of_another_algorithm_is_refused_unread(name: str) -> None:
    assert f"PkiError('the certificate signing request: {WORDS}" in _told("csr", _csr(_public(name)))
    assert f"PkiError('the certificate is refused: {WORDS}" in _told("certificates", _certificate(_public(name)))
    assert f"PkiError('{WORDS}" in _told("certificate in the library's form", _certificate(_public(name)))


def test_a_curve_is_taken_by_its_name_alone() -> None:
    assert (
        "PkiError('the key of the certificate signing request is damaged, or on a curve that is not accepted"
        in _told("csr", _csr(_explicit_curve()))
    )


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_private_key_of_another_algorithm_is_refused_unread(name: str) -> None:
    key, good = _private(name), authority("Client")
    assert f"PkiError('{WORDS}" in _told("key", key)
    assert WORDS in _told("client", f"{good.certificate}\0{key}")
    for label in ("RSA PRIVATE KEY", "EC PRIVATE KEY"):
        assert "PkiError('this is not a private key in PEM form" in _told("key", key.replace("PRIVATE KEY", label))


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_second_private_key_is_not_looked_at(name: str) -> None:
    good = authority("Client")
    assert _told("client", f"{_private(name)}{good.certificate}\0{good.key}") == ""
    assert _told("key", good.key + _private(name)[: 8 * 1024]) == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (_pem("DSA PRIVATE KEY", _integer(LARGE)), "keys of this kind are not accepted"),
        (_pem("ENCRYPTED PRIVATE KEY", _integer(1)), "is encrypted: store it without a passphrase"),
        (
            _pem("RSA PRIVATE KEY", _integer(1)).replace("\n", "\nProc-Type: 4,ENCRYPTED\nDEK-Info: A,00\n\n", 1),
            "is encrypted: store it without a passphrase",
        ),
        (_pem("OPENSSH PRIVATE KEY", _integer(1)), "not a private key in PEM form"),
        (_pem("PRIVATE KEY", _integer(1)), "not a private key in PEM form"),
        (_pem("PRIVATE KEY", _sequence(_integer(0), _integer(0))), "not a private key in PEM form"),
        (_pem("PRIVATE KEY", b"\x30\x84\xff\xff\xff\xff"), "not a private key in PEM form"),
        ("-----BEGIN PRIVATE KEY-----\n" * 500, "not a private key in PEM form"),
        ("a" * (16 * 1024 + 1), "larger than 16384 bytes"),
    ],
    ids=range(9),
)
def test_what_is_no_private_key_for_use_is_refused_with_the_reason(text: str, words: str) -> None:
    with pytest.raises(PkiError, match=words):
        load_private_key(text.encode())


@pytest.mark.parametrize("parameters", [P256, RSA, ED25519, *ML_DSA], ids=str)
def test_a_key_is_found_beside_other_blocks(parameters: KeyParameters) -> None:
    key = key_of(parameters)
    parameter = _pem("EC PARAMETERS", _oid("1.2.840.10045.3.1.7")).encode()  # as `openssl ecparam -genkey` writes it
    text = parameter + private_key_pem(key).replace(b"\n", b"\r\n")
    assert load_private_key(text).public_key() == key.public_key()


def test_the_operator_serves_others_meanwhile(site: Site) -> None:
    name, key, good = unique("www"), _private("DSA"), authority("Good")
    site.kubectl.apply(
        request(f"{name}-csr", "ca", request=_csr(_public("X9.42 DH"))),
        opaque(f"{name}-key", **{"tls.key": key}),
        request(f"{name}-key", "ca", privateKey={"secretRef": {"name": f"{name}-key"}}),
        credential(f"{name}-ca", **{"tls.crt": good.certificate, "tls.key": key}),
        credential(f"{name}-root", **{"tls.crt": good.certificate + _certificate(_public("DH")), "tls.key": good.key}),
        *(issuer(f"{name}-{which}", ca={"secretName": f"{name}-{which}"}) for which in ("ca", "root")),
        request(name, "ca"),
    )
    assert WORDS in site.wait_condition(f"{name}-csr", "Stalled", "InvalidSpec")["message"]
    assert WORDS in site.wait_condition(f"{name}-key", "Stalled", "KeyUnusable")["message"]
    for which in ("ca", "root"):
        told = site.wait_condition(f"{name}-{which}", "Ready", "Misconfigured", "issuer.csr-operator.dev")
        assert WORDS in told["message"]
    site.kubectl.wait_ready(name)
