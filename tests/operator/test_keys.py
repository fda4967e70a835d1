"""Keys that the operator makes, of every kind, and keys of the user's own in a Secret."""

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.support.authorities import opaque
from tests.support.certificates import assert_whole
from tests.support.kubectl import condition, wait_until
from tests.support.manifests import issuer, request
from tests.support.openssl import openssl, public_key, verify
from tests.support.site import REQUEST, Site, decoded

RENEW = "csr-operator.dev/renew"
KEYS: dict[str, tuple[dict[str, Any], type, int | None]] = {
    **{f"rsa-{n}": ({"algorithm": "RSA", "size": n}, rsa.RSAPrivateKey, n) for n in (2048, 3072, 4096)},
    **{f"ecdsa-{n}": ({"algorithm": "ECDSA", "size": n}, ec.EllipticCurvePrivateKey, n) for n in (256, 384, 521)},
    "rsa-2048-pkcs8": ({"algorithm": "RSA", "encoding": "PKCS8"}, rsa.RSAPrivateKey, 2048),
    "ecdsa-256-pkcs8": ({"encoding": "PKCS8"}, ec.EllipticCurvePrivateKey, 256),
    "ed25519": ({"algorithm": "Ed25519"}, ed25519.Ed25519PrivateKey, None),
    "ml-dsa-44": ({"algorithm": "ML-DSA-44"}, mldsa.MLDSA44PrivateKey, None),
    "ml-dsa-65": ({"algorithm": "ML-DSA-65"}, mldsa.MLDSA65PrivateKey, None),
    "ml-dsa-87": ({"algorithm": "ML-DSA-87"}, mldsa.MLDSA87PrivateKey, None),
}
TRADITIONAL: dict[type, str] = {rsa.RSAPrivateKey: "RSA PRIVATE KEY", ec.EllipticCurvePrivateKey: "EC PRIVATE KEY"}
OWN_KEYS = {"rsa": "RSA", "ec": "EC", "ed25519": "ED25519"}


@pytest.fixture(scope="module")
def made(site: Site) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """A request for each of KEYS, and one for a self-signed root with an ML-DSA key, with their Secrets."""
    site.kubectl.apply(
        *(request(name, "ca", privateKey=spec) for name, (spec, _, _) in KEYS.items()),
        request("root-of-ml-dsa", "root", commonName="Root", isCA=True, privateKey={"algorithm": "ML-DSA-65"}),
    )
    site.kubectl.wait_ready(*KEYS, "root-of-ml-dsa", seconds=90)
    requests = {r["metadata"]["name"]: r for r in site.kubectl.list(REQUEST)}
    secrets = {s["metadata"]["name"]: s for s in site.kubectl.list("secrets")}
    return {name: (requests[name], secrets[f"{name}-tls"]) for name in (*KEYS, "root-of-ml-dsa")}


@pytest.mark.parametrize("name", KEYS)
def test_a_key_is_made_as_it_is_asked_for(
    made: dict[str, tuple[dict[str, Any], dict[str, Any]]], name: str, tmp_path: Path
) -> None:
    spec, kind, size = KEYS[name]
    assert_whole(*made[name])
    data = decoded(made[name][1])
    key = load_pem_private_key(data["tls.key"].encode(), password=None)
    assert isinstance(key, kind)
    assert getattr(key, "key_size", None) == size
    header = TRADITIONAL.get(kind, "PRIVATE KEY") if spec.get("encoding") != "PKCS8" else "PRIVATE KEY"
    assert data["tls.key"].startswith(f"-----BEGIN {header}-----\n")
    if name.startswith("ml-dsa"):  # OpenSSL knows them since 3.5
        leaf, ca = (x509.load_pem_x509_certificate(data[part].encode()) for part in ("tls.crt", "ca.crt"))
        leaf.verify_directly_issued_by(ca)
    else:
        assert public_key(data["tls.key"]) == public_key(data["tls.crt"])
        verify(tmp_path, data)


def test_an_ml_dsa_key_signs_its_own_root(made: dict[str, tuple[dict[str, Any], dict[str, Any]]]) -> None:
    root = x509.load_pem_x509_certificate(decoded(made["root-of-ml-dsa"][1])["tls.crt"].encode())
    root.verify_directly_issued_by(root)
    assert root.signature_algorithm_oid.dotted_string == "2.16.840.1.101.3.4.3.18"


