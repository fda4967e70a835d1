"""What others write of us: shown without our credentials, whatever they made of them, on one line, and in short."""

import hashlib
import html
import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import assume, example, given
from hypothesis import strategies as st

from csr_acme.errors import Problem, Refused
from csr_operator.backends.acme.refusals import to_backend_error
from csr_operator.pki.keys import (
    KeyAlgorithm,
    KeyEncoding,
    KeyParameters,
    PrivateKey,
    generate,
    private_key_der,
    private_key_pem,
)
from csr_operator.plugin.text import MOST_SHOWN, mask, redact

ENCODINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON, not in ASCII": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "JSON with slashes escaped": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "JSON in JSON": lambda text: json.dumps(json.dumps(text))[3:-3],
    "URL": lambda text: quote(text, safe=""),
    "URL with slashes": quote,
    "URL, digits in lower case": lambda text: "".join(
        part.lower() if n else part for n, part in enumerate([""] + [f"%{b:02X}" for b in text.encode()])
    ),
    "form": quote_plus,
    "URL in a URL": lambda text: quote(quote(text, safe=""), safe=""),
    "repr": lambda text: repr(text)[1:-1],
    "repr of octets": lambda text: repr(text.encode())[2:-1],
    "HTML": html.escape,
    "HTML by numbers": lambda text: "".join(f"&#x{ord(c):X};" for c in text),
    "Base64": lambda text: b64encode(text.encode()).decode(),
    "Base64 for URLs": lambda text: urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "Basic": lambda text: b64encode(f"user:{text}".encode()).decode(),
    "Basic of a form": lambda text: b64encode(f"me:{quote_plus(text)}".encode()).decode(),
    "Base64, in the midst, for URLs": lambda text: urlsafe_b64encode(f"ab{text}c".encode()).decode(),
    "Base64, in the midst, in a URL": lambda text: quote(b64encode(f"é{text}ü".encode()).decode(), safe=""),
}
# As credentials are: printable, at least as long as anybody would call one, and not of asterisks alone.
CREDENTIALS = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x1F9FF, exclude_categories=("C", "Z", "M")), min_size=6, max_size=40
).filter(lambda text: text.isprintable() and len(set(text) - set("*")) > 3)
AROUND = st.sampled_from(["", 'the password "', "<b>", "{'password': '", "Authorization: Basic ", "?key=", "a\nb: "])


@given(CREDENTIALS, st.sampled_from(sorted(ENCODINGS)), AROUND, st.text(max_size=50))
@example('xyz"quote', "JSON", '{"password": "', '"}')
@example("pass\\word'\"€😀", "JSON in JSON", "", "")
def test_no_credential_is_shown_in_any_encoding(secret: str, encoding: str, before: str, after: str) -> None:
    echoed = ENCODINGS[encoding](secret)
    said = redact(f"{before}{echoed} {after}", [secret])
    assert secret not in said
    if len(set(echoed)) > 4:  # else it may stand in `after` by chance
        assert echoed not in said
    assert "***" in said


@given(CREDENTIALS, st.integers(0, 12_000), st.integers(0, 3_000), st.sampled_from(sorted(ENCODINGS)))
def test_nothing_is_cut_before_it_is_hidden(secret: str, blanks: int, words: int, encoding: str) -> None:
    assume("w" not in secret)
    echoed = ENCODINGS[encoding](secret)
    said = redact(" " * blanks + "w" * words + " " + echoed * 3, [secret])
    assert secret[:6] not in said.replace("***", "") or secret[:6] in "w***"
    assert len(said) <= MOST_SHOWN


@given(CREDENTIALS, st.integers(0, 3_000), st.integers(0, 400), st.sampled_from(sorted(ENCODINGS)))
def test_no_part_of_a_credential_is_left_where_a_text_was_cut(
    secret: str, words: int, length: int, encoding: str
) -> None:
    assume("w" not in secret)
    text = "w" * words + " " + ENCODINGS[encoding](secret) * 3
    said = redact(text[: words + length], [secret], cut=True)
    assert secret[:6] not in said.replace("***", "") or secret[:6] in "w***"


def test_no_part_of_a_credential_is_left_where_the_acme_client_cut_what_the_ca_says() -> None:
    secret = "-".join(f"part{n:03}" for n in range(40))
    for before in ("w" * 980, "w" * 1980, "w" * 8180, "w" * 9980, " " * 19_980, f"{secret} " * 31, f"{secret} " * 28):
        problem = Problem.parse({"type": "urn:ietf:params:acme:error:malformed", "detail": f"{before}{secret}"})
        assert "part000" not in str(to_backend_error(Refused(problem, 400), datetime.now(UTC), [secret]))


@given(st.text(), st.lists(st.text(max_size=20) | st.binary(max_size=20), max_size=4))
@example("\N{RIGHT-TO-LEFT OVERRIDE}x\x1b[31m\r\n2026-01-01 ERROR forged\N{ZERO WIDTH SPACE}", [])
@example("\ud800", ["\udcff", b"\xff\xfe"])
def test_any_text_is_one_printable_line(text: str, secrets: list[str | bytes]) -> None:
    said = redact(text, secrets)
    assert said.isprintable()
    assert len(said) <= MOST_SHOWN


@pytest.mark.parametrize("blank", ["\x00", "\n", "\t", "\N{ZERO WIDTH SPACE}", "   "])
def test_what_cannot_be_seen_hides_no_credential(blank: str) -> None:
    assert "pass word 1" not in redact(f"it is pass{blank}word 1!", ["pass word 1"])


