"""csr-operator with its clock ahead, or set while it runs."""

import mmap
import os
import struct
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from csr_operator.__main__ import main
from csr_operator.manager.operator import Operator

CLOCK_FILE = "CSR_OPERATOR_TEST_CLOCK"
"""The environment variable that names the file by which the clock is set."""

_SECONDS = struct.Struct("d")


def set_clock(file: Path, seconds: float) -> None:
    """An operator with this file has its clock ahead of the real one by so much, from now on."""
    with file.open("r+b" if file.exists() else "wb") as opened:
        opened.write(_SECONDS.pack(seconds))


def run(seconds: float, arguments: list[str]) -> int:
    """By `seconds`; where there is a file, by what that says."""
    ahead = _reader(Path(os.environ[CLOCK_FILE])) if CLOCK_FILE in os.environ else lambda: seconds
    return main(
        arguments,
        lambda given: Operator(
            replace(given, metrics_kept=0.0), clock=lambda: datetime.now(UTC) + timedelta(seconds=ahead())
        ),
    )


def _reader(path: Path) -> Callable[[], float]:
    with path.open("rb") as file:
        shown = mmap.mmap(file.fileno(), _SECONDS.size, access=mmap.ACCESS_READ)
    return lambda: float(_SECONDS.unpack(shown)[0])
