"""What `make test-quick` runs, and what it leaves out."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = """
import pytest

@pytest.fixture
def shop(kubectl): ...

def test_of_a_control_plane(cluster): ...

def test_of_what_needs_one(shop): ...

@pytest.mark.slow("starts a server")
def test_of_a_server(): ...

def test_of_a_value(unique_name, tmp_path): ...
"""


@pytest.mark.slow("starts pytest")
def test_the_quick_run_has_what_needs_no_control_plane_and_is_not_slow(tmp_path: Path) -> None:
    """As the tests of a file see it that use the shared fixtures."""
    (tmp_path / "test_shop.py").write_text(TESTS)
    rule = re.search(r'^test-quick:.*\n\t.* -m "(.+?)"', (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert rule is not None

    collected, left_out = _collected(tmp_path, rule[1])
    assert collected == ["test_of_a_value"]
    assert left_out == 3


def _collected(folder: Path, expression: str) -> tuple[list[str], int]:
    """Which tests the expression takes, and how many it leaves out."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "tests.conftest", "-c", ROOT / "pyproject.toml"),
            *("-p", "no:cacheprovider", "--collect-only", "-q", "-m", expression, folder / "test_shop.py"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    left_out = re.search(r"\((\d+) deselected\)", done.stdout)
    assert left_out is not None, done.stdout
    return re.findall(r"::(\w+)", done.stdout), int(left_out[1])
