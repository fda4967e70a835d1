"""What takes long to look at is refused in words, or looked at beside everything else: nobody waits for it."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from devcluster import ControlPlane
from tests.support.authorities import opaque
from tests.support.kubectl import condition, wait_until
from tests.support.manifests import issuer, request
from tests.support.names import unique
from tests.support.site import REQUEST, Site, running_site

KEY = Ed25519PrivateKey.generate()


def _others_are_served(site: Site) -> None:
    name = unique("other")
    site.kubectl.apply(request(name, "ca"))
    site.kubectl.wait_ready(name)
    assert site.operator.get("/healthz") == "ok\n"


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(
    subject: str, issuer: str, key: CertificatePublicKeyTypes, *extensions: x509.ExtensionType
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(_name(issuer), _name(subject), key, x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=1))
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(KEY, None)


def _pem(*certificates: x509.Certificate) -> str:
    return "".join(one.public_bytes(Encoding.PEM).decode() for one in certificates)


def _chain(key: CertificatePublicKeyTypes, names: int, constraints: int) -> str:
    """A leaf and the CA above it, which has to be compared with each name of the leaf."""
    wanted = x509.SubjectAlternativeName([x509.DNSName(f"n{n}.a") for n in range(names)])
    limits = x509.NameConstraints([x509.DNSName(f"c{n}.b") for n in range(constraints)], None)
    basic = x509.BasicConstraints(ca=True, path_length=None)
    return _pem(_certificate("leaf", "CA", key, wanted), _certificate("CA", "CA", KEY.public_key(), basic, limits))


@pytest.mark.parametrize(
    ("names", "constraints", "words"),
    [
        (3000, 10, "there are more than 2000 alternative names"),
        (10, 3000, "has more than 1000 of them"),
        (3000, 3000, "has more than 1000 of them"),
        (12_000, 9, "it consists of more than 10000 values"),
        (1900, 900, "does not allow"),
    ],
)
def test_names_and_constraints_without_end(site: Site, names: int, constraints: int, words: str) -> None:
    """As in Go's CVE-2025-58187; by somebody who may only make requests."""
    name = f"chain-{names}-{constraints}"
    site.kubectl.apply(issuer("person", manual={}), request(name, "person"))
    site.wait_condition(name, "Reconciling", "ActionRequired")
    csr = x509.load_pem_x509_csr(site.status(name)["csr"].encode())
    text = _chain(csr.public_key(), names, constraints)
    patch = json.dumps({"metadata": {"annotations": {"csr-operator.dev/import": text}}})
    site.kubectl("patch", REQUEST, name, "--type=merge", "--patch-file=/dev/stdin", stdin=patch)

    def refused() -> str:
        return str(condition(site.kubectl.get(REQUEST, name), "Reconciling").get("message", ""))

    wait_until("it is refused", lambda: "what was imported is refused" in refused())
    assert words in refused()
    _others_are_served(site)


def test_a_ca_with_constraints_without_end(site: Site) -> None:
    key = Ed25519PrivateKey.generate()
    text = _chain(key.public_key(), 30_000, 5_000)
    site.kubectl("create", "-f", "-", stdin=json.dumps(opaque("endless", **{"tls.crt": text, "tls.key": "x"})))
    site.kubectl.apply(issuer("endless", ca={"secretName": "endless"}))
    told = site.wait_condition("endless", "Ready", "Misconfigured", "issuer.csr-operator.dev")
    assert told["status"] == "False"
    _others_are_served(site)


def test_names_that_take_long_to_convert_and_rules_without_end(site: Site) -> None:
    rules = [{"name": f"r{n}", "dnsNames": {"suffixes": [f"s{n}-{m}.example" for m in range(100)]}} for n in range(50)]
    site.kubectl("create", "-f", "-", stdin=json.dumps(issuer("many-rules", selfSigned={}, policy={"rules": rules})))
    site.kubectl.wait_ready("many-rules", kind="issuer.csr-operator.dev")
    for number in range(8):
        names = [f"{'büro-für-grüße' * 3}{number}-{n}.übung.example" for n in range(1000)]
        big = request(f"idn-{number}", "many-rules", dnsNames=names)
        site.kubectl("create", "-f", "-", stdin=json.dumps(big))
    _others_are_served(site)
    for number in range(8):
        told = site.wait_condition(f"idn-{number}", "Stalled", "PolicyDenied")
        assert "and 997 more" in told["message"]
    _others_are_served(site)
    assert site.operator.metric("csr_operator_loop_lag_seconds_count") > 0


