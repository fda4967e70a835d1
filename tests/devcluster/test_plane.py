"""The control plane as its clients see it: real, verified both ways, and with the controllers that tests need."""

import contextlib
import json
import os
import signal
import socket
import ssl
import urllib.error
import urllib.request
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from devcluster import ControlPlane, DevclusterError, control_plane
from tests.support.kubectl import Kubectl, wait_until

pytestmark = pytest.mark.slow("starts control planes")

CRDS = Path(__file__).parents[2] / "crds"
CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: things, kind: Thing}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}
"""

ASSETS = os.environ.get("KUBEBUILDER_ASSETS")
controllers = pytest.mark.skipif(
    bool(ASSETS) and not Path(str(ASSETS), "kube-controller-manager").exists(),
    reason="KUBEBUILDER_ASSETS holds no kube-controller-manager",
)


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane that may be hurt, with one CRD, next to that of the session."""
    crds = tmp_path_factory.mktemp("crds")
    (crds / "things.yaml").write_text(CRD)
    (crds / "kustomization.yaml").write_text("kind: Kustomization\nresources: [things.yaml]\n")
    with control_plane(crds=crds) as running:
        yield running


def config(cluster: ControlPlane) -> dict[str, Any]:
    """The cluster entry of its kubeconfig."""
    return dict(yaml.safe_load(cluster.kubeconfig.read_text())["clusters"][0]["cluster"])


def ca(cluster: ControlPlane) -> str:
    return b64decode(config(cluster)["certificate-authority-data"]).decode()


def get(url: str, tls: ssl.SSLContext, token: str | None = None) -> tuple[int, Any]:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, context=tls, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_custom_resources_of_the_checkout_are_served(kubectl: Kubectl) -> None:
    names = {yaml.safe_load(file.read_text())["metadata"]["name"] for file in CRDS.glob("csr-operator.dev_*.yaml")}
    assert len(names) == 3
    for name in names:
        kubectl("get", name)


def test_custom_resources_are_there_at_once(plane: ControlPlane) -> None:
    """kubectl finds them in its first call, and `default` exists; other files in the folder are no trouble."""
    assert Kubectl(plane, "default")("get", "things", "-o", "name") == ""


def test_kubeconfig_verifies_the_server(cluster: ControlPlane) -> None:
    assert set(config(cluster)) == {"server", "certificate-authority-data"}
    assert config(cluster)["server"] == cluster.url
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        get(cluster.url, ssl.create_default_context())


def test_server_verifies_its_clients(cluster: ControlPlane, tmp_path: Path) -> None:
    """Nobody gets in without a certificate of the plane's own CA."""
    tls = ssl.create_default_context(cadata=ca(cluster))
    status, _ = get(f"{cluster.url}/api/v1/secrets", tls)
    assert status == 403  # as system:anonymous

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:masters")])
    issued = x509.load_pem_x509_certificate(ca(cluster).encode())
    forged = (
        x509.CertificateBuilder(issued.issuer, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(issued.not_valid_before_utc)
        .not_valid_after(issued.not_valid_after_utc)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "forged.pem"
    file.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + forged.public_bytes(Encoding.PEM)
    )
    tls.load_cert_chain(file)
    status, _ = get(f"{cluster.url}/api/v1/secrets", tls)
    assert status == 401


def test_only_the_api_server_listens_and_only_on_loopback(plane: ControlPlane) -> None:
    listening = set()
    for pid in plane_processes(plane):
        sockets = {file.stat().st_ino for file in Path(f"/proc/{pid}/fd").iterdir() if file.is_socket()}
        for table in ("tcp", "tcp6"):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                _, local, _, state, *_, inode = line.split()[:10]
                if state == "0A" and int(inode) in sockets:
                    listening.add(local)
    address = socket.inet_aton("127.0.0.1")[::-1].hex().upper()
    assert listening == {f"{address}:{int(plane.url.rpartition(':')[2]):04X}"}


def plane_processes(plane: ControlPlane) -> dict[int, list[str]]:
    """Process id and the first two words of the command line of the plane's parts."""
    found = {}
    for entry in Path("/proc").iterdir():
        # A process may end while it is looked at.
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and (entry / "cwd").readlink() == plane.kubeconfig.parent:
                words = (entry / "cmdline").read_bytes().decode().split("\0")
                found[int(entry.name)] = words[:2]
    return found


@controllers
def test_namespace_goes_with_what_is_in_it(kubectl: Kubectl) -> None:
    kubectl("create", "configmap", "inside")
    kubectl("delete", "namespace", kubectl.namespace, "--timeout=30s")
    assert kubectl.get("namespace", kubectl.namespace) == {}


@controllers
def test_garbage_is_collected(kubectl: Kubectl) -> None:
    """What is owned goes with its owner."""
    kubectl("create", "configmap", "owner")
    uid = kubectl.get("configmap", "owner")["metadata"]["uid"]
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}
    kubectl.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "owned", "ownerReferences": [owner]}})
    kubectl("delete", "configmap", "owner")
    kubectl("wait", "--for=delete", "secret/owned", "--timeout=30s")


