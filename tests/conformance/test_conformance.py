"""Every backend gives what was asked for: the suite that a backend is measured by (see docs/conformance.md)."""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import ExtensionOID, NameOID

from csr_operator.pki.verify import SubjectRule
from devcluster import ControlPlane
from tests.conformance.backends import BackendUnderTest
from tests.conformance.cases import CASES, Case
from tests.support import openssl
from tests.support.kubectl import Kubectl, condition, wait_until
from tests.support.manifests import request as manifest
from tests.support.operator import OperatorProcess
from tests.support.site import Site, new_namespace

KEYS = {rsa.RSAPublicKey: "RSA", ec.EllipticCurvePublicKey: "ECDSA", ed25519.Ed25519PublicKey: "Ed25519"}


def name_of(case: Case) -> str:
    """Of its CertificateRequest."""
    return re.sub(r"[^a-z0-9]+", "-", case.name.lower()).strip("-")


@dataclass(frozen=True, slots=True)
class Applied:
    """All the cases that a backend can do have been applied at once."""

    kubectl: Kubectl
    issuer: str


@pytest.fixture(scope="module")
def applied(
    cluster: ControlPlane,
    operator_credentials: Path,
    tmp_path_factory: pytest.TempPathFactory,
    backend: BackendUnderTest,
) -> Iterator[Applied]:
    kubectl = Kubectl(cluster, new_namespace(cluster))
    log = tmp_path_factory.mktemp("conformance") / "operator.log"
    arguments = ("--namespace", kubectl.namespace, "--http01-issuers", "All")
    with (
        OperatorProcess(operator_credentials, log, *arguments) as operator,
        backend.install(Site(kubectl, operator)) as issuer,
    ):
        possible = [case for case in CASES if case.needs <= backend.features]
        kubectl.apply(*(manifest(name_of(case), issuer, **case.spec) for case in possible))
        yield Applied(kubectl, issuer)


@pytest.fixture
def secret(applied: Applied, backend: BackendUnderTest, case: Case) -> dict[str, bytes]:
    """`data` of the Secret, when its request is Ready."""
    if not case.needs <= backend.features:
        pytest.skip(f"{backend.name} has no {', '.join(sorted(case.needs - backend.features))}")

    def ready() -> bool:
        obj = applied.kubectl.get("certificaterequest", name_of(case))
        stalled = condition(obj, "Stalled")
        assert not stalled, stalled["message"]
        return condition(obj, "Ready").get("status") == "True"

    wait_until(f"{case.name} is Ready", ready, seconds=150)
    data = applied.kubectl.get("secret", f"{name_of(case)}-tls")["data"]
    return {name: base64.b64decode(value) for name, value in data.items()}


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_the_certificate_is_what_was_asked_for(
    secret: dict[str, bytes], case: Case, applied: Applied, backend: BackendUnderTest, tmp_path: Path
) -> None:
    expected = case.expected
    leaf = x509.load_pem_x509_certificates(secret["tls.crt"])[0]

    def values(kind: type[x509.GeneralName]) -> set[str]:
        return {str(name.value) for name in alternative_names(leaf) if isinstance(name, kind)}

    common_names = [str(a.value) for a in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    organizations = [str(a.value) for a in leaf.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    if backend.subject is SubjectRule.EXACT:
        asked_for = [expected.common_name] if expected.common_name else []
        if backend.names_itself and not expected.common_name and not expected.organizations:
            asked_for = [str(name.value) for name in alternative_names(leaf)][:1]
        assert common_names == asked_for
        assert tuple(organizations) == expected.organizations
    elif backend.subject is SubjectRule.SUBSET:
        assert set(common_names) <= {expected.common_name}
        assert set(organizations) <= set(expected.organizations)
    else:
        asked = {expected.common_name, *expected.dns_names, *expected.ip_addresses}
        assert set(common_names) <= asked - {""}
    assert values(x509.DNSName) == set(expected.dns_names)
    assert values(x509.IPAddress) == set(expected.ip_addresses)
    assert values(x509.UniformResourceIdentifier) == set(expected.uris)
    assert values(x509.RFC822Name) == set(expected.email_addresses)
    others = [n for n in alternative_names(leaf) if isinstance(n, x509.OtherName)]
    assert {(o.type_id.dotted_string, o.value[2:].decode()) for o in others} == set(expected.other_names)

    assert next(name for kind, name in KEYS.items() if isinstance(leaf.public_key(), kind)) == expected.key
    assert is_ca(leaf) == expected.is_ca
    assert set(expected.usages) <= extended_usages(leaf)
    life = leaf.not_valid_after_utc - leaf.not_valid_before_utc
    granted = life - timedelta(seconds=expected.duration)
    assert -timedelta(minutes=1) <= granted <= backend.rounds_up

    if "request" in case.spec:
        assert "tls.key" not in secret
        assert spki(x509.load_pem_x509_csr(case.spec["request"].encode()).public_key()) == spki(leaf.public_key())
    else:
        assert spki(load_pem_private_key(secret["tls.key"], None).public_key()) == spki(leaf.public_key())

    text = {name: value.decode() for name, value in secret.items() if name in ("tls.crt", "ca.crt")}
    openssl.verify(tmp_path, text, *(() if backend.sends_root else ("-partial_chain",)))

    status = applied.kubectl.get("certificaterequest", name_of(case))["status"]
    assert int(status["serialNumber"], 16) == leaf.serial_number
    assert status["observedGeneration"] == 1
    assert spki(x509.load_pem_x509_csr(status["csr"].encode()).public_key()) == spki(leaf.public_key())


@pytest.mark.parametrize("case", [c for c in CASES if c.name == "one DNS name, ECDSA key"], ids=name_of)
def test_a_name_added_to_the_request_is_in_the_next_certificate(
    secret: dict[str, bytes], case: Case, applied: Applied
) -> None:
    changed = manifest("added", applied.issuer, dnsNames=["www.example.com"])
    applied.kubectl.apply(changed)
    applied.kubectl.wait_ready("added")
    changed["spec"]["dnsNames"].append("added.example.com")
    applied.kubectl.apply(changed)

    def names() -> set[str]:
        pem = base64.b64decode(applied.kubectl.get("secret", "added-tls")["data"]["tls.crt"])
        return {str(n.value) for n in alternative_names(x509.load_pem_x509_certificates(pem)[0])}

    wait_until("the added name is certified", lambda: names() == {"www.example.com", "added.example.com"})


def spki(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def alternative_names(certificate: x509.Certificate) -> list[x509.GeneralName]:
    try:
        found = certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
    except x509.ExtensionNotFound:
        return []
    assert isinstance(found, x509.SubjectAlternativeName)
    return list(found)


def is_ca(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def extended_usages(certificate: x509.Certificate) -> set[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return set()
    return {usage.dotted_string for usage in found}
