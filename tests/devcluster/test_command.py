"""The command of `run` behaves as a shell's foreground job. No control plane is needed for that."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.kubectl import wait_until

pytestmark = pytest.mark.slow("starts programs with terminals of their own")

TOP = Path(__file__).parents[2]
RUN = """
import os, sys
from devcluster.command import run_command
sys.exit(run_command(sys.argv[1:], env=os.environ, started=lambda group: None))
"""


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", RUN, *argv]
    return subprocess.run(command, cwd=TOP, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize(
    ("argv", "status"),
    [
        (["true"], 0),
        (["sh", "-c", "exit 3"], 3),
        (["sh", "-c", "kill -KILL $$"], 137),
        (["no-such-command"], 127),
        (["/etc/passwd"], 126),
    ],
)
def test_status(argv: list[str], status: int) -> None:
    """As a shell reports it."""
    assert run(*argv).returncode == status


def test_command_that_cannot_be_started_is_named() -> None:
    assert run("no-such-command").stderr == "no-such-command: No such file or directory\n"


def test_signals_are_not_blocked_in_the_command() -> None:
    assert run("sh", "-c", "grep SigBlk /proc/self/status").stdout.split() == ["SigBlk:", "0" * 16]


def test_ignored_hang_up_stays_ignored(tmp_path: Path) -> None:
    """`nohup` in front of it holds for the command as well."""
    flag = tmp_path / "flag"
    script = f'echo > "{flag}"; read line; echo "got $line"; exit 4'
    argv = ["nohup", sys.executable, "-c", RUN, "sh", "-c", script]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, cwd=TOP, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True) as process:
        wait_until("the command runs", flag.exists)
        os.killpg(process.pid, signal.SIGHUP)
        out, _ = process.communicate(b"on\n", timeout=20)
    assert (process.returncode, out) == (4, b"got on\n")


class Terminal:
    """A program with a terminal of its own, as its session's leader."""

    def __init__(self, *argv: str) -> None:
        self._master, slave = os.openpty()
        self.process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", *argv], cwd=TOP, stdin=slave, stdout=slave, stderr=slave
        )
        os.close(slave)
        os.set_blocking(self._master, False)
        self._text = ""

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def expect(self, text: str) -> None:
        def seen() -> bool:
            with contextlib.suppress(OSError):  # nothing to read, or the other end is closed
                self._text += os.read(self._master, 10_000).decode()
            return text in self._text

        try:
            wait_until(f"the terminal shows {text!r}", seen, 20)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self._text!r}") from None
        self._text = self._text.partition(text)[2]

    def close(self) -> None:
        os.close(self._master)  # a hang-up ends what is still there
        self.process.wait(timeout=20)


@pytest.fixture
def terminal() -> Iterator[Callable[..., Terminal]]:
    """Start a program in a terminal."""
    opened: list[Terminal] = []

    def start(*argv: str) -> Terminal:
        opened.append(Terminal(*argv))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


def test_terminal_belongs_to_the_command(terminal: Callable[..., Terminal]) -> None:
    """It reads what is typed, and Ctrl-C goes to it; the status is then its own."""
    script = 'trap "echo caught" INT; echo ready; read line; echo "got $line"; read line; echo "got $line"; exit 5'
    tty = terminal(sys.executable, "-c", RUN, "bash", "-c", script)
    tty.expect("ready")
    tty.type("one\n")
    tty.expect("got one")
    tty.type("\x03")
    tty.expect("caught")
    tty.type("two\n")
    tty.expect("got two")
    assert tty.process.wait(timeout=20) == 5


def test_ctrl_z_gives_the_shell_back(terminal: Callable[..., Terminal]) -> None:
    """The command stops, the shell that ran it goes on, and `fg` continues the command in the foreground."""
    job = 'echo ready; read line; echo "got $line"'
    tty = terminal(
        "bash", "-c", 'set -m; "$@"; echo "shell is back"; fg; echo "status $?"', "bash",
        sys.executable, "-c", RUN, "bash", "-c", f"{job}; exit 5",
    )  # fmt: skip
    tty.expect("ready")
    tty.type("\x1a")
    tty.expect("shell is back")
    tty.type("one\n")
    tty.expect("got one")
    tty.expect("status 5")


def test_command_that_ignores_signals_is_killed(tmp_path: Path) -> None:
    """What SIGTERM does not end is killed after a while; a second process of the command as well."""
    flag = tmp_path / "flag"
    script = f'trap "" TERM; sleep 1000 & echo $! > "{flag}.new"; mv "{flag}.new" "{flag}"; wait; wait'
    code = RUN.replace("sys.exit", "import devcluster.command as c; c._GRACE = 0.2; sys.exit")
    process = subprocess.Popen([sys.executable, "-c", code, "sh", "-c", script], cwd=TOP, start_new_session=True)
    wait_until("the command runs", flag.exists)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 128 + signal.SIGKILL
    child = Path("/proc", flag.read_text().strip(), "cmdline")
    wait_until("its child is gone", lambda: not child.exists() or not child.read_bytes())
