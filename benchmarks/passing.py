"""An operator whose time is made to pass (`benchmarks.hurried`), as a process of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
_ADDRESSES = tuple(part for name in ("probe", "metrics", "acme-http") for part in (f"--{name}-address", "127.0.0.1:0"))


class Passing:
    """log: what it wrote."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process, self._log = process, log

    @property
    def pid(self) -> int:
        return self._process.pid

    def let_pass(self, seconds: float, step: float) -> None:
        """So many seconds, in steps: each begins when all is done that was due."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{seconds} {step}\n")
        self._process.stdin.flush()
        if not self._process.stdout.readline():
            raise RuntimeError(f"the operator ended: {self._log.read_text()[-3000:]}")


@contextmanager
def operator_whose_time_passes(credentials: Path, log: Path, *arguments: str) -> Iterator[Passing]:
    """It is not waited for until it is ready. credentials: a kubeconfig."""
    with log.open("ab") as written:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.hurried", "run", *arguments, *_ADDRESSES],
            cwd=ROOT,
            env={**os.environ, "KUBECONFIG": str(credentials)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=written,
            text=True,
        )
    try:
        yield Passing(process, log)
    finally:
        process.terminate()
        process.communicate(timeout=30)
