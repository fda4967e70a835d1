"""The image, built from the Dockerfile and run as the base's Deployment runs it."""

import base64
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from devcluster import ControlPlane
from tests.deploy.images import Image

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="debootstrap and buildah need root")

PATIENCE = 120.0


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    directory = tmp_path_factory.mktemp("image")
    yield Image(directory)
    shutil.rmtree(directory)


def test_it_runs_the_operator_as_a_user_that_is_not_root(image: Image) -> None:
    """By number: the kubelet cannot check `runAsNonRoot` by a name."""
    user, group = image.user.split(":")
    assert int(user) > 0
    assert int(group) > 0
    assert image.run("id", "-u").strip() == user
    assert "usage: csr-operator" in image.run(*image.entrypoint, "--help")


def test_neither_pip_nor_the_way_to_the_package_index_is_in_it(image: Image) -> None:
    traces = "/etc/pip.conf /run/secrets /src /dist /opt/build"
    assert image.run("sh", "-c", f"ls -d {traces} 2>/dev/null; command -v pip pip3; true") == ""


def test_it_issues_a_certificate_with_the_rights_and_arguments_of_the_deployment(
    image: Image,
    base: str,
    pod_template: dict[str, Any],
    kubectl: Callable[..., str],
    cluster: ControlPlane,
    namespace: str,
    tmp_path: Path,
) -> None:
    account, log = tmp_path / "serviceaccount", tmp_path / "log"
    _write_service_account(account, base, kubectl)
    host, _, port = cluster.url.removeprefix("https://").partition(":")
    env = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
    [container] = pod_template["spec"]["containers"]
    # The pod's address and port are its own; here they are everybody's.
    address = f"127.0.0.1:{_free_port()}"
    arguments = [*container["args"], f"--metrics-address={address}"]

    with image.start(arguments, env=env, account=account, log=log) as process:
        for probe in ("livenessProbe", "readinessProbe"):
            _wait_for(f"http://{address}{container[probe]['httpGet']['path']}", process, log)
        kubectl("create", "-n", namespace, "-f", "-", stdin=_object("Issuer", "root", {"selfSigned": {}}))
        spec = {"secretName": "www-tls", "issuerRef": {"name": "root"}, "dnsNames": ["www.example.com"]}
        kubectl("create", "-n", namespace, "-f", "-", stdin=_object("CertificateRequest", "www", spec))
        request = "certificaterequest.csr-operator.dev/www"
        kubectl("wait", "-n", namespace, "--for=condition=Ready", f"--timeout={PATIENCE:.0f}s", request)

    secret = json.loads(kubectl("get", "secret", "www-tls", "-n", namespace, "-o", "json"))
    assert secret["type"] == "kubernetes.io/tls"
    assert base64.b64decode(secret["data"]["tls.crt"]).startswith(b"-----BEGIN CERTIFICATE-----")
    assert "forbidden" not in log.read_text().lower()


def _object(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "csr-operator.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def _write_service_account(directory: Path, namespace: str, kubectl: Callable[..., str]) -> None:
    """The files that the kubelet mounts into a pod."""
    authority = "jsonpath={.clusters[0].cluster.certificate-authority-data}"
    directory.mkdir()
    directory.chmod(0o755)
    (directory / "ca.crt").write_bytes(
        base64.b64decode(kubectl("config", "view", "--raw", "--flatten", "-o", authority))
    )
    (directory / "namespace").write_text(namespace)
    (directory / "token").write_text(kubectl("create", "token", "csr-operator", "-n", namespace).strip())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until `url` answers 200."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with suppress(urllib.error.URLError, TimeoutError), urllib.request.urlopen(url, timeout=5):
            return
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
            break
    raise AssertionError(f"{url} did not answer 200\n{log.read_text()}")
