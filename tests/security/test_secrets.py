"""Secrets that are not a request's own: none is taken over, and none of another namespace is reached."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from csr_operator.api.keys import SecretKey
from csr_operator.api.parse_request import parse_request
from csr_operator.issuance.secret_body import staging_key
from csr_operator.kube.client import Kube
from csr_operator.kube.transport import Transport
from csr_operator.pki import asn1
from tests.support.authorities import authority, opaque
from tests.support.kubectl import Kubectl, condition
from tests.support.manifests import API_VERSION, issuer, request
from tests.support.openssl import openssl, own_csr, public_key
from tests.support.site import REQUEST, Site, decoded


def test_a_secret_of_somebody_else_is_not_taken_over_where_nothing_conflicts(
    site: Site, unique_name: str, tmp_path: Path
) -> None:
    """Without a key the operator's Secret is Opaque, as this one is, and has no data in common with it."""
    site.kubectl.apply(opaque(f"{unique_name}-tls", password="theirs"))
    theirs = site.kubectl.get("secret", f"{unique_name}-tls")

    site.kubectl.apply(request(unique_name, "ca", request=own_csr(tmp_path, unique_name)))

    stalled = site.wait_condition(unique_name, "Stalled", "SecretNotOwned")
    assert "create it with another spec.secretName" in stalled["message"]
    assert site.kubectl.get("secret", f"{unique_name}-tls") == theirs


