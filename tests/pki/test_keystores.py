"""Keystores, as openssl and keytool read them."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from csr_operator.pki.chain import Chain
from csr_operator.pki.errors import PkiError
from csr_operator.pki.keys import KeyEncoding, KeyParameters
from csr_operator.pki.keystores import (
    Pkcs12Profile,
    combined_pem,
    jks_keystore,
    jks_truststore,
    pkcs12_keystore,
    pkcs12_truststore,
)
from tests.pki.support import ED25519, LEAF, ML_DSA, P256, RSA, WWW, Request, authority, issue, openssl, pem, request

PASSWORD = "correct horse: battery, 'staple'!"
# It runs for a moment only, and its words are compared.
JVM = ("-J-XX:TieredStopAtLevel=1", "-J-XX:+UseSerialGC", "-J-Dfile.encoding=UTF-8", "-J-Duser.language=en")
ROOT = authority()
CA = authority("Test Intermediate", parent=ROOT)
ALGORITHMS = pytest.mark.parametrize("parameters", [RSA, P256, ED25519], ids=lambda one: one.algorithm)


def answer(parameters: KeyParameters) -> tuple[Request, Chain]:
    asked = request(WWW, LEAF, parameters)
    return asked, issue(CA, asked)


def keytool(*arguments: str | Path, password: str = PASSWORD) -> str:
    """What keytool says; a failure is the test's. Debian has it in default-jre-headless."""
    done = subprocess.run(
        ["keytool", *JVM, *arguments, "-storepass:env", "STOREPASS"],
        env=os.environ | {"STOREPASS": password, "LC_ALL": "C.UTF-8"},
        capture_output=True,
        timeout=120,
    )
    text = done.stdout.decode() + done.stderr.decode()
    assert done.returncode == 0, text
    return text


def listing(store: Path, kind: str) -> str:
    return keytool("-list", "-v", "-keystore", store, "-storetype", kind)


