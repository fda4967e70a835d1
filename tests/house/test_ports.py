"""Tests that go on at the same time do not give one another's ports away before they are listened on."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ports

ROOT = Path(__file__).parents[2]
FEW = range(10240, 10272)
CODE = f"""
from tests.support import ports
ports._RANGE = {FEW}
print(*ports.free_ports(10), flush=True)
input()
"""


@pytest.mark.slow("starts Python")
def test_no_port_is_given_to_two_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    command = [sys.executable, "-c", CODE]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        theirs = {*map(int, other.stdout.readline().split())}
        monkeypatch.setattr(ports, "_RANGE", FEW)
        mine = ports.free_ports(10)
        other.communicate("\n")
    assert len(theirs) == len({*mine}) == 10
    assert not theirs & {*mine}