def _renew(site: Site, name: str, revision: int) -> dict[str, str]:
    site.kubectl("annotate", REQUEST, name, f"{RENEW}={revision}", "--overwrite")
    site.wait_status(name, revision=revision)
    return site.data(f"{name}-tls")


@pytest.mark.parametrize(
    ("algorithm", "size", "said"), [("ECDSA", 384, "NIST CURVE: P-384"), ("RSA", 3072, "3072 bit")]
)
def test_a_key_that_is_to_stay_goes_when_it_no_longer_fits(
    site: Site, unique_name: str, algorithm: str, size: int, said: str
) -> None:
    site.kubectl.apply(request(unique_name, "ca", privateKey={"algorithm": algorithm, "rotationPolicy": "Never"}))
    site.kubectl.wait_ready(unique_name)

    patch = json.dumps({"spec": {"privateKey": {"size": size}}})
    site.kubectl("patch", REQUEST, unique_name, "--type=merge", "-p", patch)

    site.wait_status(unique_name, revision=2)
    data = site.data(f"{unique_name}-tls")
    assert said in openssl("pkey", "-noout", "-text", stdin=data["tls.key"])
    assert public_key(data["tls.key"]) == public_key(data["tls.crt"])


def _own_key(kind: str) -> str:
    curve = ("-pkeyopt", "ec_paramgen_curve:P-256") if kind == "EC" else ()
    return openssl("genpkey", "-algorithm", kind, *curve)


def _everything(site: Site, but: str) -> str:
    """What the cluster stores in this namespace, but for one Secret, and the operator's log; data decoded as well."""
    found = site.kubectl.list(f"secrets,{REQUEST},issuers.csr-operator.dev,events.events.k8s.io")
    kept = [o for o in found if (o["kind"], o["metadata"]["name"]) != ("Secret", but)]
    assert len(kept) == len(found) - 1
    data = [base64.b64decode(v).decode(errors="replace") for o in kept for v in o.get("data", {}).values()]
    return "".join(re.sub(r"\s|\\n", "", text) for text in (json.dumps(kept), *data, site.operator.log.read_text()))


@pytest.mark.parametrize("kind", OWN_KEYS)
def test_a_key_in_a_secret_is_used_where_it_is(site: Site, unique_name: str, kind: str, tmp_path: Path) -> None:
    key = _own_key(OWN_KEYS[kind])
    site.kubectl.apply(
        opaque(f"{unique_name}-key", **{"server.pem": key}),
        request(unique_name, "ca", privateKey={"secretRef": {"name": f"{unique_name}-key", "key": "server.pem"}}),
    )
    theirs = site.kubectl.get("secret", f"{unique_name}-key")
    site.kubectl.wait_ready(unique_name)

    first = site.kubectl.get("secret", f"{unique_name}-tls")
    assert first["type"] == "Opaque"
    data = decoded(first)
    assert data.keys() == {"tls.crt", "ca.crt"}
    assert public_key(data["tls.crt"]) == public_key(key)
    verify(tmp_path, data)
    renewed = _renew(site, unique_name, 2)
    assert renewed["tls.crt"] != data["tls.crt"]
    assert public_key(renewed["tls.crt"]) == public_key(key)

    site.settle()
    secret = "".join(key.splitlines()[1:-1])
    assert secret not in _everything(site, f"{unique_name}-key")
    assert site.kubectl.get("secret", f"{unique_name}-key") == theirs


def test_the_order_at_a_person_holds_no_copy_of_the_key_either(site: Site, unique_name: str) -> None:
    key = _own_key("EC")
    site.kubectl.apply(
        issuer("person", manual={}),
        opaque(f"{unique_name}-key", **{"tls.key": key}),
        request(unique_name, "person", privateKey={"secretRef": {"name": f"{unique_name}-key"}}),
    )
    site.wait_condition(unique_name, "Reconciling", "ActionRequired")
    assert public_key(key) == openssl("req", "-noout", "-pubkey", stdin=site.status(unique_name)["csr"])
    assert "".join(key.splitlines()[1:-1]) not in _everything(site, f"{unique_name}-key")


def test_another_key_in_the_secret_is_taken_by_the_next_renewal(site: Site, unique_name: str) -> None:
    site.kubectl.apply(
        opaque(f"{unique_name}-key", **{"tls.key": _own_key("EC")}),
        request(unique_name, "ca", privateKey={"secretRef": {"name": f"{unique_name}-key"}}),
    )
    site.kubectl.wait_ready(unique_name)
    key = _own_key("ED25519")
    site.kubectl.apply(opaque(f"{unique_name}-key", **{"tls.key": key}))
    assert public_key(_renew(site, unique_name, 2)["tls.crt"]) == public_key(key)


