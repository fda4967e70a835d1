"""One object of one user harms that object alone: not a watch, not a list, not another tenant, not the next start."""

import base64
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from devcluster import ControlPlane
from tests.support.kubectl import Kubectl, wait_until
from tests.support.manifests import issuer, request, root_and_ca
from tests.support.names import unique
from tests.support.operator import OperatorProcess
from tests.support.scene import heal
from tests.support.site import Site, new_namespace

GROUP = "csr-operator.dev"
TLS_FEATURE_99 = bytes.fromhex("3003020163")


class Tenant:
    """Somebody with a role in a namespace, who acts by kubectl; without a name, the cluster's administrator."""

    def __init__(self, site: Site, user: str = "") -> None:
        self.kubectl = site.kubectl
        self._as = (f"--as={user}",) if user else ()

    def creates(self, *objects: dict[str, Any]) -> None:
        for obj in objects:
            self.kubectl("create", "-f", "-", *self._as, stdin=_text(obj))

    def creates_as_it_stands(self, secret: dict[str, Any]) -> None:
        """Without kubectl's own ideas of how JSON is written."""
        path = f"/api/v1/namespaces/{self.kubectl.namespace}/secrets"
        self.kubectl("create", "--raw", path, "-f", "-", *self._as, stdin=_text(secret))

    def is_refused(self, secret: dict[str, Any]) -> None:
        """By admission, as it claims to be the operator's."""
        with pytest.raises(AssertionError, match="what the operator keeps in a Secret requires the permission"):
            self.creates_as_it_stands(secret)


@pytest.fixture
def other(cluster: ControlPlane) -> Kubectl:
    """Another tenant's namespace."""
    kubectl = Kubectl(cluster, new_namespace(cluster))
    kubectl.apply(*root_and_ca())
    return kubectl


@pytest.fixture
def shared(cluster: ControlPlane, operator_credentials: Path, other: Kubectl, tmp_path: Path) -> Iterator[Site]:
    """Two tenants with one operator, as in production."""
    kubectl = Kubectl(cluster, new_namespace(cluster))
    kubectl.apply(*root_and_ca())
    arguments = ("--namespace", kubectl.namespace, "--namespace", other.namespace)
    with OperatorProcess(operator_credentials, tmp_path / "operator.log", *arguments) as operator:
        yield Site(kubectl, operator)


@pytest.fixture
def editor(shared: Site) -> Tenant:
    shared.kubectl("create", "rolebinding", "editor", "--clusterrole=edit", "--user=editor")
    return Tenant(shared, "editor")


@pytest.fixture
def administrator(shared: Site) -> Tenant:
    """Past the admission policy, as where it was not installed."""
    return Tenant(shared)


@pytest.fixture
def requester(shared: Site) -> Tenant:
    verbs = "--verb=create,get,list,patch"
    shared.kubectl("create", "role", "requester", verbs, "--resource=certificaterequests.csr-operator.dev")
    shared.kubectl("create", "rolebinding", "requester", "--role=requester", "--user=requester")
    return Tenant(shared, "requester")


def _managed(name: str, **metadata: Any) -> dict[str, Any]:
    labels = {f"{GROUP}/managed": "true"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "labels": labels, **metadata}}


DEEP = "what is nested deeply"


def _text(obj: dict[str, Any]) -> str:
    """As JSON, with something in the place of DEEP that Python's own encoder does not write."""
    return json.dumps(obj).replace(f'"{DEEP}"', '{"f:x":' * 2000 + "{}" + "}" * 2000)


def _strange_secrets() -> dict[str, dict[str, Any]]:
    """By name; each as somebody with the role `edit` may create it, but for the admission policy."""
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "uid": str(uuid.uuid4())}
    deep = {
        "apiVersion": "v1",
        "manager": "me",
        "operation": "Apply",
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:metadata": DEEP},
    }
    return {
        "nested": _managed("nested", annotations={f"{GROUP}/owed-revocations": "[" * 5000}),
        # "<" becomes < in JSON: more than anybody reads at once.
        "long": _managed("long", ownerReferences=[{**reference, "name": "<" * 1_200_000}]),
        "deep": _managed("deep", managedFields=[deep]),
        "staging": {
            **_managed("staging"),
            "metadata": {
                "name": "staging",
                "labels": {f"{GROUP}/managed": "true", f"{GROUP}/staging": "true"},
                "annotations": {f"{GROUP}/revision": "9" * 30, f"{GROUP}/issuance-hash": "x" * 200_000},
            },
        },
    }


def _others_are_served(other: Kubectl, operator: OperatorProcess) -> None:
    """What they ask for is issued, and what they lose is made again; the operator never ended."""
    name = unique("www")
    other.apply(request(name, "ca"))
    other.wait_ready(name, seconds=60)
    heal(other, f"{name}-tls")
    assert not operator.has_ended()
    assert operator.is_ready()


