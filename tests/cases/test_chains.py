"""Answers as CAs and people bring them to a `manual` issuer: with history, cross certificates, and other forms."""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key, pkcs7
from cryptography.x509.oid import NameOID

from tests.support.manifests import issuer, request
from tests.support.openssl import openssl
from tests.support.site import REQUEST, Site

NOW = datetime.now(UTC).replace(microsecond=0)
KEYS: dict[str, Any] = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("Old", "New", "Issuing", "Corp")}
KEY_ENCIPHERMENT = x509.KeyUsage(True, False, True, False, False, False, False, False, False)
Certificates = Sequence[x509.Certificate]


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def signed(
    subject: x509.Name, key: Any, by: str, days: tuple[int, int], *extensions: x509.ExtensionType, name: Any = None
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder(name or named(by), subject, key, x509.random_serial_number())
        .not_valid_before(NOW + days[0] * timedelta(days=1))
        .not_valid_after(NOW + days[1] * timedelta(days=1))
    )
    for one in extensions:
        builder = builder.add_extension(one, critical=not isinstance(one, x509.SubjectAlternativeName))
    return builder.sign(KEYS[by], hashes.SHA256())


def ca(name: str, by: str = "", days: tuple[int, int] = (-30, 900), **more: Any) -> x509.Certificate:
    return signed(named(name), KEYS[name].public_key(), by or name, days, x509.BasicConstraints(True, None), **more)


PAST = (-900, -10)
NEW, ISSUING = ca("New"), ca("Issuing", "New")
OLD_EXPIRED, CROSS_EXPIRED, ISSUING_EXPIRED = ca("Old", "", PAST), ca("New", "Old", PAST), ca("Issuing", "New", PAST)


def leaf(csr: x509.CertificateSigningRequest, days: tuple[int, int] = (-1, 89), *more: Any, by: str = "Issuing") -> Any:
    names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return signed(csr.subject, csr.public_key(), by, days, names, *more)


def old_root(folder: Path) -> x509.Certificate:
    """Of X.509 version 1; its key becomes that of "Corp"."""
    openssl("genrsa", "-out", folder / "key", "2048")
    made = openssl("req", "-new", "-key", folder / "key", "-subj", "/CN=Corp")
    text = openssl("x509", "-req", "-signkey", folder / "key", "-days", "900", "-set_serial", "1", stdin=made)
    KEYS["Corp"] = load_pem_private_key((folder / "key").read_bytes(), None)
    return x509.load_pem_x509_certificate(text[text.index("-----BEGIN") :].encode())


def pem(*certificates: x509.Certificate) -> str:
    return b"".join(one.public_bytes(Encoding.PEM) for one in certificates).decode()


def as_certificate(certificates: Certificates) -> str:
    """PKCS #7 under the label of a certificate, as AD CS writes it."""
    der = pkcs7.serialize_certificates(list(certificates), Encoding.DER)
    return f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(der).decode()}-----END CERTIFICATE-----\n"


def as_cms(certificates: Certificates) -> str:
    return pkcs7.serialize_certificates(list(certificates), Encoding.PEM).decode().replace("PKCS7", "CMS")


@dataclass(frozen=True)
class Case:
    """What comes back for a CSR, the issuer's roots, and what is left of it for a server."""

    answer: Callable[[x509.CertificateSigningRequest], Certificates]
    roots: Certificates = (NEW,)
    chain: Certificates = (ISSUING,)
    ca: x509.Certificate | None = NEW
    write: Callable[[Certificates], str] = field(default=lambda certificates: pem(*certificates))
    spec: dict[str, Any] = field(default_factory=dict)


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Case]:
    folder = tmp_path_factory.mktemp("made")
    root = old_root(folder)
    below = ca("Issuing", "Corp")
    usage = ("-addext", "keyUsage=critical,digitalSignature,keyEncipherment")
    asking = openssl(
        *("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-keyout", folder / "own"),
        *("-subj", "/CN=www.example.com", "-addext", "subjectAltName=DNS:www.example.com", *usage),
    )
    return {
        "cross": Case(lambda csr: [leaf(csr), ISSUING, CROSS_EXPIRED, OLD_EXPIRED]),
        "twin": Case(lambda csr: [leaf(csr), ISSUING_EXPIRED, ISSUING, NEW]),
        "history": Case(lambda csr: [leaf(csr, (-100, -10)), leaf(csr), ISSUING, NEW]),
        "alone": Case(lambda csr: [leaf(csr)], roots=(), chain=(), ca=None),
        "version-1": Case(lambda csr: [leaf(csr), below], roots=(root,), chain=(below,), ca=root),
        "pkcs7": Case(lambda csr: [leaf(csr), ISSUING, NEW], write=as_certificate),
        "cms": Case(lambda csr: [leaf(csr), ISSUING, NEW], write=as_cms),
        "copied-usage": Case(lambda csr: [leaf(csr, (-1, 89), KEY_ENCIPHERMENT), ISSUING], spec={"request": asking}),
    }


def test_a_good_answer_is_taken_in_whatever_company_it_comes(
    site: Site, cases: dict[str, Case], tmp_path: Path
) -> None:
    for name, case in cases.items():
        site.kubectl.apply(issuer(name, manual={"caBundle": pem(*case.roots)} if case.roots else {}))
        site.kubectl.apply(request(name, name, **case.spec))
    for name, case in cases.items():
        site.wait_condition(name, "Reconciling", "ActionRequired")
        csr = x509.load_pem_x509_csr(site.status(name)["csr"].encode())
        answer = {"csr-operator.dev/import": case.write(case.answer(csr))}
        patch = json.dumps({"metadata": {"annotations": answer}})
        site.kubectl("patch", REQUEST, name, "--type=merge", "--patch-file=/dev/stdin", stdin=patch)
    site.kubectl.wait_ready(*cases)
    for name, case in cases.items():
        data = site.data(f"{name}-tls")
        sent = x509.load_pem_x509_certificates(data["tls.crt"].encode())
        assert sent[0].not_valid_after_utc > NOW
        assert tuple(sent[1:]) == tuple(case.chain), name
        if case.ca is None:
            assert "ca.crt" not in data
            continue
        assert data["ca.crt"] == pem(case.ca)
        for part, text in (("ca", data["ca.crt"]), ("sent", data["tls.crt"])):
            (tmp_path / part).write_text(text)
        assert "OK" in openssl("verify", "-CAfile", tmp_path / "ca", "-untrusted", tmp_path / "sent", tmp_path / "sent")


def test_where_no_ca_is_known_nothing_is_written_again(site: Site, cases: dict[str, Case]) -> None:
    before = site.kubectl.get("secret", "alone-tls")["metadata"]["resourceVersion"]
    with site.operator_away():
        pass
    site.settle()
    assert site.kubectl.get("secret", "alone-tls")["metadata"]["resourceVersion"] == before