def test_octets_are_hidden_as_whoever_takes_them_for_text_shows_them() -> None:
    secret = b"\xff\xfekey-of-octets\x01"
    for text in (secret.decode(errors="replace"), repr(secret), quote(secret), b64encode(b"u:" + secret).decode()):
        said = redact(f"not {text}!", [secret])
        assert "key-of-octets" not in said
        assert b64encode(b"u:" + secret).decode() not in said


def test_a_line_of_a_key_is_hidden() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    line = pem.decode().splitlines()[1]
    assert redact(f"no key: {line}", [pem]) == "no key: ***"
    assert line not in redact(f"no key: {json.dumps(pem.decode())}", [pem])


def test_a_very_short_secret_is_a_word() -> None:
    assert redact("12 is not a PIN in row 1247: 12", ["12"]) == "*** is not a PIN in row 1247: ***"


@pytest.mark.parametrize("other", [None, [], {"a": {}}, b"octets"])
def test_what_is_no_text_is_not_shown(other: Any) -> None:
    assert redact(other) == ""


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("\\" * 1_000_000, "\\" * 20 + "x"),
        ("%25" * 300_000, "%25" * 30 + "x"),
        ("A" * 1_000_000, "A" * 20 + "x"),
        ("\\u005c" * 200_000, "\\u005c" * 30 + "x"),
        ("&amp;" * 200_000, "&amp;" * 1000 + "x"),
        ('é"\\' * 300_000, 'é"\\' * 10_000),
    ],
)
def test_no_text_takes_long(text: str, secret: str) -> None:
    assert len(redact(text, [secret])) <= MOST_SHOWN  # what reads a text in each possible way would never end


def test_masking_leaves_the_rest_as_it_is() -> None:
    assert mask("line 1\nkey=abcdef&x=%20\n", ["abcdef"]) == "line 1\nkey=***&x=%20\n"


KEY = private_key_pem(generate(KeyParameters(KeyAlgorithm.ECDSA)), KeyEncoding.PKCS8).decode()
ENCODED = KEY.split("\n")[1]


@pytest.mark.parametrize(
    "text",
    [
        KEY,
        f"cannot read {KEY}: try another",
        repr(KEY),
        quote(KEY),
        quote_plus(KEY),
        KEY.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"),
        KEY[: len(KEY) // 2],
        "x" * 8100 + KEY,
        KEY + KEY,
    ],
    ids=["alone", "in a text", "printed", "in a URL", "in a form", "encrypted", "cut", "at the end", "twice"],
)
def test_no_private_key_is_shown_that_nobody_knows_of(text: str) -> None:
    """As where a backend's library says what it could not read."""
    assert ENCODED[:16] not in redact(text)
    assert "PRIVATE" not in redact(text)


def _encoded(key: PrivateKey, encoding: KeyEncoding) -> str:
    return b64encode(private_key_der(key, encoding)).decode()


EC_KEY, RSA_KEY = (generate(KeyParameters(algorithm)) for algorithm in (KeyAlgorithm.ECDSA, KeyAlgorithm.RSA))
IN_BASE64 = {
    "PKCS #8": _encoded(EC_KEY, KeyEncoding.PKCS8),
    "PKCS #8 of RSA": _encoded(RSA_KEY, KeyEncoding.PKCS8),
    "PKCS #8 of Ed25519": _encoded(generate(KeyParameters(KeyAlgorithm.ED25519)), KeyEncoding.PKCS8),
    "SEC 1": _encoded(EC_KEY, KeyEncoding.PKCS1),
    "PKCS #1": _encoded(RSA_KEY, KeyEncoding.PKCS1),
    "PEM": b64encode(KEY.encode()).decode(),
    "PEM after a certificate": b64encode(f"-----BEGIN CERTIFICATE-----\n{'A' * 64}\n{KEY}".encode()).decode(),
}


@pytest.mark.parametrize("name", IN_BASE64)
def test_no_private_key_in_base64_is_shown_that_nobody_knows_of(name: str) -> None:
    text = IN_BASE64[name]
    lines = "\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    url = text.replace("+", "-").replace("/", "_").rstrip("=")
    for form in (text, lines, repr(lines), json.dumps({"key": lines}), url):
        shown = redact(f"cannot read <{form}>: try another")
        assert shown.startswith("cannot read <"), shown
        assert shown.endswith(">: try another"), shown
        for at in range(0, len(form) - 12, 12):
            assert form[at : at + 12] not in shown


@pytest.mark.parametrize("written", [json.dumps, repr, lambda key: json.dumps({"body": json.dumps(key)})])
def test_no_private_part_of_a_json_web_key_is_shown(written: Callable[[object], str]) -> None:
    private, public = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI", "usWxHK2PmfnHKwXPS54m0kTcGJ90UiglWiGahtagnv8"
    shown = redact(written({"kty": "EC", "crv": "P-256", "x": public, "d": private}))
    assert private not in shown
    assert public in shown


def test_certificates_requests_and_digests_are_shown_as_they_are() -> None:
    csr = x509.CertificateSigningRequestBuilder(x509.Name([])).sign(ec.generate_private_key(ec.SECP256R1()), SHA256())
    shown = b64encode(csr.public_bytes(Encoding.DER)).decode()
    for text in (shown, "-----BEGIN CERTIFICATE----- " + shown, hashlib.sha256(b"").hexdigest(), "M" * 300):
        assert redact(text) == text


def test_what_is_around_a_private_key_is_shown() -> None:
    assert redact(f"cannot read {KEY} as a key: see -----BEGIN CERTIFICATE-----") == (
        "cannot read *** as a key: see -----BEGIN CERTIFICATE-----"
    )
