"""`make demo`, as far as Python is concerned: `python -m devcluster run -- python -m demo`."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo.terminal import fold
from devcluster import ControlPlane, control_plane
from tests.support.kubectl import wait_until

pytestmark = pytest.mark.slow("starts control planes and servers")

TOP = Path(__file__).parents[2]
DEMO = [sys.executable, "-m", "demo"]
IN_DEVCLUSTER = [sys.executable, "-m", "devcluster", "run", "--", *DEMO]


class Run:
    """The demo with a folder for temporary files of its own, by which its processes are known."""

    def __init__(self, folder: Path, *story: str) -> None:
        self.folder = folder / "tmp"
        self.folder.mkdir()
        self.output = folder / "output"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [*IN_DEVCLUSTER, *story],
                cwd=TOP,
                env=os.environ | {"TMPDIR": str(self.folder)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def wait_for(self, text: str) -> None:
        """Until the demo has printed this."""

        def printed() -> bool:
            found = text in self.output.read_text()
            assert found or self.process.poll() is None, self.output.read_text()
            return found

        wait_until(f"the demo prints {text!r}", printed, seconds=120)

    def end(self) -> tuple[int, str]:
        return self.process.wait(timeout=120), self.output.read_text()

    def processes(self) -> dict[int, str]:
        """Those that work in the folder, or were told of it, by their ids."""
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                facts = f"{command} {(entry / 'cwd').readlink()} {(entry / 'environ').read_bytes()!r}"
            except OSError:
                continue  # gone in the meantime, or somebody else's
            if command and str(self.folder) in facts:
                found[int(entry.name)] = command
        return found

    def assert_nothing_is_left(self) -> None:
        wait_until("all processes have ended", lambda: not self.processes())
        assert list(self.folder.iterdir()) == []


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    started = Run(tmp_path)
    yield started
    if started.process.poll() is None:
        started.process.kill()
        started.process.wait()
        started.assert_nothing_is_left()


def test_it_ends_well_and_leaves_nothing_behind(run: Run) -> None:
    status, output = run.end()

    assert status == 0, output
    assert "Verify return code: 0 (ok)" in output
    assert "Verified peername: www.example.com" in output
    assert (
        "Subject: C = US, ST = California, L = San Francisco, O = Example Inc, OU = IT, CN = www.example.com" in output
    )
    served = re.findall(r"^serial=(\w+)$", output, re.MULTILINE)
    told = re.findall(r"serialNumber}'\n(\w+)$", output, re.MULTILINE)
    assert [int(serial, 16) for serial in served] == [int(serial, 16) for serial in told] != []
    assert "DNS:api.example.com, DNS:shop.example.com" in output
    assert "PRIVATE KEY" not in output
    run.assert_nothing_is_left()


def test_that_of_acme_ends_well_and_leaves_nothing_behind(tmp_path: Path) -> None:
    run = Run(tmp_path, "acme")
    status, output = run.end()

    assert status == 0, output
    assert re.search(r"^acme +True +Ready +\S+ +has the account https://127\.0\.0\.1:", output, re.MULTILINE)
    assert re.search(r"validate w/ HTTP: http://shop\.example\.com:\d+/\.well-known/acme-challenge/", output)
    assert re.search(r"^issuer=CN = Pebble Intermediate CA", output, re.MULTILINE)
    assert "DNS:shop.example.com, DNS:www.shop.example.com" in output
    assert "POST /revoke-cert" in output
    assert "PRIVATE KEY" not in output
    run.assert_nothing_is_left()


@pytest.mark.parametrize(
    ("interrupt", "statuses"),
    [
        (lambda run: run.process.send_signal(signal.SIGINT), {130}),
        (lambda run: run.process.send_signal(signal.SIGTERM), {143}),
        (lambda run: os.kill(_pid_of(run, "-m demo"), signal.SIGKILL), {137}),
    ],
    ids=["SIGINT", "SIGTERM", "kill -9 of the demo"],
)
def test_interrupted_while_nginx_serves_it_leaves_nothing_behind(
    run: Run, interrupt: Callable[[Run], None], statuses: set[int]
) -> None:
    run.wait_for("One name more")
    for server in ("nginx: master", "csr-operator run", "kube-apiserver"):
        _pid_of(run, server)

    interrupt(run)

    status, output = run.end()
    assert status in statuses, output
    run.assert_nothing_is_left()


def test_a_step_that_fails_is_named_and_fails_the_demo(tmp_path: Path) -> None:
    """Here the API server refuses a manifest: what exists already has another secretName."""
    manifest = (TOP / "examples" / "demo" / "root.yaml").read_text().replace("root-tls", "other-tls")
    with control_plane() as plane:
        subprocess.run([plane.kubectl, "create", "-f", "-"], env=plane.env, input=manifest, text=True, check=True)
        done = subprocess.run(
            DEMO, cwd=TOP, env={**plane.env, "TMPDIR": str(tmp_path)}, capture_output=True, text=True, timeout=120
        )

    assert done.returncode == 1
    assert "this command ended with status 1: kubectl apply -f examples/demo/root.yaml" in done.stderr
    assert "secretName cannot be changed" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_it_touches_no_other_cluster(cluster: ControlPlane, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        '{"apiVersion": "v1", "kind": "Config", "current-context": "production", "contexts": '
        '[{"name": "production", "context": {"cluster": "production", "user": "admin"}}]}'
    )
    env = {**cluster.env, "KUBECONFIG": str(kubeconfig)}
    done = subprocess.run(DEMO, cwd=TOP, env=env, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert "runs only on a control plane of its own: make demo" in done.stderr


def test_without_nginx_it_says_how_to_install_it(tmp_path: Path) -> None:
    done = subprocess.run(
        DEMO, cwd=TOP, env=os.environ | {"PATH": str(tmp_path)}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "apt-get install --no-install-recommends nginx-light" in done.stderr


def test_dumps_of_bytes_are_folded_and_nothing_else() -> None:
    key = ["    Modulus:", *["        " + "ab:" * 15] * 17, "        e8:53", "    Exponent: 65537 (0x10001)"]
    assert list(fold(key)) == [key[0], key[1], "        [... 17 more lines]", key[-1]]
    pem = ["-----BEGIN CERTIFICATE-----", *["A" * 64] * 20, "V8Gy8W1p=", "-----END CERTIFICATE-----"]
    assert list(fold(pem)) == [pem[0], pem[1], "[... 20 more lines]", pem[-1]]
    text = ["www.example.com", "server auth", "DONE", "F1:72:F1:F7:E3:E5:B6:BB:76:42:EC:FC", "", "A" * 64, "DONE"]
    assert list(fold(text)) == text


def _pid_of(run: Run, command: str) -> int:
    # The oldest: a child looks like its parent until it becomes another program.
    return min(pid for pid, text in run.processes().items() if command in text and "devcluster run" not in text)
