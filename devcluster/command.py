"""A command run the way a shell runs a job: a process group that has the terminal and gets our signals."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

_GRACE = 10.0


def stopping_signals() -> set[signal.Signals]:
    """What asks a program to end: SIGHUP, SIGINT and SIGTERM, except those it was started to ignore (nohup)."""
    signals = {signal.SIGHUP, signal.SIGINT, signal.SIGTERM}
    return {signum for signum in signals if signal.getsignal(signum) != signal.SIG_IGN}


def run_command(argv: Sequence[str], *, env: Mapping[str, str], started: Callable[[int], None]) -> int:
    """Run a command; return its status as a shell does: 128+n where signal n ended it, 127 if there is none.

    `started` is told its process group. The `stopping_signals` go on to the group; what is left of it 10 s
    later, or when the command has ended, is killed. These signals stay blocked in this process, so that
    nothing interrupts what remains to be done.
    """
    # Blocked signals are fetched by sigtimedwait: none can fall between the start and the wait, none is lost.
    # SIGTTOU: taking the terminal back from the command is done from the background.
    stopping = stopping_signals()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*stopping, signal.SIGCHLD, signal.SIGTTOU})
    try:
        unblock = partial(signal.pthread_sigmask, signal.SIG_SETMASK, before)
        process = subprocess.Popen(argv, env=env, process_group=0, preexec_fn=unblock)
    except OSError as error:
        print(f"{argv[0]}: {error.strerror}", file=sys.stderr)
        return 127 if isinstance(error, FileNotFoundError) else 126
    started(process.pid)
    terminal = _Terminal()
    terminal.give(process.pid)
    try:
        return _follow(process, terminal, stopping)
    finally:
        terminal.take()


def _follow(process: subprocess.Popen[bytes], terminal: "_Terminal", stopping: set[signal.Signals]) -> int:
    killed_at = float("inf")
    while True:
        # WNOWAIT leaves the zombie: the group's number cannot go to another until the group has been killed.
        state = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WSTOPPED | os.WNOHANG | os.WNOWAIT)
        if state and state.si_code == os.CLD_STOPPED:
            os.waitid(os.P_PID, process.pid, os.WSTOPPED)
            terminal.suspend(process.pid)
        elif state:
            _kill(process.pid)
            status = process.wait()
            return status if status >= 0 else 128 - status
        patience = min(1.0, max(0.0, killed_at - time.monotonic()))
        received = signal.sigtimedwait({*stopping, signal.SIGCHLD}, patience)
        if received and received.si_signo in stopping:
            os.killpg(process.pid, received.si_signo)
            killed_at = min(killed_at, time.monotonic() + _GRACE)
        if time.monotonic() >= killed_at:
            _kill(process.pid)


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


class _Terminal:
    """The controlling terminal, where there is one and this process is in its foreground."""

    def __init__(self) -> None:
        try:
            self._file: int | None = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            self._file = None
        self._given = False

    def give(self, group: int) -> None:
        """Make the group the foreground, if we are; continue it, should it have stopped for want of that."""
        if self._file is not None and os.tcgetpgrp(self._file) == os.getpgrp():
            os.tcsetpgrp(self._file, group)
            self._given = True
        os.killpg(group, signal.SIGCONT)

    def take(self) -> None:
        """Take the foreground back."""
        if self._file is not None and self._given:
            os.tcsetpgrp(self._file, os.getpgrp())
            self._given = False

    def suspend(self, group: int) -> None:
        """The command was stopped (Ctrl-Z): stop too, so that the shell goes on; return when continued."""
        if self._given:
            self.take()
            os.killpg(os.getpgrp(), signal.SIGTSTP)
            self.give(group)
