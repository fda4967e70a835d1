"""`adopt` against the operator."""

import base64
import json
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from tests.cli.support import READER, Plugin, rule, user, wait_unready
from tests.support.kubectl import wait_until
from tests.support.manifests import request
from tests.support.moving import ADOPT, issued_elsewhere, secret_of_others, submits
from tests.support.revocation import events, serial
from tests.support.site import Site, base64_text, decoded


@pytest.fixture(scope="module")
def data(site: Site) -> dict[str, str]:
    """What `www` asks for."""
    return issued_elsewhere(site, "www")


@pytest.fixture(scope="module", autouse=True)
def requests(site: Site, data: dict[str, str]) -> None:
    """`www`, `api` and `other`, each with a Secret that is there already; `free` without, and `own` with its own."""
    wanted: dict[str, Any] = {"dnsNames": ["www.example.com"]}
    owner = {"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "name": "owned", "uid": "1", "controller": True}
    site.kubectl.apply(
        *(secret_of_others(f"{name}-tls", data) for name in ("www", "api", "other")),
        secret_of_others("owned-tls", data, metadata={"ownerReferences": [owner]}),
        secret_of_others("opaque-tls", data, type="Opaque"),
        *(request(name, "ca", **wanted) for name in ("www", "api", "owned", "opaque")),
        request("other", "ca", dnsNames=["other.example.com"], privateKey={"algorithm": "RSA"}),
        request("own", "ca"),
    )
    site.kubectl.wait_ready("own")
    wait_unready(site.kubectl, "SecretNotOwned", "www", "api", "owned", "opaque", "other")


def _unchanged(site: Site, secret: str) -> None:
    assert ADOPT not in site.kubectl.get("secret", secret)["metadata"]["annotations"]


def test_a_secret_is_taken_over_after_a_question(kubectl_csr: Plugin, site: Site, data: dict[str, str]) -> None:
    namespace, asked = site.kubectl.namespace, submits(site)
    words = kubectl_csr("status", "www").words
    assert f"kubectl csr adopt www -n {namespace}`. If nobody needs the Secret" in words

    answer = kubectl_csr("adopt", "www", "--wait", stdin="yes\n")

    assert f"Let www take over Secret {namespace}/www-tls with DNS:www.example.com, valid until " in answer.err
    assert "issued by CN=Test Root?" in answer.err
    assert answer.out.startswith(f"{namespace}/www: Secret {namespace}/www-tls with DNS:www.example.com, valid until ")
    assert answer.out.endswith(": taken over, revision 1\n")
    assert site.data("www-tls") == decoded({"data": data})
    assert submits(site) == asked


@pytest.mark.parametrize("answer", ["", "no\n"])
def test_nothing_is_done_without_a_yes(answer: str, csr: Plugin, site: Site) -> None:
    assert csr.refused("adopt", "api", stdin=answer).endswith("error: nothing was changed\n")
    _unchanged(site, "api-tls")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("other",), 'DNS name: "other.example.com" is missing'),
        (("other",), "private key: it is ECDSA 256, where spec.privateKey asks for RSA 2048"),
        (("owned",), "`kubectl delete certificate owned --cascade=orphan`"),
        (("opaque",), "Secret opaque-tls is of type Opaque, where kubernetes.io/tls is needed"),
        (("own",), "Secret own-tls already belongs to own"),
        (("nope",), 'certificaterequests.csr-operator.dev "nope" not found'),
    ],
)
def test_what_would_be_refused_is_refused(arguments: tuple[str, ...], words: str, csr: Plugin, site: Site) -> None:
    assert words in csr.refused("adopt", *arguments, "--yes")
    for secret in ("api-tls", "other-tls", "owned-tls", "opaque-tls"):
        _unchanged(site, secret)


def test_for_programs_by_who_may_write_secrets(csr: Plugin, site: Site, folder: Any) -> None:
    reader = user(site.kubectl, folder, "secret-reader", *READER, rule("secrets", "get", group=""))
    assert 'cannot patch resource "secrets"' in reader.refused("adopt", "api", "--yes")
    writer = user(site.kubectl, folder, "secret-writer", *READER, rule("secrets", "get patch", group=""))

    answer = json.loads(writer("adopt", "api", "--yes", "-o", "json").out)

    assert (answer["name"], answer["secret"]) == ("api", "api-tls")
    wait_until("it is taken over", lambda: site.status("api").get("sha256Fingerprint") == answer["sha256Fingerprint"])


def test_a_secret_that_is_not_there(csr: Plugin, site: Site) -> None:
    site.kubectl.apply(request("free", "nobody"))
    assert csr.refused("adopt", "free") == "error: Secret free-tls does not exist: free gets a certificate without it\n"


SERIAL = "0123456789ABCDEF"


def _numbered(site: Site, data: dict[str, str]) -> dict[str, str]:
    """The same certificate, with another serial number."""
    old = x509.load_pem_x509_certificate(base64.b64decode(data["tls.crt"]))
    builder = (
        x509.CertificateBuilder(extensions=list(old.extensions))
        .issuer_name(old.issuer)
        .subject_name(old.subject)
        .public_key(old.public_key())
        .serial_number(int(SERIAL, 16))
        .not_valid_before(old.not_valid_before_utc)
        .not_valid_after(old.not_valid_after_utc)
    )
    key = load_pem_private_key(site.data("root-tls")["tls.key"].encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return data | {"tls.crt": base64_text(builder.sign(key, SHA256()).public_bytes(Encoding.PEM).decode())}


def test_serial_numbers_are_told_in_whole_octets_as_openssl_prints_them(
    csr: Plugin, site: Site, data: dict[str, str]
) -> None:
    """One of sixteen begins with a zero."""
    wanted = request("octets", "ca", dnsNames=["www.example.com"])
    site.kubectl.apply(secret_of_others("octets-tls", _numbered(site, data), adopt="octets"), wanted)
    site.kubectl.wait_ready("octets")

    assert serial(site.data("octets-tls")["tls.crt"]) == SERIAL
    assert site.status("octets")["serialNumber"] == SERIAL
    assert f"serial number {SERIAL}" in csr("status", "octets").words
    assert f" {SERIAL} " in csr("inspect", "octets").words
    [note] = wait_until("there is an event", lambda: events(site, "octets", "Adopted"))
    assert f"its certificate {SERIAL} was" in note
    assert f"adopted: Secret octets-tls with its certificate {SERIAL} was" in site.operator.log.read_text()
