"""What is exchanged at the API server while the operator runs, as in a pod, by the API server itself: its certificate,
its CA, the operator's token, and how far back it knows what happened. The process is never started anew.
"""

import asyncio
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from devcluster import ControlPlane, control_plane
from devcluster.certs import Authority
from tests.support.api_proxy import ApiProxy, Fault
from tests.support.kubectl import Kubectl, wait_until
from tests.support.manifests import issuer, request
from tests.support.operator import NAMESPACE, OperatorProcess, operator_kubeconfig
from tests.support.proxy import Proxy, port_of
from tests.support.site import new_namespace


@dataclass(frozen=True)
class Pod:
    """Where the operator finds token and CA. serving: what the API server shows who asks for localhost."""

    folder: Path
    serving: Path

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    def trust(self, *authorities: Authority) -> None:
        _replace(self.folder / "ca.crt", b"".join(authority.key_pair.certificate for authority in authorities))

    def serve(self, authority: Authority) -> None:
        """Have the API server show a certificate of this CA; it looks at the files by itself."""
        pair = authority.server()
        _replace(self.serving / "localhost.key", pair.key)
        _replace(self.serving / "localhost.crt", pair.certificate)


def _replace(file: Path, content: bytes) -> None:
    """As the kubelet does: nobody sees half of it."""
    new = file.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_bytes(content)
    new.rename(file)


@pytest.fixture(scope="module")
def first_ca() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def serving(first_ca: Authority, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("serving")
    first_ca.server().write(folder, "localhost")
    return folder


@pytest.fixture(scope="module")
def cluster(serving: Path) -> Iterator[ControlPlane]:
    """Its watches come from etcd, which forgets what is older than some seconds."""
    options = [
        f"--tls-sni-cert-key={serving / 'localhost.crt'},{serving / 'localhost.key'}:localhost",
        "--watch-cache=false",
        "--etcd-compaction-interval=1s",
    ]
    with control_plane(options=options) as plane:
        yield plane


@pytest.fixture(scope="module")
def operator_credentials(cluster: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return operator_kubeconfig(cluster, tmp_path_factory.mktemp("changing-operator"))


@pytest.fixture
def proxy(cluster: ControlPlane) -> Iterator[Proxy]:
    with Proxy(port_of(cluster.url)) as proxy:
        yield proxy


@pytest.fixture
def pod(first_ca: Authority, serving: Path, proxy: Proxy, operator_credentials: Path, tmp_path: Path) -> Pod:
    config = yaml.safe_load(operator_credentials.read_text())
    (tmp_path / "token").write_text(config["users"][0]["user"]["token"])
    config["clusters"][0]["cluster"]["server"] = f"https://localhost:{proxy.port}"
    pod = Pod(tmp_path, serving)
    pod.kubeconfig.write_text(yaml.safe_dump(config))
    pod.trust(first_ca)
    return pod


@pytest.fixture
def operator(pod: Pod, kubectl: Kubectl) -> Iterator[OperatorProcess]:
    arguments = (pod.folder / "operator.log", "--namespace", kubectl.namespace)
    with OperatorProcess(pod.kubeconfig, *arguments, podded=True) as operator:
        kubectl.apply(issuer("ca"))
        _works(kubectl, "before")
        yield operator
        assert "Traceback" not in operator.log.read_text()


def _works(kubectl: Kubectl, name: str) -> None:
    """It sees what a user does, and writes."""
    kubectl.create(request(name, "ca"))
    kubectl.wait_ready(name, seconds=60)


def _shows(pod: Pod, cluster: ControlPlane, authority: Authority) -> None:
    """Wait until the API server does."""
    trusted = pod.folder / "trusted.crt"
    trusted.write_bytes(authority.key_pair.certificate)
    asked = f"localhost:{port_of(cluster.url)}"
    command = ["openssl", "s_client", "-verify_return_error", "-servername", "localhost", "-CAfile", str(trusted)]

    def shown() -> bool:
        return (
            subprocess.run([*command, "-connect", asked], stdin=subprocess.DEVNULL, capture_output=True).returncode == 0
        )

    wait_until("the API server shows the new certificate", shown, seconds=90)


def test_a_certificate_that_is_renewed_under_the_same_ca(
    cluster: ControlPlane, kubectl: Kubectl, proxy: Proxy, pod: Pod, operator: OperatorProcess, first_ca: Authority
) -> None:
    before = (pod.serving / "localhost.crt").read_bytes()
    pod.serve(first_ca)
    assert (pod.serving / "localhost.crt").read_bytes() != before
    _shows(pod, cluster, first_ca)
    proxy.cut()

    _works(kubectl, "renewed")
    assert operator.is_ready()


@pytest.mark.parametrize("late", [False, True], ids=["first", "late"])
def test_a_ca_that_is_replaced_in_its_file(
    cluster: ControlPlane,
    kubectl: Kubectl,
    proxy: Proxy,
    pod: Pod,
    operator: OperatorProcess,
    first_ca: Authority,
    *,
    late: bool,
) -> None:
    """late: the API server is shown with it before the file says so, as the kubelet takes its time."""
    second_ca = Authority()
    if not late:
        pod.trust(first_ca, second_ca)
    pod.serve(second_ca)
    try:
        _shows(pod, cluster, second_ca)
        proxy.cut()
        if late:
            wait_until("it is refused", lambda: "CERTIFICATE_VERIFY_FAILED" in operator.log.read_text())
        pod.trust(second_ca)

        _works(kubectl, "replaced")
        assert operator.is_ready()
    finally:
        pod.serve(first_ca)
        _shows(pod, cluster, first_ca)


def test_a_ca_that_is_trusted_no_more(
    cluster: ControlPlane, kubectl: Kubectl, proxy: Proxy, pod: Pod, operator: OperatorProcess, first_ca: Authority
) -> None:
    """What the file does not say any more is not believed, from the next reading of the file on."""
    second_ca = Authority()
    pod.trust(second_ca)
    pod.serve(second_ca)
    _shows(pod, cluster, second_ca)
    proxy.cut()
    _works(kubectl, "second")
    pod.serve(first_ca)
    _shows(pod, cluster, first_ca)
    proxy.cut()

    wait_until(
        "it is refused", lambda: "CERTIFICATE_VERIFY_FAILED" in operator.log.read_text().rpartition("replaced")[2]
    )
    pod.trust(first_ca)
    _works(kubectl, "first-again")


def test_a_token_that_rotates_in_its_file(
    kubectl: Kubectl, proxy: Proxy, pod: Pod, operator: OperatorProcess, cluster: ControlPlane
) -> None:
    """The one before is refused by the API server, as the object that it was bound to is gone."""
    system = Kubectl(cluster, NAMESPACE)
    for name in ("first", "second"):
        system.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}})
    bound = ("create", "token", "csr-operator", "--bound-object-kind=Secret", "--bound-object-name")
    first, second = (system(*bound, name).strip() for name in ("first", "second"))

    def refused(token: str) -> bool:
        said = ["--server", cluster.url, "--token", token, "get", "--raw", "/version", "--insecure-skip-tls-verify"]
        done = subprocess.run([cluster.kubectl, "--kubeconfig=/dev/null", *said], capture_output=True)
        return done.returncode != 0

    _replace(pod.folder / "token", first.encode())
    operator.stop()
    operator.start()
    assert not refused(first)
    system("delete", "secret", "first")
    wait_until("the token is refused", lambda: refused(first))
    proxy.cut()
    wait_until("it is told so", lambda: "401" in operator.log.read_text())
    _replace(pod.folder / "token", second.encode())

    _works(kubectl, "rotated")
    assert operator.is_ready()