@ALGORITHMS
@pytest.mark.parametrize("profile", Pkcs12Profile)
def test_openssl_reads_the_pkcs12_keystore(
    parameters: KeyParameters, profile: Pkcs12Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, chain = answer(parameters)
    store = tmp_path / "keystore.p12"
    store.write_bytes(pkcs12_keystore(chain, asked.key, PASSWORD, alias="web", profile=profile))
    monkeypatch.setenv("STOREPASS", PASSWORD)
    text = openssl("pkcs12", "-in", store, "-passin", "env:STOREPASS", "-noenc", "-info")
    expected = "PBES2, PBKDF2, AES-256-CBC" if profile is Pkcs12Profile.MODERN_2023 else "pbeWithSHA1And3-KeyTripleDES"
    assert expected in text
    assert "friendlyName: web" in text
    blocks = re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", text, re.DOTALL)
    assert [one.encode() for one in blocks] == [pem(one) for one in chain.certificates]
    public = openssl("pkey", "-pubout", stdin=text[text.index("-----BEGIN PRIVATE KEY") :].encode())
    assert public == openssl("x509", "-pubkey", "-noout", stdin=pem(chain.leaf))


@pytest.mark.slow("starts Java")
@ALGORITHMS
def test_keytool_reads_the_pkcs12_keystore_and_opens_the_key(parameters: KeyParameters, tmp_path: Path) -> None:
    asked, chain = answer(parameters)
    store = tmp_path / "keystore.p12"
    store.write_bytes(pkcs12_keystore(chain, asked.key, PASSWORD, alias="web"))
    text = listing(store, "PKCS12")
    assert "Alias name: web" in text
    assert "Entry type: PrivateKeyEntry" in text
    assert "Certificate chain length: 3" in text
    # A request can be made only with the private key.
    assert "BEGIN NEW CERTIFICATE REQUEST" in keytool("-certreq", "-keystore", store, "-alias", "web")


@pytest.mark.slow("starts Java")
@ALGORITHMS
def test_keytool_reads_the_jks_keystore_and_opens_the_key(parameters: KeyParameters, tmp_path: Path) -> None:
    asked, chain = answer(parameters)
    store = tmp_path / "keystore.jks"
    store.write_bytes(jks_keystore(chain, asked.key, PASSWORD, alias="web"))
    text = listing(store, "JKS")
    assert "Your keystore contains 2 entries" in text
    assert "Alias name: web" in text
    assert "Creation date: May 4, 2041" in text
    assert "Certificate chain length: 2" in text
    assert re.search(r"Alias name: ca\n.*\nEntry type: trustedCertEntry", text)
    asked_anew = keytool("-certreq", "-keystore", store, "-storetype", "JKS", "-alias", "web")
    request_pem = asked_anew[asked_anew.index("-----BEGIN NEW") :].encode()
    public = openssl("req", "-verify", "-noout", "-pubkey", stdin=request_pem)
    assert openssl("x509", "-pubkey", "-noout", stdin=pem(chain.leaf)).strip() in public


@pytest.mark.slow("starts Java")
@pytest.mark.parametrize("kind", ["JKS", "PKCS12"])
@pytest.mark.parametrize("alias", ["Web Server", "CA"])
def test_keytool_finds_the_key_by_any_alias(kind: str, alias: str, tmp_path: Path) -> None:
    """In capitals, which Java does not distinguish, and when it is that of the CA's entry."""
    asked, chain = answer(P256)
    write = jks_keystore if kind == "JKS" else pkcs12_keystore
    store = tmp_path / "keystore"
    store.write_bytes(write(chain, asked.key, PASSWORD, alias=alias))
    found = keytool("-list", "-v", "-keystore", store, "-storetype", kind, "-alias", alias)
    assert "Entry type: PrivateKeyEntry" in found
    assert ("Your keystore contains 2 entries" in listing(store, kind)) == (kind == "JKS")


@pytest.mark.slow("starts Java")
@pytest.mark.parametrize("kind", ["JKS", "PKCS12"])
def test_keytool_trusts_what_is_in_the_truststore(kind: str, tmp_path: Path) -> None:
    write = jks_truststore if kind == "JKS" else pkcs12_truststore
    store = tmp_path / "truststore"
    store.write_bytes(write((ROOT.certificate, authority("Second Root").certificate), PASSWORD))
    text = listing(store, kind)
    assert re.findall(r"Alias name: (.*)", text) == ["ca", "ca-1"]
    assert text.count("Entry type: trustedCertEntry") == 2
    assert "Owner: CN=Test Root, O=Example Ltd, C=DE" in text


@pytest.mark.slow("starts Java")
@pytest.mark.parametrize("kind", ["JKS", "PKCS12"])
def test_a_wrong_password_does_not_open_the_store(kind: str, tmp_path: Path) -> None:
    asked, chain = answer(P256)
    write = jks_keystore if kind == "JKS" else pkcs12_keystore
    store = tmp_path / "keystore"
    store.write_bytes(write(chain, asked.key, PASSWORD))
    with pytest.raises(AssertionError, match="password was incorrect"):
        keytool("-list", "-keystore", store, "-storetype", kind, password="wrong password")


@pytest.mark.slow("starts Java")
def test_the_longest_password_opens_the_stores(tmp_path: Path) -> None:
    asked, chain = answer(P256)
    longest = "x" * 256
    for kind, write in (("PKCS12", pkcs12_keystore), ("JKS", jks_keystore)):
        store = tmp_path / kind
        store.write_bytes(write(chain, asked.key, longest))
        text = keytool("-list", "-keystore", store, "-storetype", kind, password=longest)
        assert "PrivateKeyEntry" in text


@pytest.mark.slow("starts Java")
def test_a_self_signed_certificate_makes_a_keystore_of_one_entry(tmp_path: Path) -> None:
    chain = Chain(ROOT.certificate, (), ROOT.certificate)
    (tmp_path / "one.jks").write_bytes(jks_keystore(chain, ROOT.key, PASSWORD))
    assert "Your keystore contains 1 entry" in listing(tmp_path / "one.jks", "JKS")


def test_the_combined_pem_holds_the_key_and_the_chain_without_the_root(tmp_path: Path) -> None:
    asked, chain = answer(RSA)
    both = combined_pem(chain, asked.key, KeyEncoding.PKCS1)
    assert both.startswith(b"-----BEGIN RSA PRIVATE KEY-----\n")
    assert both.endswith(pem(chain.leaf) + pem(CA.certificate))
    (tmp_path / "combined.pem").write_bytes(both)
    assert "RSA key ok" in openssl("rsa", "-check", "-noout", "-in", tmp_path / "combined.pem")
    assert "www.example.com" in openssl("x509", "-subject", "-noout", "-in", tmp_path / "combined.pem")


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("", "keystores: the password is empty"),
        ("schlüssel", "keystores: the password has characters other than printable ASCII"),
        ("changeit\n", "keystores: the password ends with a line break, as echo and editors write one"),
        ("change\tit", "keystores: the password has characters other than printable ASCII"),
        ("x" * 257, "keystores: the password is longer than 256 characters: use a shorter one"),
        ("x" * 900_000, "keystores: the password is longer than 256 characters: use a shorter one"),
    ],
)
def test_a_password_that_java_does_not_take_or_that_is_too_long_is_refused_and_not_shown(
    password: str, words: str
) -> None:
    asked, chain = answer(P256)
    for write in (pkcs12_keystore, jks_keystore):
        with pytest.raises(PkiError, match=words) as caught:
            write(chain, asked.key, password)
        assert not password or password not in str(caught.value)
    for write_trust in (pkcs12_truststore, jks_truststore):
        with pytest.raises(PkiError, match=words):
            write_trust(chain.certificates, password)


def test_a_truststore_of_nothing_is_refused() -> None:
    for write in (pkcs12_truststore, jks_truststore):
        with pytest.raises(PkiError, match="there is no CA certificate to trust"):
            write((), PASSWORD)


@pytest.mark.parametrize("parameters", ML_DSA, ids=lambda one: one.algorithm)
def test_pkcs12_says_that_it_cannot_hold_ml_dsa_keys(parameters: KeyParameters) -> None:
    asked, chain = answer(parameters)
    with pytest.raises(PkiError, match="PKCS #12 cannot hold a key of this algorithm: use RSA, ECDSA or Ed25519"):
        pkcs12_keystore(chain, asked.key, PASSWORD)


@pytest.mark.parametrize("alias", ["", "schlüssel", "a\nb", "x" * 300])
def test_an_alias_that_jks_cannot_hold_is_refused(alias: str) -> None:
    asked, chain = answer(P256)
    with pytest.raises(PkiError, match="alias of a JKS keystore must be 1 to 255 printable ASCII characters"):
        jks_keystore(chain, asked.key, PASSWORD, alias=alias)
