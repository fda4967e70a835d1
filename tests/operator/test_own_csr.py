"""A CSR of the user's own: the key never enters the cluster, and the certificate is renewed all the same."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.kubectl import condition, wait_until
from tests.support.manifests import issuer, request
from tests.support.openssl import certificate_text, openssl, own_csr, public_key, verify
from tests.support.site import REQUEST, Site, decoded

RENEW = "csr-operator.dev/renew"
HASH = "csr-operator.dev/issuance-hash"
DEFAULT_USAGES = ("digital signature", "key encipherment")


def _change(site: Site, name: str, **spec: Any) -> None:
    patch = json.dumps({"spec": spec})
    site.kubectl("patch", REQUEST, name, "--type=merge", "--patch-file=/dev/stdin", stdin=patch)


def test_it_is_signed_and_renewed_for_the_same_key(site: Site, unique_name: str, tmp_path: Path) -> None:
    usage = ("-addext", "keyUsage=critical,digitalSignature", "-addext", "extendedKeyUsage=serverAuth,clientAuth")
    csr = own_csr(tmp_path, unique_name, *usage)
    site.kubectl.apply(request(unique_name, "ca", request=csr))
    site.kubectl.wait_ready(unique_name)

    secret = site.kubectl.get("secret", f"{unique_name}-tls")
    assert secret["type"] == "Opaque"
    data = decoded(secret)
    assert data.keys() == {"tls.crt", "ca.crt"}
    own_key = (tmp_path / f"{unique_name}.key").read_text()
    assert public_key(data["tls.crt"]) == public_key(own_key)
    verify(tmp_path, data, "-verify_hostname", unique_name, "-purpose", "sslserver")
    text = certificate_text(data["tls.crt"])
    assert "X509v3 Key Usage: critical Digital Signature X509v3" in text
    assert "TLS Web Server Authentication, TLS Web Client Authentication" in text
    assert site.status(unique_name)["csr"] == csr

    site.kubectl("annotate", REQUEST, unique_name, f"{RENEW}=now")
    site.wait_status(unique_name, revision=2)
    renewed = site.data(f"{unique_name}-tls")
    assert renewed["tls.crt"] != data["tls.crt"]
    assert public_key(renewed["tls.crt"]) == public_key(own_key)
    assert site.status(unique_name)["csr"] == csr


def test_a_damaged_secret_heals_with_the_same_certificate(site: Site, unique_name: str, tmp_path: Path) -> None:
    site.kubectl.apply(request(unique_name, "ca", request=own_csr(tmp_path, unique_name)))
    site.kubectl.wait_ready(unique_name)
    before = site.data(f"{unique_name}-tls")
    hash_only = {"metadata": {"annotations": {HASH: None}}}
    site.kubectl("patch", "secret", f"{unique_name}-tls", "--type=merge", "-p", json.dumps(hash_only))

    def healed() -> bool:
        return bool(site.kubectl.get("secret", f"{unique_name}-tls")["metadata"]["annotations"].get(HASH))

    wait_until("the annotation is there again", healed)
    assert site.data(f"{unique_name}-tls") == before
    assert site.status(unique_name)["revision"] == 1


def test_what_the_spec_says_goes_before_the_csr(site: Site, unique_name: str, tmp_path: Path) -> None:
    csr = own_csr(
        tmp_path, unique_name, "-addext", "extendedKeyUsage=serverAuth", "-addext", "basicConstraints=CA:FALSE"
    )
    extension = {"oid": "1.3.6.1.4.1.99999.1", "value": "DAVoZWxsbw=="}
    site.kubectl.apply(
        request(
            unique_name,
            "ca",
            request=csr,
            usages=["client auth"],
            isCA=True,
            pathLenConstraint=0,
            extensions=[extension],
        )
    )
    site.kubectl.wait_ready(unique_name)
    text = certificate_text(site.data(f"{unique_name}-tls")["tls.crt"])
    assert "CA:TRUE, pathlen:0" in text
    assert "Extended Key Usage: TLS Web Client Authentication X509v3" in text
    assert "1.3.6.1.4.1.99999.1: ..hello" in text


def test_another_csr_is_another_certificate(site: Site, unique_name: str, tmp_path: Path) -> None:
    site.kubectl.apply(request(unique_name, "ca", request=own_csr(tmp_path, unique_name)))
    site.kubectl.wait_ready(unique_name)
    second = own_csr(tmp_path, f"{unique_name}.example.com")
    _change(site, unique_name, request=second)
    site.wait_status(unique_name, revision=2)
    leaf = site.data(f"{unique_name}-tls")["tls.crt"]
    assert public_key(leaf) == openssl("req", "-noout", "-pubkey", stdin=second)
    assert f"DNS:{unique_name}.example.com" in certificate_text(leaf)


def _der(pem: str) -> bytes:
    return base64.b64decode("".join(pem.splitlines()[1:-1]))


def _pem(der: bytes) -> str:
    text = base64.encodebytes(der).decode()
    return f"-----BEGIN CERTIFICATE REQUEST-----\n{text}-----END CERTIFICATE REQUEST-----\n"


def _with_the_signature_of_another(folder: Path) -> str:
    one, other = (_der(own_csr(folder, f"{n}.example.com", key="rsa:2048")) for n in "ab")
    return _pem(one[:-256] + other[-256:])


def _without_a_name(folder: Path) -> str:
    return openssl("req", "-new", "-newkey", "ed25519", "-noenc", "-keyout", folder / "o.key", "-subj", "/O=Example")


BROKEN: dict[str, tuple[Callable[[Path], str], str]] = {
    "cut-off": (
        lambda folder: _pem(_der(own_csr(folder, "a"))[:-20]),
        "it is cut off, or no DER: paste the whole of it",
    ),
    "nonsense": (lambda _: _pem(b"hello"), "it is cut off, or no DER: paste the whole of it"),
    "another-signature": (_with_the_signature_of_another, "the signature of the certificate signing request is not"),
    "weak-key": (
        lambda folder: own_csr(folder, "a", key="rsa:1024"),
        "RSA keys of 1024 bits are not accepted: use 2048 to 8192",
    ),
    "weak-hash": (lambda folder: own_csr(folder, "a", "-sha1"), "signed with SHA1: sign it with SHA-256"),
    "no-name": (_without_a_name, "the request names nothing: give it a common name or alternative names"),
}


def test_a_csr_that_cannot_be_used_is_told_of_and_a_good_one_taken(site: Site, tmp_path: Path) -> None:
    site.kubectl.apply(*(request(case, "ca", request=make(tmp_path)) for case, (make, _) in BROKEN.items()))
    for case, (_, words) in BROKEN.items():
        told = site.wait_condition(case, "Stalled", "InvalidSpec")
        assert told["message"].startswith("spec.request: ")
        assert words in told["message"]
        assert condition(site.kubectl.get(REQUEST, case), "Ready")["status"] == "False"
    for case in BROKEN:
        _change(site, case, request=own_csr(tmp_path, case))
    site.kubectl.wait_ready(*BROKEN)


def test_a_broken_csr_leaves_the_certificate_that_is_there(site: Site, unique_name: str, tmp_path: Path) -> None:
    site.kubectl.apply(request(unique_name, "ca", request=own_csr(tmp_path, unique_name)))
    site.kubectl.wait_ready(unique_name)
    before = site.kubectl.get("secret", f"{unique_name}-tls")
    _change(site, unique_name, request=_pem(b"hello"))
    site.wait_condition(unique_name, "Stalled", "InvalidSpec")
    assert site.kubectl.get("secret", f"{unique_name}-tls") == before


FORBIDDEN = {
    "name": (("-addext", "subjectAltName=DNS:www.example.org"), 'dnsNames: "www.example.org" is not allowed'),
    "common-name": (("-subj", "/CN=www.example.org"), 'commonName: "www.example.org" is not allowed'),
    "ca": (("-addext", "basicConstraints=CA:TRUE"), "isCA: a CA certificate is not allowed"),
    "usage": (("-addext", "extendedKeyUsage=codeSigning"), 'usages: "code signing" is not allowed'),
}


def test_what_stands_in_a_csr_obeys_the_issuers_policy(site: Site, unique_name: str, tmp_path: Path) -> None:
    names = {"suffixes": ["example.com"]}
    rule = {"name": "web", "dnsNames": names, "commonNames": names, "usages": [*DEFAULT_USAGES, "server auth"]}
    site.kubectl.apply(issuer("web", ca={"secretName": "root-tls"}, policy={"rules": [rule]}))
    for case, (arguments, _) in FORBIDDEN.items():
        made = openssl(
            *("req", "-new", "-newkey", "ed25519", "-noenc", "-keyout", tmp_path / "key"),
            *(() if "-subj" in arguments else ("-subj", "/CN=www.example.com")),
            *arguments,
        )
        site.kubectl.apply(request(f"forbidden-{case}", "web", request=made))
    for case, (_, words) in FORBIDDEN.items():
        denied = site.wait_condition(f"forbidden-{case}", "Stalled", "PolicyDenied")
        assert denied["message"].endswith(f" does not allow it: rule web: {words}")
    good = own_csr(tmp_path, f"{unique_name}.example.com", "-addext", "extendedKeyUsage=serverAuth", key="rsa:2048")
    site.kubectl.apply(request(unique_name, "web", request=good))
    site.kubectl.wait_ready(unique_name)


def test_an_issuer_that_needs_the_key_says_so(site: Site, unique_name: str, tmp_path: Path) -> None:
    site.kubectl.apply(request(unique_name, "root", request=own_csr(tmp_path, unique_name)))
    refused = site.wait_condition(unique_name, "Stalled", "Rejected")
    assert "not available with spec.request: use another issuer" in refused["message"]