def test_what_etcd_has_forgotten_is_listed_anew(
    cluster: ControlPlane, operator_credentials: Path, tmp_path: Path
) -> None:
    """A watch that showed nothing for a while goes on from a version that was compacted away."""
    kubectl = Kubectl(cluster, new_namespace(cluster))
    with ApiProxy(cluster.kubeconfig) as proxy:
        kubeconfig = proxy.kubeconfig(operator_credentials, tmp_path)
        with OperatorProcess(kubeconfig, tmp_path / "operator.log", "--namespace", kubectl.namespace) as operator:
            kubectl.apply(issuer("ca"))
            _works(kubectl, "before")
            _works(kubectl, "left")
            proxy.muted = True
            version = kubectl.get("csreq", "left")["metadata"]["resourceVersion"]
            kubectl("delete", "csreq", "before")
            kubectl.create(request("meanwhile", "ca"))
            wait_until("it is compacted", lambda: _is_gone(kubectl, version))
            proxy.muted = False
            proxy.cut()

            kubectl.wait_ready("meanwhile", seconds=60)
            wait_until("410 was said", lambda: {"certificaterequests", "secrets"} <= set(proxy.gone))
            shown = 'csr_operator_request_ready{name="before"'
            wait_until("the deleted is forgotten", lambda: shown not in operator.get("/metrics"))
            assert "Traceback" not in operator.log.read_text()


def test_a_list_of_which_the_rest_was_forgotten_begins_anew(
    cluster: ControlPlane, operator_credentials: Path, tmp_path: Path
) -> None:
    """Between two pages etcd was compacted."""
    kubectl = Kubectl(cluster, new_namespace(cluster))
    with ApiProxy(cluster.kubeconfig) as proxy:
        kubeconfig = proxy.kubeconfig(operator_credentials, tmp_path)
        kubectl.apply(issuer("ca"), *(request(f"leaf-{n}", "ca") for n in range(3)))
        proxy.page = 1

        async def forgotten(path: str) -> None:
            listed = await asyncio.to_thread(kubectl, "get", "--raw", f"{path}?limit=1")
            version = json.loads(listed)["metadata"]["resourceVersion"]
            while not await asyncio.to_thread(_is_gone, kubectl, version):
                pass  # each look takes a second

        proxy.faults.append(Fault(1, "certificaterequests", ("continue",), before=forgotten))
        with OperatorProcess(kubeconfig, tmp_path / "operator.log", "--namespace", kubectl.namespace) as operator:
            kubectl.wait_ready("leaf-0", "leaf-1", "leaf-2", seconds=60)
            assert "certificaterequests" in proxy.gone
            assert "Traceback" not in operator.log.read_text()


def _is_gone(kubectl: Kubectl, version: str) -> bool:
    """The API server does not know any more what happened since then."""
    path = f"/apis/csr-operator.dev/v1alpha1/certificaterequests?watch=true&timeoutSeconds=1&resourceVersion={version}"
    return '"code":410' in kubectl("get", "--raw", path)
