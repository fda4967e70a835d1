"""An operator whose time can be made to pass, and which counts what it holds, as tests have it."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.ports import free_ports

ROOT = Path(__file__).parents[2]

RESIDENT, BLOCKS = "resident KiB", "blocks of memory"
"""The counts that are amounts: of the process's memory, and of what Python has allocated."""


class CountedOperator:
    """A context manager. settings: fields of the operator's. installed: a folder with what is installed beside it."""

    def __init__(self, kubeconfig: Path, log: Path, installed: Path, **settings: Any) -> None:
        self.log = log
        self._settings = {"metrics_port": free_ports(1)[0], "probe_port": 0, "metrics_kept": 0.0, **settings}
        path = os.pathsep.join(filter(None, (str(installed), os.environ.get("PYTHONPATH"))))
        self._env = {**os.environ, "KUBECONFIG": str(kubeconfig), "PYTHONPATH": path}
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> "CountedOperator":
        command = [sys.executable, "-m", "tests.support.counted_operator", json.dumps(self._settings)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=self._env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.communicate(timeout=30)
        finally:
            self._process.kill()
            self._process.wait()

    def let_pass(self, seconds: float) -> None:
        """So much of its time."""
        self._ask(f"pass {seconds}")

    def count(self) -> Mapping[str, int]:
        """How many there are of what could pile up, by name."""
        counts: Mapping[str, int] = self._ask("count")
        return counts

    def metrics(self) -> str:
        """What `/metrics` answers."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._settings['metrics_port']}/metrics", timeout=60) as answer:
            return str(answer.read().decode())

    def _ask(self, line: str) -> Any:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, f"the operator ended: {self.log.read_text()[-3000:]}"
        return json.loads(answer)
