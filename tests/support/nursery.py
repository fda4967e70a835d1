"""Operators that start at once: children of a process that has imported everything, for tests that kill many of them.

`python -m tests.support.nursery` reads a line with JSON for each operator to start, and answers with its process ID.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

from csr_operator.__main__ import main

ROOT = Path(__file__).parents[2]
_ADDRESSES = tuple(part for name in ("probe", "metrics", "acme-http") for part in (f"--{name}-address", "127.0.0.1:0"))


class Nursery:
    """A context manager."""

    def __init__(self, kubeconfig: Path, log: Path) -> None:
        self._env = {**os.environ, "KUBECONFIG": str(kubeconfig)}
        self._log = log

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.nursery"],
                cwd=ROOT,
                env=self._env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=30)

    def start(self, *arguments: str) -> int:
        """Run csr-operator with these arguments, and wait for nothing; gives its process ID."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(["run", *_ADDRESSES, *arguments]) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


def _serve() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    while line := sys.stdin.readline():
        if child := os.fork():
            print(child, flush=True)
            continue
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        os._exit(main(json.loads(line)))


if __name__ == "__main__":
    _serve()
