"""`python -m devcluster run`: what COMMAND gets, what comes back, and that nothing stays behind."""

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from devcluster.build import ensure_binary, kubernetes_version
from tests.support.kubectl import wait_until

pytestmark = pytest.mark.slow("starts control planes")

Start = Callable[..., Any]
SH = ("sh", "-c")
# For a front that is not started from the top of the checkout.
ABOVE = {"PYTHONPATH": str(Path(__file__).parents[2])}


def test_command_gets_the_cluster_and_gives_the_status(front: Start, tmp_path: Path) -> None:
    """COMMAND has the matching kubectl and its own "--"; its writes are in the audit log; its status is passed on."""
    script = 'kubectl version -o json && kubectl create namespace "$0" -o name && echo "$@" && exit 7'
    run = front(
        "run", "--audit-log", "audit.log", "--", *SH, script, "written", "a", "--", "b", cwd=tmp_path, env=ABOVE
    )
    status, out, err = run.end()
    assert status == 7, err
    versions, end = json.JSONDecoder().raw_decode(out)
    assert versions["clientVersion"]["gitVersion"] == kubernetes_version()
    assert versions["serverVersion"]["gitVersion"] == kubernetes_version()
    assert out[end:].split() == ["namespace/written", "a", "--", "b"]

    events = [json.loads(line) for line in (tmp_path / "audit.log").read_text().splitlines()]
    writes = [event for event in events if event.get("objectRef", {}).get("name") == "written"]
    assert [event["verb"] for event in writes if event["verb"] != "get"] == ["create"]
    assert writes[0]["userAgent"].startswith("kubectl/")
    assert writes[0]["responseStatus"]["code"] == 201
    assert not run.processes.running()
    assert list(run.directory.iterdir()) == []


@pytest.mark.parametrize(
    ("signum", "status"),
    [
        pytest.param(None, 128 + signal.SIGSEGV, id="the command crashes"),
        pytest.param(signal.SIGINT, 128 + signal.SIGINT, id="SIGINT"),
        pytest.param(signal.SIGTERM, 128 + signal.SIGTERM, id="SIGTERM"),
        pytest.param(signal.SIGKILL, -signal.SIGKILL, id="SIGKILL"),
    ],
)
def test_nothing_is_left(front: Start, tmp_path: Path, signum: signal.Signals | None, status: int) -> None:
    """Whatever ends it: the control plane, the command, what that started, and the directory are gone."""
    flag = tmp_path / "flag"
    # The second sleep is in the command's process group and outlives the command itself.
    crash = ":" if signum else "kill -SEGV $$"
    run = front("run", "--", *SH, f'cd "$TMPDIR"; sleep 1000 & echo > "{flag}"; {crash}; sleep 1000; exit')
    wait_until("the command runs", flag.exists, 60)
    if signum:
        names = " ".join(run.processes.running().values())
        assert all(part in names for part in ("etcd", "kube-apiserver", "kube-controller-manager", "sleep 1000"))
        run.process.send_signal(signum)
    got, _, err = run.end()
    assert got == status, err
    run.processes.wait_gone()
    wait_until("the directory is removed", lambda: list(run.directory.iterdir()) == [])


def test_stopped_while_it_starts(front: Start) -> None:
    run = front("run", "--", "true")
    wait_until("etcd is up", lambda: list(run.directory.glob("*/etcd:0")))
    run.process.terminate()
    assert run.end()[0] == 128 + signal.SIGTERM
    assert not run.processes.running()
    assert list(run.directory.iterdir()) == []


def test_assets_of_envtest(front: Start, tmp_path: Path) -> None:
    """KUBEBUILDER_ASSETS is used in place of the binary; that it lacks the controller manager is said."""
    binary = ensure_binary(print)
    for name in ("etcd", "kube-apiserver", "kubectl"):
        (tmp_path / name).symlink_to(binary)
    run = front(
        "run", "--", "kubectl", "get", "namespace/default", "-o", "name", env={"KUBEBUILDER_ASSETS": str(tmp_path)}
    )
    status, out, err = run.end()
    assert status == 0, err
    assert out == "namespace/default\n"
    assert f"no kube-controller-manager in {tmp_path}" in err


def test_assets_that_lack_a_program(front: Start, tmp_path: Path) -> None:
    status, _, err = front("run", "--", "true", env={"KUBEBUILDER_ASSETS": str(tmp_path)}).end()
    assert status == 125
    assert f"KUBEBUILDER_ASSETS={tmp_path} lacks etcd, kube-apiserver, kubectl" in err


def test_part_that_does_not_start(front: Start, tmp_path: Path) -> None:
    """The error names the part and shows what it said."""
    for name in ("etcd", "kube-apiserver", "kubectl"):
        (tmp_path / name).write_text("#!/bin/sh\necho the disk is on fire\nexit 3\n")
        (tmp_path / name).chmod(0o755)
    status, _, err = front("run", "--", "true", env={"KUBEBUILDER_ASSETS": str(tmp_path)}).end()
    assert status == 125
    assert "etcd ended with status 3" in err
    assert "the disk is on fire" in err
