"""The manifests in examples/ do what they say."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from devcluster import ControlPlane
from tests.support.kubectl import Kubectl, wait_until
from tests.support.openssl import openssl
from tests.support.operator import OperatorProcess
from tests.support.ports import free_ports
from tests.support.site import decoded, new_namespace

TOP = Path(__file__).parents[2]
EXAMPLES = TOP / "examples"


@pytest.fixture(scope="module")
def cas(
    cluster: ControlPlane, operator_credentials: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Kubectl]:
    """A namespace in which everything of examples/demo was applied at once.

    The operator never asks an issuer again by itself here: each waits for a Secret that the operator writes.
    """
    kubectl = Kubectl(cluster, new_namespace(cluster))
    log = tmp_path_factory.mktemp("examples") / "operator.log"
    arguments = ("--namespace", kubectl.namespace, "--issuer-check-interval", "3600")
    with OperatorProcess(operator_credentials, log, *arguments):
        kubectl("apply", "-f", str(EXAMPLES / "demo"))
        yield kubectl


def test_root_intermediate_and_leaf_can_be_applied_at_once(cas: Kubectl) -> None:
    cas.wait_ready("root", "intermediate", "www")


@pytest.mark.parametrize("example", sorted(file.name for file in EXAMPLES.glob("*.yaml")))
def test_a_server_side_dry_run_accepts_it(kubectl: Kubectl, example: str) -> None:
    documents = list(yaml.safe_load_all((EXAMPLES / example).read_text()))
    answer = kubectl("apply", "--server-side", "--dry-run=server", "-f", str(EXAMPLES / example))
    assert answer.count("serverside-applied (server dry run)") == len(documents)


NGINX = ["nginx", "-e", "stderr", "-g", "daemon off;", "-p", "FOLDER", "-c", "nginx.conf"]
APACHE = ["apache2", "-D", "FOREGROUND", "-d", "/usr/lib/apache2", "-f", "FOLDER/httpd.conf"]
NGINX_CONF = """
pid nginx.pid;
events {}
http {
    client_body_temp_path body.tmp;
    proxy_temp_path proxy.tmp;
    fastcgi_temp_path fastcgi.tmp;
    uwsgi_temp_path uwsgi.tmp;
    scgi_temp_path scgi.tmp;
    access_log off;
    include www.conf;
}
"""


@pytest.mark.parametrize(
    ("example", "file", "command"), [("nginx", "www.conf", NGINX), ("apache", "httpd.conf", APACHE)]
)
def test_the_configuration_serves_the_certificate(
    cas: Kubectl, tmp_path: Path, example: str, file: str, command: list[str]
) -> None:
    """The very configuration of the example, but for the places that belong to the container."""
    cas.wait_ready("intermediate")
    cas("apply", "-f", str(EXAMPLES / f"{example}.yaml"))
    cas.wait_ready(example)
    for name, value in decoded(cas.get("secret", f"{example}-tls")).items():
        (tmp_path / name).write_text(value)
    (port,) = free_ports(1)
    config = cas.get("configmap", example)["data"][file]
    for container, here in {
        "*:443": f"127.0.0.1:{port}",
        " 443": f" 127.0.0.1:{port}",
        "/etc/tls": str(tmp_path),
        "/tmp/httpd.pid": str(tmp_path / "httpd.pid"),
        "/usr/local/apache2/htdocs": str(tmp_path),
        "conf/mime.types": "/dev/null",
    }.items():
        config = config.replace(container, here)
    (tmp_path / file).write_text(config)
    (tmp_path / "nginx.conf").write_text(NGINX_CONF)

    with _serving([part.replace("FOLDER", str(tmp_path)) for part in command], port, tmp_path / "log"):
        answer = openssl(
            *("s_client", "-connect", f"127.0.0.1:{port}", "-servername", "example.com"),
            *("-CAfile", tmp_path / "ca.crt", "-verify_hostname", "example.com", "-verify_return_error"),
        )

    assert "Verify return code: 0 (ok)" in answer


@contextmanager
def _serving(command: list[str], port: int, log: Path) -> Iterator[None]:
    def listens() -> bool:
        assert server.poll() is None, log.read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    with log.open("wb") as output:
        server = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        wait_until(f"{command[0]} listens", listens)
        yield
    finally:
        server.terminate()
        server.wait(timeout=30)