def test_no_secret_of_a_tenant_ends_the_operator_or_keeps_it_from_starting(
    shared: Site, other: Kubectl, editor: Tenant, administrator: Tenant
) -> None:
    secrets = _strange_secrets()
    for secret in secrets.values():
        editor.is_refused(secret)
        administrator.creates_as_it_stands(secret)
    _others_are_served(other, shared.operator)
    for name in secrets:
        shared.kubectl("label", "--overwrite", "secret", name, "touched=yes", "--as=editor")
    _others_are_served(other, shared.operator)

    with shared.operator_away():
        pass  # it starts once more, and lists them

    _others_are_served(other, shared.operator)
    log = shared.operator.log.read_text()
    assert "Traceback" not in log
    assert "<<<<" not in log
    assert "[[[[" not in log


def test_a_secret_that_is_too_long_to_be_read_is_nobody_elses(
    shared: Site, editor: Tenant, administrator: Tenant
) -> None:
    """It is there, and the operator does not write to it."""
    editor.is_refused(_strange_secrets()["long"])
    administrator.creates_as_it_stands(_strange_secrets()["long"])
    editor.creates(request("www", "ca", secretName="long"))
    told = shared.wait_condition("www", "Stalled", "SecretNotOwned")
    assert told["message"].startswith("Secret long was not made by the operator and is left untouched")
    with shared.operator_away():
        pass
    shared.settle()
    assert shared.wait_condition("www", "Stalled", "SecretNotOwned")["message"] == told["message"]


def _csr(subject: x509.Name, *extensions: x509.ExtensionType) -> bytes:
    builder = x509.CertificateSigningRequestBuilder(subject)
    names = x509.SubjectAlternativeName([x509.DNSName("odd.example.com")])
    for extension in (names, *extensions):
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(generate_private_key(SECP256R1()), SHA256()).public_bytes(Encoding.DER)


def _odd_csrs() -> dict[str, str]:
    plain = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "odd.example.com")])
    feature = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.5.5.7.1.24"), TLS_FEATURE_99)
    bits = _csr(plain).replace(b"\x0c\x0fodd.example.com", b"\x03\x0f\x00dd.example.com", 1)
    ders = {"feature": _csr(plain, feature), "bits": bits}
    return {name: _pem(der) for name, der in ders.items()}


def _pem(der: bytes) -> str:
    """A CSR as PEM, whatever is in it."""
    return f"-----BEGIN CERTIFICATE REQUEST-----\n{base64.encodebytes(der).decode()}-----END CERTIFICATE REQUEST-----\n"


def test_no_request_keeps_the_operator_from_starting(shared: Site, other: Kubectl, requester: Tenant) -> None:
    shared.kubectl.wait_ready("ca", kind="issuer")
    csrs = _odd_csrs()
    requester.creates(*(request(f"odd-{name}", "ca", request=csr) for name, csr in csrs.items()))
    for name in csrs:
        told = shared.wait_condition(f"odd-{name}", "Stalled", "InvalidSpec")
        assert told["message"].startswith("spec.request: ")

    with shared.operator_away():
        pass  # it starts once more, and gets ready

    _others_are_served(other, shared.operator)
    assert "Traceback" not in shared.operator.log.read_text()


def test_no_issuer_keeps_the_operator_from_starting(shared: Site, other: Kubectl, editor: Tenant) -> None:
    deep = issuer("deep", external={"name": "nothing", "config": {"deep": DEEP}})
    with pytest.raises(AssertionError, match='User "editor" cannot create resource "issuers"'):
        editor.creates(deep)
    shared.kubectl("create", "rolebinding", "issuers", "--clusterrole=csr-operator-issuers", "--user=editor")
    editor.creates(deep)
    _others_are_served(other, shared.operator)
    with shared.operator_away():
        pass
    _others_are_served(other, shared.operator)
    message = "jsonpath={.status.conditions[0].message}"
    words = "spec.external: nested more than 32 levels deep: make it flatter"
    wait_until("its user is told", lambda: shared.kubectl("get", "issuer", "deep", "-o", message) == words)
    shared.kubectl("delete", "issuer", "deep", "--wait=false")  # jq, with which others make a backup, stops at it


def test_a_warning_of_many_bytes_is_not_lost(shared: Site, requester: Tenant) -> None:
    """The API server counts the bytes of an event's note, of which a character may have four."""
    rules = [{"name": f"r{number}", "uris": {}} for number in range(3)]
    shared.kubectl.apply(issuer("strict", selfSigned={}, policy={"rules": rules}))
    uris = [f"https://example.com/{number}/{'𝌆' * 90}" for number in range(3)]
    requester.creates(request("wide", "strict", uris=uris))
    shared.wait_condition("wide", "Stalled", "PolicyDenied")
    [warning] = wait_until("the event is there", lambda: shared.warnings("wide"))
    assert warning["note"].startswith("Issuer ")
    assert 1000 < len(warning["note"].encode()) <= 1024
