"""Keystores and other forms of key and chain in the Secret, as openssl and keytool read them."""

import base64
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from devcluster import ControlPlane
from tests.support.audit import writes
from tests.support.authorities import opaque
from tests.support.kubectl import condition, wait_until
from tests.support.manifests import issuer, request
from tests.support.openssl import openssl, public_key, split
from tests.support.site import REQUEST, Site

PASSWORD = "correct horse: battery, 'staple'!"
RENEW = "csr-operator.dev/renew"
# It runs for a moment only, and its words are compared.
JVM = ("-J-XX:TieredStopAtLevel=1", "-J-XX:+UseSerialGC", "-J-Duser.language=en")
KEYTOOL = {"p12": "PKCS12", "jks": "JKS"}
REF = {"name": "passwords"}
ALL: dict[str, Any] = {
    "keystores": {
        "pkcs12": {"create": True, "alias": "Web Server", "passwordSecretRef": REF},
        "jks": {"create": True, "passwordSecretRef": REF},
    },
    "additionalOutputFormats": [{"type": "DER"}, {"type": "CombinedPEM"}],
}
STORES = {"keystore.p12", "truststore.p12", "keystore.jks", "truststore.jks"}
PLAIN = {"tls.crt", "tls.key", "ca.crt"}


@pytest.fixture(scope="module", autouse=True)
def passwords(site: Site) -> None:
    """The Secret `passwords`, and the issuer `intermediate` below `ca`."""
    site.kubectl.apply(
        opaque("passwords", password=PASSWORD),
        request("intermediate", "ca", commonName="Test Intermediate", isCA=True),
        issuer("intermediate", ca={"secretName": "intermediate-tls"}),
    )
    site.kubectl.wait_ready("intermediate", kind="issuer")


def _binary(site: Site, secret: str) -> dict[str, bytes]:
    return {key: base64.b64decode(value) for key, value in site.kubectl.get("secret", secret)["data"].items()}


@dataclass(frozen=True, slots=True)
class Files:
    """The data of a Secret as files, and as text where it is PEM."""

    folder: Path

    def path(self, name: str) -> Path:
        return self.folder / name

    def text(self, name: str) -> str:
        return self.path(name).read_text()

    def openssl_reads(self, name: str, password: str = PASSWORD) -> str:
        command = ("openssl", "pkcs12", "-in", self.path(name), "-passin", "env:STOREPASS", "-noenc", "-info")
        return _run(password, *command)

    def keytool_reads(self, name: str, *arguments: str, password: str = PASSWORD) -> str:
        store = ("-keystore", self.path(name), "-storetype", KEYTOOL[name.partition(".")[2]])
        return _run(password, "keytool", *JVM, "-list", "-v", *store, "-storepass:env", "STOREPASS", *arguments)


