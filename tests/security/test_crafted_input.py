"""Input made to burn time (as in cert-manager's GHSA-r4pg-vg54-wxx4) is refused, and others are served meanwhile."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.pki.support import MERSENNE, rsa_pem
from tests.support.authorities import authority, credential, opaque
from tests.support.kubectl import condition, wait_until
from tests.support.manifests import issuer, request
from tests.support.names import unique
from tests.support.site import REQUEST, Site

MIB = 1024 * 1024
CERTIFICATE = "-----BEGIN CERTIFICATE-----\n"
CSR = "-----BEGIN CERTIFICATE REQUEST-----\n"


def _crafted(begin: str) -> dict[str, str]:
    """Texts of 1 MiB and more, to be cut to size."""
    return {
        "begins": begin * (MIB // len(begin)),
        "dashes": begin + "-" * MIB,
        "headers": begin + "a: b\n" * (MIB // 5),
        "no-end": begin + "A" * MIB,
        "lines": begin + "\n" * MIB,
        "other-begins": begin + "-----BEGIN X-----\n" * (MIB // 18),
        "other-blocks": begin + "-----BEGIN X-----\nAAAA\n-----END Y-----\n" * (MIB // 40),
        "deep": begin + base64.encodebytes(b"\x30\x80" * (MIB // 3)).decode(),
    }


def _others_are_served(site: Site) -> None:
    name = unique("other")
    site.kubectl.apply(request(name, "ca"))
    site.kubectl.wait_ready(name)


def _create(site: Site, *objects: dict[str, Any]) -> None:
    """As `kubectl apply` would keep a copy in an annotation, for which these are too large."""
    for obj in objects:
        site.kubectl("create", "-f", "-", stdin=json.dumps(obj))


def test_a_csr_of_a_mebibyte_is_refused_by_admission(site: Site, unique_name: str) -> None:
    with pytest.raises(AssertionError, match=r"spec\.request: Too long: may not be more than 65536 bytes"):
        _create(site, request(unique_name, "ca", request=CSR + "A" * MIB))


def test_crafted_csrs_are_refused(site: Site) -> None:
    texts = {case: text[:65536] for case, text in _crafted(CSR).items()}
    _create(site, *(request(f"csr-{case}", "ca", request=text) for case, text in texts.items()))
    for case in texts:
        told = site.wait_condition(f"csr-{case}", "Stalled", "InvalidSpec")
        assert told["message"].startswith("spec.request: the certificate signing request: ")
        assert len(told["message"]) < 300
    _others_are_served(site)


def test_a_chain_of_a_mebibyte_is_refused_by_the_api_server(site: Site, unique_name: str) -> None:
    site.kubectl.apply(issuer("person", manual={}), request(unique_name, "person"))
    patch = json.dumps({"metadata": {"annotations": {"csr-operator.dev/import": CERTIFICATE + "A" * MIB}}})
    with pytest.raises(AssertionError, match="may not be more than 262144 bytes"):
        site.kubectl("patch", REQUEST, unique_name, "--type=merge", "--patch-file=/dev/stdin", stdin=patch)


def _namesakes(size: int) -> str:
    """As many certificates as fit into `size`, each of them named as the issuer of each."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CA")])
    now, text = datetime.now(UTC), ""
    while True:
        key = Ed25519PrivateKey.generate()
        builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        certificate = builder.not_valid_before(now).not_valid_after(now + timedelta(days=1)).sign(key, None)
        pem = certificate.public_bytes(Encoding.PEM).decode()
        if len(text) + len(pem) > size:
            return text
        text += pem


def test_crafted_chains_are_refused_and_the_order_still_waits(site: Site) -> None:
    texts = {case: text[: 250 * 1024] for case, text in _crafted(CERTIFICATE).items()}
    texts["namesakes"] = _namesakes(100 * 1024)
    site.kubectl.apply(issuer("person", manual={}), *(request(f"chain-{case}", "person") for case in texts))
    for case, text in texts.items():
        site.wait_condition(f"chain-{case}", "Reconciling", "ActionRequired")
        patch = json.dumps({"metadata": {"annotations": {"csr-operator.dev/import": text}}})
        site.kubectl("patch", REQUEST, f"chain-{case}", "--type=merge", "--patch-file=/dev/stdin", stdin=patch)

    def refused() -> bool:
        found = {r["metadata"]["name"]: condition(r, "Reconciling") for r in site.kubectl.list(REQUEST)}
        return all("what was imported is refused" in found[f"chain-{case}"].get("message", "") for case in texts)

    wait_until("each of them is refused", refused)
    _others_are_served(site)


def test_crafted_cas_are_refused(site: Site) -> None:
    good = authority("Good")
    texts = {case: text[: MIB - 4096] for case, text in _crafted(CERTIFICATE).items()}
    texts["namesakes"] = _namesakes(MIB // 2)
    for case, text in texts.items():
        _create(site, credential(f"ca-{case}", **{"tls.crt": text, "tls.key": good.key}))
    for case, text in {"key-headers": _crafted("-----BEGIN PRIVATE KEY-----\n")["headers"][: MIB - 4096]}.items():
        _create(site, credential(f"ca-{case}", **{"tls.crt": good.certificate, "tls.key": text}))
        texts[case] = text
    site.kubectl.apply(*(issuer(f"ca-{case}", ca={"secretName": f"ca-{case}"}) for case in texts))
    for case in texts:
        told = site.wait_condition(f"ca-{case}", "Ready", "Misconfigured", "issuer.csr-operator.dev")
        assert told["status"] == "False"
        assert f"/ca-{case}: " in told["message"]
    _others_are_served(site)


def test_a_key_made_to_burn_time_is_refused(site: Site, unique_name: str) -> None:
    key = rsa_pem(*(2**exponent - 1 for exponent in MERSENNE)).decode()
    site.kubectl.apply(
        opaque(f"{unique_name}-key", **{"tls.key": key}),
        request(unique_name, "ca", privateKey={"secretRef": {"name": f"{unique_name}-key"}}),
        credential(f"{unique_name}-ca", **{"tls.crt": authority("Good").certificate, "tls.key": key}),
        issuer(f"{unique_name}-ca", ca={"secretName": f"{unique_name}-ca"}),
    )
    words = "RSA keys of 19630 bits are not accepted: use 2048 to 8192"
    assert words in site.wait_condition(unique_name, "Stalled", "KeyUnusable")["message"]
    told = site.wait_condition(f"{unique_name}-ca", "Ready", "Misconfigured", "issuer.csr-operator.dev")
    assert words in told["message"]
    _others_are_served(site)
