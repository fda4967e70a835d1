"""Processes and a directory that vanish with this process, whatever ends it.

Run as a script this file is the watchdog of such a group: it leads the group and waits for the end of its
standard input, a pipe that only the watched process holds open; `kill -9` closes that pipe too.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self


class ProcessGroup:
    """A temporary directory (mode 0700) and the processes that work in it.

    The processes get no terminal signal (Ctrl-C): they are in a process group of their own.
    """

    def __init__(self, *, inside: Path | None = None) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="devcluster-", dir=inside))
        # -I -S: nothing of the environment or of site-packages can slow it down or break it.
        reader, self._lifeline = os.pipe()
        self._watchdog = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, str(self.directory)],
            stdin=reader,
            cwd="/",
            process_group=0,
        )
        os.close(reader)
        self._processes: list[subprocess.Popen[bytes]] = []

    def spawn(self, argv: Sequence[str | Path], *, env: Mapping[str, str], output: Path) -> subprocess.Popen[bytes]:
        """Start a process in the group's directory; what it prints is appended to `output`."""
        with output.open("ab") as log:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=env,
                cwd=self.directory,
                process_group=self._watchdog.pid,
            )
        self._processes.append(process)
        return process

    def adopt(self, group: int) -> None:
        """Have the watchdog kill another process group too, should this process die before `close`."""
        os.write(self._lifeline, f"{group}\n".encode())

    def close(self) -> None:
        """Kill what still runs, wait until it is gone and remove the directory."""
        # The group's number stays taken until its leader, the watchdog, has been waited for.
        os.killpg(self._watchdog.pid, signal.SIGKILL)
        for process in [*self._processes, self._watchdog]:
            process.wait()
        os.close(self._lifeline)
        _remove(self.directory)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _remove(directory: Path) -> None:
    # Processes that our processes started may need a moment to die, and write until then.
    for _ in range(100):
        shutil.rmtree(directory, ignore_errors=True)
        if not directory.exists():
            return
        time.sleep(0.02)
    shutil.rmtree(directory)


def _watch(directory: Path) -> None:
    groups = [os.getpgrp(), *map(int, sys.stdin.buffer.read().split())]
    if os.fork():
        signal.pause()  # until the child, which leaves the group, kills it and so this process
    os.setpgid(0, 0)
    for group in groups:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
    _remove(directory)


if __name__ == "__main__":
    _watch(Path(sys.argv[1]))
