"""`python -m devcluster`: build the binary, or run a command against a fresh control plane."""

import argparse
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import NoReturn

from devcluster.build import ensure_binary
from devcluster.command import run_command, stopping_signals
from devcluster.errors import DevclusterError
from devcluster.plane import control_plane, say


def main() -> int:
    """Read the arguments and do it; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m devcluster", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="build | run")
    commands.add_parser("build", help="build the binary unless it is cached, print its path")
    run = commands.add_parser(
        "run",
        help="run a command against a fresh control plane",
        usage="%(prog)s [-h] [--audit-log FILE] -- COMMAND...",
        description="Start a control plane with the CRDs of crds/, run COMMAND with KUBECONFIG set and the "
        "matching kubectl first on PATH, end everything, and exit with the status of COMMAND (128+n: signal n "
        "ended it, 127: not found, 126: not executable), or with 125 if the control plane failed.",
    )
    run.add_argument("--audit-log", type=Path, metavar="FILE", help="write one JSON line per request to FILE")
    # Split by hand: what argparse does with a second "--", one of COMMAND's, depends on Python's version.
    ours, command = _split(sys.argv[1:])
    arguments = parser.parse_args(ours)
    if arguments.command == "run" and not command:
        run.error("what is to be run follows a --")
    if arguments.command == "build" and command:
        parser.error("build runs nothing: it takes no --")

    for signum in stopping_signals():
        signal.signal(signum, _stop)
    try:
        if arguments.command == "build":
            return _build()
        return _run(command, arguments.audit_log)
    except (DevclusterError, OSError) as error:
        say(f"error: {error}")
        return 125


def _split(argv: list[str]) -> tuple[list[str], list[str]]:
    end = argv.index("--") if "--" in argv else len(argv)
    return argv[:end], argv[end + 1 :]


def _build() -> int:
    if assets := os.environ.get("KUBEBUILDER_ASSETS"):
        say(f"nothing to build: KUBEBUILDER_ASSETS={assets} is used")
    else:
        print(ensure_binary(say))
    return 0


def _run(argv: list[str], audit_log: Path | None) -> int:
    start = time.monotonic()
    with control_plane(audit_log=audit_log) as plane:
        say(f"control plane ready at {plane.url} after {time.monotonic() - start:.1f} s")
        return run_command(argv, env=plane.env, started=plane.adopt)


def _stop(signum: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(128 + signum)


if __name__ == "__main__":
    sys.exit(main())
