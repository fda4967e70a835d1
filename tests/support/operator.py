"""The operator as its own process, with exactly the rights that `deploy/` gives it."""

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Collection, Mapping
from pathlib import Path

import yaml

from devcluster import ControlPlane
from tests.support.kubectl import wait_until
from tests.support.nursery import POINTS, Child, Nursery
from tests.support.ports import free_ports
from tests.support.shifted_operator import CLOCK_FILE, set_clock

ROOT = Path(__file__).parents[2]
NAMESPACE = "csr-operator-system"
NURSERY = Nursery()


def operator_kubeconfig(cluster: ControlPlane, folder: Path) -> Path:
    """Apply `deploy/`, and write a kubeconfig with a token of the operator's ServiceAccount."""

    def kubectl(*arguments: str) -> str:
        return subprocess.run(
            [cluster.kubectl, *arguments], env=dict(cluster.env), check=True, capture_output=True, text=True
        ).stdout

    kubectl("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "deploy" / "namespace.yaml"))
    kubectl("apply", "--server-side", "--force-conflicts", "-k", str(ROOT / "deploy"))
    token = kubectl("create", "token", "csr-operator", "--namespace", NAMESPACE, "--duration", "4h").strip()
    config = yaml.safe_load(Path(cluster.kubeconfig).read_text())
    config["users"] = [{"name": "csr-operator", "user": {"token": token}}]
    for context in config["contexts"]:
        context["context"]["user"] = "csr-operator"
    path = folder / "operator.kubeconfig"
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(config))
    return path


class OperatorProcess:
    """clock_offset: seconds by which the operator's clock is ahead of the real one.

    patience: seconds of silence after which it takes a connection for dead, if not as usual.

    names_at: the port of the loopback address to which its issuers find every name to lead.

    installed: a folder with what is installed beside it.

    strict: it fails where it does what takes long on its event loop.

    points: the folder of `mortal_operator`, which says where it ends like by kill -9.

    podded: as `podded_operator` has it, with files beside the kubeconfig.

    measured: it is started as its users do, imports and all.

    settable: its clock can be set while it runs.

    code: the folder with the packages of another version of the operator, which is started as its users do.

    without: the options that this version does not have.
    """

    def __init__(
        self,
        kubeconfig: Path,
        log: Path,
        *arguments: str,
        clock_offset: float = 0.0,
        patience: float | None = None,
        names_at: int | None = None,
        installed: Path | None = None,
        strict: bool = False,
        points: Path | None = None,
        podded: bool = False,
        measured: bool = False,
        settable: bool = False,
        code: Path | None = None,
        without: Collection[str] = (),
    ) -> None:
        variant: tuple[str, float] = ("shifted", clock_offset)
        if patience is not None:
            variant = ("impatient", patience)
        if names_at is not None:
            variant = ("rerouted", names_at)
        if strict:
            variant = ("strict", 0.0)
        if points is not None:
            variant = ("mortal", 0.0)
        if podded:
            variant = ("podded", 0.0)
        self.port, self.probe_port, self.acme_port = free_ports(3)
        self.log = log
        self._variant, self._value = variant
        options = {
            "--issuer-check-interval": "2",
            "--metrics-address": f"127.0.0.1:{self.port}",
            "--probe-address": f"127.0.0.1:{self.probe_port}",
            "--acme-http-address": f"127.0.0.1:{self.acme_port}",
        }
        given = (part for name, value in options.items() if name not in without for part in (name, value))
        self._arguments = ["run", *given, *arguments]
        if "--probe-address" in without:  # it answers where the metrics are
            self.probe_port = self.port
        self._env = {**os.environ, "KUBECONFIG": str(kubeconfig)}
        if points is not None:
            self._env[POINTS] = str(points)
        if installed is not None:
            folders = (str(installed), os.environ.get("PYTHONPATH"))
            self._env["PYTHONPATH"] = os.pathsep.join(folder for folder in folders if folder)
        self._process: Child | subprocess.Popen[bytes] | None = None
        self._clock_file = log.with_suffix(".clock") if settable else None
        if self._clock_file is not None:
            self.set_clock(clock_offset)
            self._env[CLOCK_FILE] = str(self._clock_file)
        self._measured, self._code = measured, code

    def __enter__(self) -> "OperatorProcess":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start, and wait until `/readyz` says that everything has been listed."""
        self.launch()
        wait_until("the operator is ready", self.is_ready)

    def shift(self, seconds: float) -> None:
        """From its next start on, its clock is ahead of the real one by so much."""
        self._value = seconds

    def set_clock(self, seconds: float) -> None:
        """From now on, its clock is ahead of the real one by so much, also while it runs: of one that is `settable`.

        Returns when it has noticed: what is set to and fro between two of its looks at the clock, it does not.
        """
        assert self._clock_file is not None
        told, by = self._times_set(), abs(seconds - self._value)
        self._value = seconds
        set_clock(self._clock_file, seconds)
        if self._process is not None and by > 60:
            wait_until("it has noticed that its clock was set", lambda: self._times_set() > told)

    def _times_set(self) -> int:
        return self.log.read_text().count("the clock was set by") if self.log.exists() else 0

    def launch(self) -> None:
        """Start without waiting."""
        self.log.touch()
        if self._code is not None:
            self._run(["-m", "csr_operator"], {**self._env, "PYTHONPATH": str(self._code)})
        elif self._measured:
            start = f"import sys; from tests.support.{self._variant}_operator import run"
            self._run(["-c", f"{start}; sys.exit(run({self._value}, sys.argv[1:]))"], self._env)
        else:
            self._process = NURSERY.start(self._variant, self._value, self._arguments, self._env, self.log)

    def _run(self, program: list[str], env: Mapping[str, str]) -> None:
        with self.log.open("ab") as log:
            command = [sys.executable, *program, *self._arguments]
            self._process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)

    def has_ended(self) -> bool:
        assert self._process is not None
        return self._process.poll() is not None

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """SIGTERM; returns the exit status."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def get(self, path: str) -> str:
        """What `path` (such as `/metrics`) answers."""
        port = self.port if path == "/metrics" else self.probe_port
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return str(answer.read().decode())

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples of `name` that carry `labels`."""
        total = 0.0
        for line in self.get("/metrics").splitlines():
            if line.split("{")[0].split(" ")[0] == name and all(f'{k}="{v}"' in line for k, v in labels.items()):
                total += float(line.rsplit(" ", 1)[1])
        return total

    def is_ready(self) -> bool:
        """What `/readyz` says; False as well if nothing answers yet. An operator that ended fails the test."""
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(f"the operator ended: {self.log.read_text()[-3000:]}")
        try:
            return self.get("/readyz") == "ok\n"
        except (urllib.error.URLError, OSError):
            return False