def test_an_order_for_a_key_that_was_exchanged_is_placed_anew(site: Site, unique_name: str) -> None:
    site.kubectl.apply(
        issuer("person", manual={}),
        opaque(f"{unique_name}-key", **{"tls.key": _own_key("EC")}),
        request(unique_name, "person", privateKey={"secretRef": {"name": f"{unique_name}-key"}}),
    )
    site.wait_condition(unique_name, "Reconciling", "ActionRequired")
    key = _own_key("EC")
    site.kubectl.apply(opaque(f"{unique_name}-key", **{"tls.key": key}))

    # Whatever is brought makes the operator look at the order.
    site.kubectl("annotate", REQUEST, unique_name, "csr-operator.dev/import=x")

    def public() -> bool:
        return openssl("req", "-noout", "-pubkey", stdin=site.status(unique_name)["csr"]) == public_key(key)

    wait_until("the CSR is one for the new key", public)


WRONG_KEYS: dict[str, tuple[dict[str, str] | None, str, str]] = {
    "no-secret": (None, "ReferenceMissing", "/key-no-secret does not exist: create it"),
    "no-key": ({"other": "x"}, "ReferenceMissing", "/key-no-key has no tls.key: add it"),
    "nonsense": ({"tls.key": "hello"}, "KeyUnusable", "this is not a private key in PEM form"),
    "encrypted": (
        {"tls.key": openssl("genpkey", "-algorithm", "RSA", "-aes-128-cbc", "-pass", "pass:secret")},
        "KeyUnusable",
        "the private key is encrypted: store it without a passphrase",
    ),
    "weak": (
        {"tls.key": openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024")},
        "KeyUnusable",
        "RSA keys of 1024 bits are not accepted: use 2048 to 8192",
    ),
    "curve": (
        {"tls.key": openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1")},
        "KeyUnusable",
        "ECDSA keys on the curve secp256k1 are not accepted",
    ),
    "public": (
        {"tls.key": public_key(openssl("genpkey", "-algorithm", "ED25519"))},
        "KeyUnusable",
        "this is not a private key in PEM form",
    ),
}


def test_a_key_that_cannot_be_used_is_told_of_and_a_good_one_is_taken(site: Site) -> None:
    """All at once, since each is looked at again after a while only."""
    for case, (data, _, _) in WRONG_KEYS.items():
        if data is not None:
            site.kubectl.apply(opaque(f"key-{case}", **data))
    site.kubectl.apply(*(request(case, "ca", privateKey={"secretRef": {"name": f"key-{case}"}}) for case in WRONG_KEYS))
    for case, (data, reason, words) in WRONG_KEYS.items():
        told = site.wait_condition(case, "Stalled" if data is not None else "Reconciling", reason)
        assert told["message"].startswith("spec.privateKey.secretRef: ")
        assert words in told["message"]
        assert condition(site.kubectl.get(REQUEST, case), "Ready")["status"] == "False"
        secret = "".join(data["tls.key"].splitlines()[1:-1]) if data and "tls.key" in data else ""
        assert not secret or secret not in json.dumps(site.kubectl.get(REQUEST, case))

    key = _own_key("EC")
    site.kubectl.apply(*(opaque(f"key-{case}", **{"tls.key": key}) for case in WRONG_KEYS))
    site.kubectl.wait_ready(*WRONG_KEYS, seconds=90)


def test_a_key_in_a_secret_obeys_the_issuers_policy(site: Site, unique_name: str) -> None:
    rule = {"name": "modern", "keys": [{"algorithm": "ECDSA", "minSize": 384}]}
    site.kubectl.apply(
        issuer("choosy", ca={"secretName": "root-tls"}, policy={"rules": [rule]}),
        opaque(f"{unique_name}-key", **{"tls.key": _own_key("RSA")}),
        request(unique_name, "choosy", privateKey={"secretRef": {"name": f"{unique_name}-key"}}),
    )
    denied = site.wait_condition(unique_name, "Stalled", "PolicyDenied")
    assert "rule modern: privateKey: RSA 2048 is not allowed" in denied["message"]
    assert site.kubectl.get("secret", f"{unique_name}-tls") == {}
    good = openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384")
    site.kubectl.apply(opaque(f"{unique_name}-key", **{"tls.key": good}))
    site.kubectl.wait_ready(unique_name)