@pytest.fixture(scope="module")
def strict(
    cluster: ControlPlane, operator_credentials: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """With an operator that fails where it does what takes long on its event loop."""
    with running_site(cluster, operator_credentials, tmp_path_factory.mktemp("strict"), strict=True) as site:
        yield site


@pytest.mark.parametrize("key", ["made", "brought"])
@pytest.mark.parametrize("policy", [None, {"rules": [{"dnsNames": {"suffixes": ["example"]}}]}])
def test_names_are_read_again_beside_the_loop_before_a_ca_is_asked(
    strict: Site, key: str, policy: dict[str, Any] | None
) -> None:
    """Also where hundreds of other requests came between, so that what was read of this one is forgotten."""
    name = f"many-{key}-{'rules' if policy else 'free'}"
    fields: dict[str, Any] = {"privateKey": {"algorithm": "Ed25519"}}
    if key == "brought":
        pem = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        strict.kubectl.apply(opaque(f"{name}-key", **{"tls.key": pem}))
        fields = {"privateKey": {"secretRef": {"name": f"{name}-key"}}}
    names = [f"{'büro-für-grüße' * 2}-{n}.übung.example" for n in range(1000)]
    rules: dict[str, Any] = {"policy": policy} if policy else {}
    made = issuer(name, ca={"secretName": "root-tls"}, **rules)
    for obj in (made, request(name, name, dnsNames=names, **fields)):
        strict.kubectl("create", "-f", "-", stdin=json.dumps(obj))
    strict.kubectl.wait_ready(name)
    assert "on the event loop" not in strict.operator.log.read_text()


def test_keystores_are_made_beside_the_loop(strict: Site) -> None:
    store = {"create": True, "passwordSecretRef": {"name": "stores-pw"}}
    strict.kubectl.apply(
        opaque("stores-pw", password="x" * 256), request("stores", "ca", keystores={"pkcs12": store, "jks": store})
    )
    strict.kubectl.wait_ready("stores")
    strict.kubectl("patch", "secret", "stores-tls", "--type=merge", '--patch={"data": {"keystore.jks": null}}')
    wait_until("it is made again", lambda: "keystore.jks" in strict.kubectl.get("secret", "stores-tls")["data"])
    assert "on the event loop" not in strict.operator.log.read_text()


def test_a_password_without_end_is_refused(site: Site) -> None:
    site.kubectl("create", "-f", "-", stdin=json.dumps(opaque("endless-pw", password="x" * 900_000)))
    store = {"create": True, "passwordSecretRef": {"name": "endless-pw"}}
    site.kubectl.apply(*(request(f"endless-{n}", "ca", keystores={"pkcs12": store, "jks": store}) for n in range(8)))
    for n in range(8):
        told = site.wait_condition(f"endless-{n}", "Stalled", "PasswordUnusable")
        assert told["message"] == (
            f"spec.keystores.pkcs12.passwordSecretRef: password in Secret {site.kubectl.namespace}/endless-pw: the "
            "password is longer than 256 characters: use a shorter one"
        )
    _others_are_served(site)


def test_a_policy_of_names_that_take_long_to_convert(site: Site) -> None:
    exact = [[f"{'büro-für-grüße' * 2}{n}-{m}.example" for m in range(100)] for n in range(50)]
    rules = [{"dnsNames": {"exact": names}, "commonNames": {"exact": names}} for names in exact]
    big = issuer("many-names", selfSigned={}, policy={"rules": rules})
    site.kubectl("create", "-f", "-", stdin=json.dumps(big))
    _others_are_served(site)
    site.kubectl.wait_ready("many-names", kind="issuer.csr-operator.dev")