def _run(password: str, *command: str | Path) -> str:
    """What it prints, its errors included; the password is in its environment."""
    done = subprocess.run(
        command,
        env=os.environ | {"STOREPASS": password, "LC_ALL": "C.UTF-8"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def _files(site: Site, secret: str, folder: Path) -> Files:
    for name, value in _binary(site, secret).items():
        (folder / name).write_bytes(value)
    return Files(folder)


@pytest.fixture(scope="module")
def files(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Files:
    """What a request for all that there is got of the intermediate CA."""
    site.kubectl.apply(request("all", "intermediate", **ALL))
    site.kubectl.wait_ready("all")
    return _files(site, "all-tls", tmp_path_factory.mktemp("all"))


def test_everything_that_was_asked_for_is_there(files: Files) -> None:
    assert {path.name for path in files.folder.iterdir()} == {*PLAIN, *STORES, "key.der", "tls-combined.pem"}


def test_openssl_reads_the_pkcs12_stores(files: Files) -> None:
    text = files.openssl_reads("keystore.p12")
    assert "PBES2, PBKDF2, AES-256-CBC" in text
    assert "friendlyName: Web Server" in text
    assert split(text) == [*split(files.text("tls.crt")), *split(files.text("ca.crt"))]
    key = text[text.index("-----BEGIN PRIVATE KEY") : text.index("-----END PRIVATE KEY")]
    key += "-----END PRIVATE KEY-----\n"
    assert public_key(key) == public_key(files.text("tls.key"))
    assert split(files.openssl_reads("truststore.p12")) == split(files.text("ca.crt"))


@pytest.mark.parametrize(("store", "alias"), [("keystore.p12", "Web Server"), ("keystore.jks", "certificate")])
def test_keytool_opens_the_keystores(files: Files, store: str, alias: str) -> None:
    text = files.keytool_reads(store, "-alias", alias)
    assert "Entry type: PrivateKeyEntry" in text
    assert "Owner: CN=Test Intermediate" in text
    assert "DNSName: all.example.com" in text


@pytest.mark.parametrize("store", ["truststore.p12", "truststore.jks"])
def test_keytool_trusts_the_root_alone(files: Files, store: str) -> None:
    text = files.keytool_reads(store)
    assert text.count("Entry type: trustedCertEntry") == 1
    assert "Owner: CN=Test Root" in text


def test_der_and_combined_pem_hold_the_same_key(files: Files) -> None:
    assert openssl("pkey", "-inform", "DER", "-in", files.path("key.der"), "-pubout") == public_key(
        files.text("tls.key")
    )
    assert files.text("tls-combined.pem") == files.text("tls.key") + files.text("tls.crt")


def test_the_legacy_profile_is_for_what_reads_nothing_else(site: Site, unique_name: str, tmp_path: Path) -> None:
    store = {"create": True, "profile": "LegacyDES", "passwordSecretRef": REF}
    site.kubectl.apply(request(unique_name, "ca", keystores={"pkcs12": store}))
    site.kubectl.wait_ready(unique_name)
    text = _files(site, f"{unique_name}-tls", tmp_path).openssl_reads("keystore.p12")
    assert "pbeWithSHA1And3-KeyTripleDES-CBC" in text
    assert "MAC: sha1" in text
    assert "friendlyName: certificate" in text


def _change(site: Site, name: str, **spec: Any) -> None:
    site.kubectl("patch", REQUEST, name, "--type=merge", "-p", json.dumps({"spec": spec}))


def _wait_keys(site: Site, name: str, keys: set[str]) -> dict[str, bytes]:
    def probe() -> dict[str, bytes] | None:
        data = _binary(site, f"{name}-tls")
        return data if data.keys() == keys else None

    return wait_until(f"the Secret of {name} holds {keys}", probe)


def test_what_is_no_longer_asked_for_goes_and_comes_back_with_the_same_certificate(
    site: Site, unique_name: str
) -> None:
    site.kubectl.apply(request(unique_name, "ca", **ALL))
    site.kubectl.wait_ready(unique_name)
    before = _binary(site, f"{unique_name}-tls")

    _change(site, unique_name, keystores={"jks": {"create": False}}, additionalOutputFormats=[{"type": "DER"}])
    fewer = _wait_keys(site, unique_name, {*PLAIN, "keystore.p12", "truststore.p12", "key.der"})
    _change(site, unique_name, keystores=None, additionalOutputFormats=None)
    plain = _wait_keys(site, unique_name, PLAIN)
    _change(site, unique_name, **ALL)
    after = _wait_keys(site, unique_name, set(before))

    kept = {key: before[key] for key in PLAIN}
    assert plain == kept
    assert kept.items() <= fewer.items()
    assert kept.items() <= after.items()
    assert site.status(unique_name)["revision"] == 1


def test_an_edited_store_heals_with_the_same_certificate(site: Site, unique_name: str, tmp_path: Path) -> None:
    site.kubectl.apply(request(unique_name, "ca", **ALL))
    site.kubectl.wait_ready(unique_name)
    before = _binary(site, f"{unique_name}-tls")
    edited = dict.fromkeys((*STORES, "key.der", "tls-combined.pem"), "eA==")
    site.kubectl("patch", "secret", f"{unique_name}-tls", "--type=merge", "-p", json.dumps({"data": edited}))

    def healed() -> bool:
        return b"x" not in _binary(site, f"{unique_name}-tls").values()

    wait_until("all of it is there again", healed)
    files = _files(site, f"{unique_name}-tls", tmp_path)
    assert split(files.openssl_reads("keystore.p12"))[:1] == split(before["tls.crt"].decode())
    after = _binary(site, f"{unique_name}-tls")
    same = {*PLAIN, "key.der", "tls-combined.pem"}
    assert {key: after[key] for key in same} == {key: before[key] for key in same}
    assert site.status(unique_name)["revision"] == 1


def test_another_alias_profile_or_password_secret_is_written_at_once(
    site: Site, unique_name: str, tmp_path: Path
) -> None:
    site.kubectl.apply(opaque(f"{unique_name}-pw", other="another one"), request(unique_name, "ca", **ALL))
    site.kubectl.wait_ready(unique_name)
    before = _binary(site, f"{unique_name}-tls")

    ref = {"name": f"{unique_name}-pw", "key": "other"}
    _change(
        site, unique_name, keystores={"pkcs12": {"alias": "renamed", "profile": "LegacyDES", "passwordSecretRef": ref}}
    )

    def rewritten() -> bool:
        return _binary(site, f"{unique_name}-tls")["keystore.p12"] != before["keystore.p12"]

    wait_until("the keystore is another", rewritten)
    text = _files(site, f"{unique_name}-tls", tmp_path).openssl_reads("keystore.p12", "another one")
    assert "friendlyName: renamed" in text
    assert "TripleDES" in text
    after = _binary(site, f"{unique_name}-tls")
    assert {key: after[key] for key in PLAIN} == {key: before[key] for key in PLAIN}
    assert site.status(unique_name)["revision"] == 1


def test_a_changed_password_is_taken_by_the_next_renewal_in_one_write(
    site: Site, cluster: ControlPlane, unique_name: str, tmp_path: Path
) -> None:
    own = {"passwordSecretRef": {"name": f"{unique_name}-pw"}}
    spec = {**ALL, "keystores": {kind: {**store, **own} for kind, store in ALL["keystores"].items()}}
    site.kubectl.apply(opaque(f"{unique_name}-pw", password="the first"), request(unique_name, "ca", **spec))
    site.kubectl.wait_ready(unique_name)
    site.kubectl.apply(opaque(f"{unique_name}-pw", password="the second"))
    before = len(writes(cluster, site.kubectl.namespace))

    site.kubectl("annotate", REQUEST, unique_name, f"{RENEW}=now")
    site.wait_status(unique_name, revision=2)

    site.settle()
    after = writes(cluster, site.kubectl.namespace)[before:]
    assert [call.resource for call in after if call.name in (unique_name, f"{unique_name}-tls")] == [
        "secrets",
        "certificaterequests/status",
    ]
    files = _files(site, f"{unique_name}-tls", tmp_path)
    leaf = split(files.text("tls.crt"))[0]
    assert split(files.openssl_reads("keystore.p12", "the second"))[0] == leaf
    assert "PrivateKeyEntry" in files.keytool_reads("keystore.jks", password="the second")
    assert openssl("pkey", "-inform", "DER", "-in", files.path("key.der"), "-pubout") == public_key(leaf)
    assert files.text("tls-combined.pem") == files.text("tls.key") + files.text("tls.crt")


UNUSABLE: dict[str, tuple[dict[str, str] | None, str, str]] = {
    "no-secret": (None, "ReferenceMissing", "/pw-no-secret does not exist: create it"),
    "no-key": ({"other": PASSWORD}, "ReferenceMissing", "/pw-no-key has no password: add it"),
    "empty": ({"password": ""}, "ReferenceMissing", "/pw-empty: password is empty: write it"),
    "line-break": ({"password": "fluffy-bunny\n"}, "PasswordUnusable", "ends with a line break, as echo and editors"),
    "long": ({"password": "fluffy-" * 37}, "PasswordUnusable", "is longer than 256 characters: use a shorter one"),
    "umlaut": ({"password": "fluffy-bünny"}, "PasswordUnusable", "characters other than printable ASCII"),
}


def test_a_password_that_cannot_be_used_is_told_of_and_a_good_one_taken(site: Site) -> None:
    """Before the CA is asked."""

    def asked() -> float:
        return site.operator.metric("csr_operator_ca_calls_total", backend="ca", call="submit")

    before = asked()
    site.kubectl.apply(*(opaque(f"pw-{case}", **data) for case, (data, _, _) in UNUSABLE.items() if data is not None))
    for case in UNUSABLE:
        store = {"create": True, "passwordSecretRef": {"name": f"pw-{case}"}}
        site.kubectl.apply(request(f"unusable-{case}", "ca", keystores={"jks": store}))
    for case, (data, reason, words) in UNUSABLE.items():
        told = site.wait_condition(f"unusable-{case}", "Stalled" if data is not None else "Reconciling", reason)
        assert told["message"].startswith("spec.keystores.jks.passwordSecretRef: ")
        assert words in told["message"]
        assert "fluffy" not in json.dumps(site.kubectl.get(REQUEST, f"unusable-{case}"))
        assert site.kubectl.get("secret", f"unusable-{case}-tls") == {}
    assert asked() == before
    assert "fluffy" not in site.operator.log.read_text()

    site.kubectl.apply(*(opaque(f"pw-{case}", password=PASSWORD) for case in UNUSABLE))
    site.kubectl.wait_ready(*(f"unusable-{case}" for case in UNUSABLE), seconds=90)


def test_a_password_that_is_missing_leaves_the_certificate_that_is_there(site: Site, unique_name: str) -> None:
    site.kubectl.apply(request(unique_name, "ca"))
    site.kubectl.wait_ready(unique_name)
    before = site.kubectl.get("secret", f"{unique_name}-tls")

    _change(site, unique_name, keystores={"jks": {"create": True, "passwordSecretRef": {"name": f"{unique_name}-pw"}}})

    site.wait_condition(unique_name, "Reconciling", "ReferenceMissing")
    assert condition(site.kubectl.get(REQUEST, unique_name), "Ready")["status"] == "True"
    assert site.kubectl.get("secret", f"{unique_name}-tls") == before
    site.kubectl.apply(opaque(f"{unique_name}-pw", password=PASSWORD))
    _wait_keys(site, unique_name, {*PLAIN, "keystore.jks", "truststore.jks"})
    assert site.wait_status(unique_name, revision=1)["serialNumber"]


def test_a_key_that_fits_no_pkcs12_file_fits_a_jks(site: Site, unique_name: str) -> None:
    jks = {"create": True, "passwordSecretRef": REF}
    site.kubectl.apply(request(unique_name, "ca", privateKey={"algorithm": "ML-DSA-44"}, keystores={"jks": jks}))
    site.kubectl.wait_ready(unique_name)
    assert _binary(site, f"{unique_name}-tls")["keystore.jks"].startswith(b"\xfe\xed\xfe\xed")
