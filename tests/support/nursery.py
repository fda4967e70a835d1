"""Operators as children of one process that has imported everything: the imports cost each of them 1.5 s of CPU.

`python -m tests.support.nursery` reads a line with JSON for each operator to start, and answers with its process ID; or
for one that has ended, and answers with its exit status (minus the signal that ended it).
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
VARIANTS = ("shifted", "impatient", "rerouted", "strict", "mortal", "podded")
POINTS = "CSR_OPERATOR_POINTS"
"""The environment variable that names the folder of the mortal one."""


class Child:
    """A process with what tests need of `subprocess.Popen`."""

    def __init__(self, nursery: "Nursery", pid: int) -> None:
        self.pid = pid
        self._nursery = nursery
        self._status: int | None = None
        self._file = os.pidfd_open(pid)
        self._lock = threading.Lock()

    def __del__(self) -> None:
        os.close(self._file)

    def poll(self) -> int | None:
        """The exit status; None while it runs."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """The exit status. timeout: seconds. Raises subprocess.TimeoutExpired."""
        if not select.select([self._file], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired("csr-operator", timeout or 0.0)
        with self._lock:  # who kills it and who waits for that may be two threads
            if self._status is None:
                self._status = self._nursery.ask({"ended": self.pid})
            return self._status

    def send_signal(self, number: int) -> None:
        """To a process that may have ended."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._file, number)

    def kill(self) -> None:
        """kill -9."""
        self.send_signal(signal.SIGKILL)


class Nursery:
    """It starts with the first child."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.RLock()

    def start(self, variant: str, value: float, arguments: list[str], env: Mapping[str, str], log: Path) -> Child:
        """Run csr-operator with these arguments, what it says at the end of `log`; waits for nothing.

        variant: of VARIANTS; value: what that takes.
        """
        return Child(self, self.ask({"start": [variant, value, arguments, dict(env), str(log)]}))

    def ask(self, line: Mapping[str, Any]) -> int:
        """What the process answers."""
        with self._lock:
            if self._process is None:
                command = [sys.executable, "-m", "tests.support.nursery"]
                self._process = subprocess.Popen(command, cwd=ROOT, stdin=-1, stdout=-1, text=True)
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(json.dumps(line) + "\n")
            self._process.stdin.flush()
            return int(self._process.stdout.readline())

    def close(self) -> None:
        """At the end of all tests; what still runs is left."""
        with self._lock:
            if self._process is not None:
                self._process.communicate(timeout=30)
            self._process = None


def _serve() -> int:
    """Returns in each child with its exit status, and in the end with 0."""
    modules = {name: import_module(f"tests.support.{name}_operator") for name in VARIANTS}
    while line := sys.stdin.readline():
        asked = json.loads(line)
        if pid := asked.get("ended"):
            print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
        elif child := os.fork():
            print(child, flush=True)
        else:
            variant, value, arguments, env, log = asked["start"]
            _become(env, log)
            return int(modules[variant].run(value, arguments))
    return 0


def _become(env: Mapping[str, str], log: str) -> None:
    for number, opened in ((0, os.open(os.devnull, os.O_RDONLY)), (1, os.open(log, os.O_WRONLY | os.O_APPEND))):
        os.dup2(opened, number)
        os.close(opened)
    os.dup2(1, 2)
    added = [path for path in env.get("PYTHONPATH", "").split(os.pathsep) if path and path not in sys.path]
    sys.path[:0] = added
    os.environ.clear()
    os.environ.update(env)


if __name__ == "__main__":
    sys.exit(_serve())
