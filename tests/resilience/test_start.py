"""What a wrong start says: one sentence with the remedy and status 1; where waiting helps, it waits."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.kubectl import Kubectl, wait_until
from tests.support.manifests import issuer, request
from tests.support.operator import OperatorProcess
from tests.support.proxy import Proxy, kubeconfig_through
from tests.support.scene import create

KUBECONFIGS = {
    "missing": None,
    "empty": "",
    "no YAML": "{[",
    "no such context": "{apiVersion: v1, kind: Config, clusters: [], contexts: [], users: [], current-context: gone}",
}


PORTS = {"probe": 0, "metrics": 0, "acme_http": 0}


def _failed_start(kubeconfig: Path, **ports: int) -> str:
    """What the operator says on standard error before it ends with status 1."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "csr_operator", "run"),
            *(f"--{name.replace('_', '-')}-address=127.0.0.1:{port}" for name, port in (PORTS | ports).items()),
        ],
        env={**os.environ, "KUBECONFIG": str(kubeconfig)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.slow("starts the operator, imports and all")
@pytest.mark.parametrize("case", KUBECONFIGS)
def test_a_kubeconfig_that_cannot_be_used(case: str, tmp_path: Path) -> None:
    path, text = tmp_path / "kubeconfig", KUBECONFIGS[case]
    if text is not None:
        path.write_text(text)

    said = _failed_start(path)

    assert len(said.splitlines()) == 2  # after the one with the version
    assert str(path) in said
    assert "KUBECONFIG" in said


def test_credentials_that_the_api_server_refuses(operator_credentials: Path, tmp_path: Path) -> None:
    config = yaml.safe_load(operator_credentials.read_text())
    config["users"][0]["user"]["token"] = "nonsense"
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(config))

    said = _failed_start(path)

    assert len(said.splitlines()) == 2  # after the one with the version
    assert "401" in said
    assert "nonsense" not in said


def test_an_address_that_is_in_use(operator_credentials: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        said = {name: _failed_start(operator_credentials, **{name: port}) for name in PORTS}

    for name, text in said.items():
        assert len(text.splitlines()) == 2
        assert f"127.0.0.1:{port}" in text
        assert f"--{name.replace('_', '-')}-address" in text


def test_an_api_server_that_is_not_there_yet(
    kubectl: Kubectl, proxy: Proxy, operator_credentials: Path, tmp_path: Path
) -> None:
    kubeconfig = kubeconfig_through(proxy, operator_credentials, tmp_path)
    operator = OperatorProcess(kubeconfig, tmp_path / "operator.log", "--namespace", kubectl.namespace)
    proxy.refuse()
    operator.launch()
    try:
        wait_until("it says what it waits for", lambda: "Cannot connect" in operator.log.read_text())
        assert operator.get("/healthz") == "ok\n"
        assert not operator.is_ready()

        proxy.accept()

        create(kubectl, issuer("root"), request("www", "root"))
        kubectl.wait_ready("www", seconds=60)
        assert operator.is_ready()
        assert "Traceback" not in operator.log.read_text()
    finally:
        operator.stop()