@pytest.mark.parametrize("path", ["../../{other}/secrets/{name}", "..%2F..%2F{other}%2Fsecrets%2F{name}", "{name}?x=y"])
async def test_no_name_leads_out_of_the_namespace(
    site: Site, operator_credentials: Path, unique_name: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Admission refuses such names; who made the object before the rule was there gains nothing either."""
    site.kubectl("create", "namespace", unique_name)
    other = Kubectl(site.kubectl.cluster, unique_name)
    other.apply(opaque(unique_name, password="secret"))
    monkeypatch.setenv("KUBECONFIG", str(operator_credentials))
    kube = Kube.over(await Transport.connect(connections=2, patience=10, silence=10))
    try:
        assert await kube.secrets.get(SecretKey(unique_name, unique_name)) is not None
        reached = await kube.secrets.get(
            SecretKey(site.kubectl.namespace, path.format(other=unique_name, name=unique_name))
        )
    finally:
        await kube.transport.close()
    assert reached is None


@pytest.fixture
def early(site: Site, unique_name: str) -> dict[str, Any]:
    """A request for a manual issuer of the same name, which is yet to be made: its UID is known before its order."""
    site.kubectl.apply(request(unique_name, unique_name))
    site.wait_condition(unique_name, "Ready", "IssuerNotFound")
    return site.kubectl.get(REQUEST, unique_name)


def _staging(site: Site, name: str) -> dict[str, Any]:
    return site.kubectl.get("secret", staging_key(parse_request(site.kubectl.get(REQUEST, name))).name)


def test_an_order_is_not_kept_in_a_secret_that_is_there_already(
    site: Site, unique_name: str, early: dict[str, Any]
) -> None:
    """An empty one is made in time, and would be filled with the key for whoever may read it."""
    where = staging_key(parse_request(early)).name
    site.kubectl.apply(opaque(where))
    theirs = site.kubectl.get("secret", where)

    site.kubectl.apply(issuer(unique_name, manual={}))

    stalled = site.wait_condition(unique_name, "Stalled", "SecretNotOwned")
    is_there = f"Secret {where} is there already, where key and CSR are to be kept"
    assert stalled["message"] == f"{is_there}: delete that Secret"
    assert site.kubectl.get("secret", where) == theirs
    assert "csr" not in site.status(unique_name)
    site.kubectl("delete", "secret", where)
    site.wait_condition(unique_name, "Reconciling", "ActionRequired")


def test_a_secret_of_another_name_is_no_order_whatever_it_says(
    site: Site, unique_name: str, early: dict[str, Any], tmp_path: Path
) -> None:
    known = own_csr(tmp_path, unique_name)
    forged = opaque(
        f"{unique_name}-forged", **{"tls.key": (tmp_path / f"{unique_name}.key").read_text(), "tls.csr": known}
    )
    forged["metadata"] |= {
        "labels": {"csr-operator.dev/managed": "true", "csr-operator.dev/staging": "true"},
        "annotations": {
            "csr-operator.dev/issuance-hash": parse_request(early).issuance_hash,
            "csr-operator.dev/revision": "1",
            "csr-operator.dev/issuer": f"Issuer/{unique_name}",
            "csr-operator.dev/csr-digest": "x",
        },
        "ownerReferences": [
            {
                "apiVersion": API_VERSION,
                "kind": "CertificateRequest",
                "name": unique_name,
                "uid": early["metadata"]["uid"],
            }
        ],
    }
    site.kubectl.apply(forged)

    site.kubectl.apply(issuer(unique_name, manual={}))

    site.wait_condition(unique_name, "Reconciling", "ActionRequired")
    csr = site.status(unique_name)["csr"]
    assert csr == decoded(_staging(site, unique_name))["tls.csr"]
    assert openssl("req", "-noout", "-pubkey", stdin=csr) != openssl("req", "-noout", "-pubkey", stdin=known)


def test_the_order_of_another_request_is_no_secret_to_be_had(
    site: Site, unique_name: str, early: dict[str, Any]
) -> None:
    site.kubectl.apply(issuer(unique_name, manual={}))
    site.wait_condition(unique_name, "Reconciling", "ActionRequired")
    order = _staging(site, unique_name)

    with pytest.raises(AssertionError, match="secretName ends like the Secrets in which the operator keeps orders"):
        site.kubectl.apply(request(f"{unique_name}-2", "ca", secretName=order["metadata"]["name"]))

    assert _staging(site, unique_name) == order


def test_a_key_of_another_request_can_be_used_and_is_not_shown(site: Site, unique_name: str) -> None:
    """Who may make requests may have any key of the namespace used: see docs/security.md."""
    site.kubectl.apply(request(unique_name, "ca"))
    site.kubectl.wait_ready(unique_name)
    before = site.kubectl.get("secret", f"{unique_name}-tls")

    site.kubectl.apply(request(f"{unique_name}-2", "ca", privateKey={"secretRef": {"name": f"{unique_name}-tls"}}))

    site.kubectl.wait_ready(f"{unique_name}-2")
    second = site.data(f"{unique_name}-2-tls")
    assert second.keys() == {"tls.crt", "ca.crt"}
    assert public_key(second["tls.crt"]) == public_key(decoded(before)["tls.key"])
    assert site.kubectl.get("secret", f"{unique_name}-tls") == before


def test_the_key_of_a_ca_signs_nothing_by_way_of_self_signed(site: Site, unique_name: str) -> None:
    """With the CA's subject, the certificate would be one of that CA, past its issuer's policy and approval."""
    ref = {"secretRef": {"name": "root-tls"}}
    site.kubectl.apply(request(unique_name, "root", commonName="Test Root", privateKey=ref))
    refused = site.wait_condition(unique_name, "Stalled", "KeyUnusable")
    assert "/root-tls is that of a CA: name a key that is not beside a CA certificate" in refused["message"]
    assert condition(site.kubectl.get(REQUEST, unique_name), "Ready")["status"] == "False"
    assert site.kubectl.get("secret", f"{unique_name}-tls") == {}

    # Another CA may certify the key: it signs nothing then but the request for that.
    site.kubectl.apply(
        authority("Other Root").secret("other-ca"),
        issuer("other", ca={"secretName": "other-ca"}),
        request("cross", "other", commonName="Test Root", isCA=True, privateKey=ref),
    )
    site.kubectl.wait_ready("cross")
    assert public_key(site.data("cross-tls")["tls.crt"]) == public_key(site.data("root-tls")["tls.key"])


def _old_certificate(key: Ed25519PrivateKey, issuer: str, subject: str, *, version: int) -> str:
    """Without extensions, of version 1 or 3 of X.509; issued by `key` for itself."""
    now = datetime.now(UTC)
    above, own = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in (issuer, subject))
    builder = x509.CertificateBuilder(above, own, key.public_key(), x509.random_serial_number())
    newer = builder.not_valid_before(now).not_valid_after(now + timedelta(days=1)).sign(key, None)
    der = newer.public_bytes(Encoding.DER)
    if version == 1:
        _, fields = asn1.decode(newer.tbs_certificate_bytes)
        said = asn1.encode(0xA0, b"\x02\x01\x02")  # RFC 5280, section 4.1.2.1: left out for version 1
        assert fields.startswith(said)
        signed = asn1.encode(asn1.SEQUENCE, fields.removeprefix(said))
        algorithm = asn1.encode(asn1.SEQUENCE, b"\x06\x03\x2b\x65\x70")  # RFC 8410, section 3
        der = asn1.encode(asn1.SEQUENCE, signed + algorithm + asn1.encode(0x03, b"\x00" + key.sign(signed)))
    certificate = x509.load_der_x509_certificate(der)
    assert certificate.version.value == version - 1
    return certificate.public_bytes(Encoding.PEM).decode()


def test_neither_does_the_key_of_a_root_of_before_there_were_extensions(site: Site, unique_name: str) -> None:
    """A certificate of version 1 cannot say that it is a CA's; other versions can, and do not where they are not."""
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    beside = {
        "root": _old_certificate(key, "Old Root", "Old Root", version=1),
        "spelled": _old_certificate(key, "OLD  root", "Old Root", version=1),
        "leaf": _old_certificate(key, "Some CA", unique_name, version=1),
        "own": _old_certificate(key, unique_name, unique_name, version=3),
    }
    for case, certificate in beside.items():
        site.kubectl.apply(
            opaque(f"{unique_name}-{case}-key", **{"tls.key": pem, "tls.crt": certificate}),
            request(f"{unique_name}-{case}", "root", privateKey={"secretRef": {"name": f"{unique_name}-{case}-key"}}),
        )
    for case in ("root", "spelled"):
        refused = site.wait_condition(f"{unique_name}-{case}", "Stalled", "KeyUnusable")
        assert f"/{unique_name}-{case}-key is that of a CA" in refused["message"]
        assert site.kubectl.get("secret", f"{unique_name}-{case}-tls") == {}
    site.kubectl.wait_ready(f"{unique_name}-leaf", f"{unique_name}-own")