@controllers
def test_approved_request_is_signed(cluster: ControlPlane, kubectl: Kubectl, tmp_path: Path) -> None:
    """A kube-apiserver-client CertificateSigningRequest becomes a certificate that the API server takes."""
    user = f"jane.{kubectl.namespace}"
    key = ec.generate_private_key(ec.SECP256R1())
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, user)]))
        .sign(key, hashes.SHA256())
    )
    spec = {
        "signerName": "kubernetes.io/kube-apiserver-client",
        "request": b64encode(request.public_bytes(Encoding.PEM)).decode(),
        "usages": ["client auth"],
    }
    kind = "CertificateSigningRequest"
    kubectl.apply({"apiVersion": "certificates.k8s.io/v1", "kind": kind, "metadata": {"name": user}, "spec": spec})
    kubectl("certificate", "approve", user)
    kubectl("wait", f"csr/{user}", "--for=jsonpath={.status.certificate}", "--timeout=30s")

    file = tmp_path / "client.pem"
    file.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + b64decode(kubectl.get("csr", user)["status"]["certificate"])
    )
    tls = ssl.create_default_context(cadata=ca(cluster))
    tls.load_cert_chain(file)
    status, answer = get(f"{cluster.url}/api/v1/secrets", tls)
    assert status == 403
    assert f'User "{user}" cannot list' in answer["message"]


def test_service_account_has_a_token_and_the_rights_it_is_given(cluster: ControlPlane, kubectl: Kubectl) -> None:
    kubectl("create", "serviceaccount", "robot")
    token = kubectl("create", "token", "robot").strip()
    tls = ssl.create_default_context(cadata=ca(cluster))
    url = f"{cluster.url}/api/v1/namespaces/{kubectl.namespace}/secrets"
    assert get(url, tls, token)[0] == 403
    subject = f"--serviceaccount={kubectl.namespace}:robot"
    kubectl("create", "rolebinding", "robot", "--clusterrole=edit", subject)
    wait_until("the role is bound", lambda: get(url, tls, token)[0] == 200)


def test_audit_log_has_each_request_once(cluster: ControlPlane, kubectl: Kubectl) -> None:
    """The request, its user agent and its outcome are there as soon as it has been answered."""
    kubectl("create", "configmap", "audited")
    with pytest.raises(AssertionError, match="already exists"):
        kubectl("create", "configmap", "audited")
    events = [
        event
        for event in cluster.audit_events()
        if event.get("objectRef", {}).get("resource") == "configmaps"
        and event["objectRef"].get("namespace") == kubectl.namespace
    ]
    assert [(event["verb"], event["responseStatus"]["code"]) for event in events] == [("create", 201), ("create", 409)]
    assert all(event["userAgent"].startswith("kubectl/v1.") for event in events)


def test_no_audit_log_was_asked_for(plane: ControlPlane) -> None:
    assert plane.audit_log is None
    with pytest.raises(ValueError, match="without audit_log"):
        plane.audit_events()


@controllers
def test_api_server_stops_and_comes_back(cluster: ControlPlane, plane: ControlPlane) -> None:
    """At the same address with the same data; another control plane is not touched."""
    kubectl = Kubectl(plane, "default")
    kubectl("create", "configmap", "kept")
    plane.stop_apiserver()
    try:
        with pytest.raises(AssertionError, match="refused"):
            kubectl("get", "configmap", "kept")
        assert Kubectl(cluster, "default").get("configmap", "kept") == {}
    finally:
        plane.start_apiserver()
    assert kubectl.get("configmap", "kept")["metadata"]["name"] == "kept"
    # The controllers have found it again.
    kubectl("create", "namespace", "passing")
    kubectl("delete", "namespace", "passing", "--timeout=60s")


def test_port_of_a_stopped_api_server_stays_taken(plane: ControlPlane) -> None:
    """Nobody else gets it, so that the server can come back."""
    port = int(plane.url.rpartition(":")[2])
    plane.stop_apiserver()
    try:
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))
    finally:
        plane.start_apiserver()


def test_part_that_dies_is_reported(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with control_plane(crds=tmp_path) as running:
        processes = plane_processes(running).items()
        pid = next(pid for pid, words in processes if "etcd" in [Path(word).name for word in words])
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert "etcd ended with status -9" in capsys.readouterr().err
    assert not running.kubeconfig.exists()


def test_crd_that_the_api_server_refuses(tmp_path: Path) -> None:
    (tmp_path / "crd.yaml").write_text(CRD.replace("type: object", "type: nonsense"))
    with (
        pytest.raises(DevclusterError, match=r"things\.example\.com is refused: .*nonsense"),
        control_plane(crds=tmp_path),
    ):
        pass


def test_crd_file_that_is_no_yaml(tmp_path: Path) -> None:
    (tmp_path / "crd.yaml").write_text("kind: [")
    with pytest.raises(DevclusterError, match=r"crd\.yaml is not YAML"), control_plane(crds=tmp_path):
        pass
