"""SIGTERM: the operator ends soon and well, and the next one takes over.

`stop` waits 30 s at most: as long as Kubernetes waits before it kills.
"""

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from tests.support.certificates import assert_whole
from tests.support.kubectl import Kubectl, wait_until
from tests.support.manifests import request
from tests.support.operator import OperatorProcess
from tests.support.ports import free_ports
from tests.support.proxy import Proxy, kubeconfig_through
from tests.support.scene import await_objects, create, make_ca, wait_all_ready

COUNT = 40


def test_a_successor_takes_over_what_was_under_way(
    kubectl: Kubectl, operator: OperatorProcess, operator_credentials: Path, tmp_path: Path
) -> None:
    make_ca(kubectl)
    create(kubectl, *(request(f"leaf-{n}", "ca", privateKey={"algorithm": "RSA"}) for n in range(COUNT)))
    wait_until("some are issued", lambda: len(kubectl.list("secrets")) > 3)

    assert operator.stop() == 0

    left = COUNT + 1 - len(kubectl.list("secrets"))
    with OperatorProcess(operator_credentials, tmp_path / "second.log", "--namespace", kubectl.namespace):
        requests = wait_all_ready(kubectl, COUNT + 1)
    assert left > 0, "all was done when the operator was stopped: the test shows nothing"
    secrets = {secret["metadata"]["name"]: secret for secret in kubectl.list("secrets")}
    assert len(secrets) == COUNT + 1
    for each in requests:
        assert_whole(each, secrets[each["spec"]["secretName"]])


def test_it_ends_although_the_network_swallows_what_it_sent(
    kubectl: Kubectl, core: Any, proxy: Proxy, operator_credentials: Path, tmp_path: Path
) -> None:
    create(kubectl, *(request(f"leaf-{n}", "none") for n in range(200)))
    kubeconfig = kubeconfig_through(proxy, operator_credentials, tmp_path)
    operator = OperatorProcess(kubeconfig, tmp_path / "operator.log", "--namespace", kubectl.namespace)

    operator.launch()
    await_objects(core.list_namespaced_event, kubectl.namespace, 20)
    proxy.swallow()

    assert operator.stop() == 0


HANGS = """
import asyncio, sys
from unittest.mock import patch
from csr_operator.__main__ import main
from csr_operator.control.controller import Controller

async def hang(_):
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass  # as kopf's watchers did

with patch.object(Controller, "stop", hang):
    sys.exit(main(sys.argv[1:]))
"""


def test_it_leaves_although_a_part_of_it_does_not_end(operator_credentials: Path, tmp_path: Path) -> None:
    """With a status that tells so, and not ready from the signal on."""
    config = yaml.safe_load(operator_credentials.read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"  # nobody is there
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config))
    probes, *others = free_ports(3)
    ports = zip(("probe", "metrics", "acme-http"), (probes, *others), strict=True)
    process = subprocess.Popen(
        [sys.executable, "-c", HANGS, "run", *(f"--{name}-address=127.0.0.1:{port}" for name, port in ports)],
        env={**os.environ, "KUBECONFIG": str(kubeconfig)},
        stderr=subprocess.PIPE,
        text=True,
    )

    def ready() -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{probes}/readyz", timeout=5) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            return error.read().decode()
        except OSError:
            return ""

    try:
        wait_until("it has begun", ready)
        process.send_signal(signal.SIGTERM)
        wait_until("it is not ready as it ends", lambda: ready() == "the operator is shutting down\n")
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 1
    assert "the operator did not shut down within 10 s" in said
