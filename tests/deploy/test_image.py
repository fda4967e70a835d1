"""The image, built from the Dockerfile and run as the base's Deployment runs it."""

import base64
import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from devcluster import ControlPlane
from tests.deploy.images import Image
from tests.support.kubectl import Kubectl
from tests.support.manifests import issuer, request
from tests.support.ports import free_ports

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="debootstrap and buildah need root"),
    pytest.mark.slow("builds an image"),
]

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


def test_its_labels_say_what_it_is(image: Image) -> None:
    prefix = "org.opencontainers.image"
    said = image.run(*image.entrypoint, "--version").split()[-1]
    assert image.labels[f"{prefix}.version"] == said
    assert image.labels[f"{prefix}.title"] == "csr-operator"
    assert image.labels[f"{prefix}.revision"]


def test_neither_pip_nor_the_way_to_the_package_index_is_in_it(image: Image) -> None:
    traces = "/etc/pip.conf /run/secrets /src /dist /opt/build"
    assert image.run("sh", "-c", f"ls -d {traces} 2>/dev/null; command -v pip pip3; true") == ""


def test_dns_services_are_there_with_what_route_53_needs(image: Image) -> None:
    """Confined as always. It tells the options that it takes before it asks anybody for anything."""
    change = {"action": "present", "name": "a.example.com", "value": "b"}
    asked = {"provider": "route53", "zone": "example.com", "options": {"token": ""}, "ttl": 60, "changes": [change]}
    text = f"""
import asyncio, os
from pathlib import Path
from csr_operator.dns.lexicon import PYTHON, _ISOLATION, _PROGRAM, _installation
from csr_operator.dns.process import run
python = os.environ[PYTHON]
reads = [_PROGRAM, *_installation(Path(python))]
stdin = {json.dumps(asked).encode()!r}
done = asyncio.run(run([python, "-I", _PROGRAM], environment=_ISOLATION, reads=reads, stdin=stdin, limit=60))
print(done.output.decode() or done)
"""
    [said] = json.loads(image.run("/opt/csr-operator/bin/python", "-c", text))
    assert said["error"] == "options"
    assert "it knows auth_access_key, auth_access_secret" in said["text"]


def test_it_issues_a_certificate_with_the_rights_and_arguments_of_the_deployment(
    image: Image, base: Kubectl, kubectl: Kubectl, cluster: ControlPlane, tmp_path: Path
) -> None:
    account, log = tmp_path / "serviceaccount", tmp_path / "log"
    _write_service_account(account, base)
    host, _, port = cluster.url.removeprefix("https://").partition(":")
    env = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
    [container] = base.get("deployment", "csr-operator")["spec"]["template"]["spec"]["containers"]
    # The pod's address and port are its own; here they are everybody's.
    address = f"127.0.0.1:{free_ports(1)[0]}"
    others = (f"--{name}-address=127.0.0.1:0" for name in ("metrics", "acme-http"))
    arguments = [*container["args"], f"--probe-address={address}", *others]

    with image.start(arguments, env=env, account=account, log=log) as process:
        for probe in ("livenessProbe", "readinessProbe"):
            _wait_for(f"http://{address}{container[probe]['httpGet']['path']}", process, log)
        kubectl.apply(issuer("root"), request("www", "root"))
        kubectl.wait_ready("www", seconds=PATIENCE)

    certificate = base64.b64decode(kubectl.get("secret", "www-tls")["data"]["tls.crt"])
    assert certificate.startswith(b"-----BEGIN CERTIFICATE-----")
    assert "forbidden" not in log.read_text().lower()


def _write_service_account(directory: Path, base: Kubectl) -> None:
    """The files that the kubelet mounts into a pod."""
    authority = "jsonpath={.clusters[0].cluster.certificate-authority-data}"
    directory.mkdir()
    directory.chmod(0o755)
    (directory / "ca.crt").write_bytes(base64.b64decode(base("config", "view", "--raw", "--flatten", "-o", authority)))
    (directory / "namespace").write_text(base.namespace)
    (directory / "token").write_text(base("create", "token", "csr-operator").strip())


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
