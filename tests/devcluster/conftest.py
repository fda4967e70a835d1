"""What these tests share: looking at processes, and running `python -m devcluster`."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.kubectl import wait_until

TOP = Path(__file__).parents[2]


class Processes:
    """The processes that work in, or were told of, a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = str(directory)

    def running(self) -> dict[int, str]:
        """Process id to command line, without the dead that nobody has waited for yet."""
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                cwd = str((entry / "cwd").readlink())
            except OSError:
                continue  # gone in the meantime, or a zombie
            if command and (self._directory in command or cwd.startswith(self._directory)):
                found[int(entry.name)] = command
        return found

    def wait_gone(self) -> None:
        wait_until("all processes have ended", lambda: not self.running())


class Front:
    """`python -m devcluster` as a child process; its temporary files are in `directory`."""

    def __init__(self, directory: Path, *arguments: str, env: dict[str, str] | None = None, cwd: Path = TOP) -> None:
        directory.mkdir(exist_ok=True)
        self.directory = directory
        self.processes = Processes(directory)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "devcluster", *arguments],
            cwd=cwd,
            # The binary of our own, whatever the session's control plane is made of.
            env=os.environ | {"KUBEBUILDER_ASSETS": "", "TMPDIR": str(directory)} | (env or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def end(self) -> tuple[int, str, str]:
        """Wait for the end; its status (-n: signal n), standard output and standard error."""
        out, err = self.process.communicate(timeout=120)
        return self.process.returncode, out, err

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.communicate()


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Callable[..., Front]]:
    """Start `python -m devcluster ARGUMENT...`; `env` is added to the environment."""
    started: list[Front] = []

    def start(*arguments: str, env: dict[str, str] | None = None, cwd: Path = TOP) -> Front:
        started.append(Front(tmp_path / f"front-{len(started)}", *arguments, env=env, cwd=cwd))
        return started[-1]

    yield start
    for each in started:
        each.close()
        each.processes.wait_gone()
