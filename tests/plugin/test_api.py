"""The API for third parties is what the page for them says, and enough to write a backend with."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from csr_operator import plugin
from csr_operator.plugin import testing
from tests.plugin.third_party import EveryTrait

TOP = Path(__file__).parents[2]
PAGE = TOP / "docs" / "backends.md"
ALONE = [TOP / "examples" / "backend" / "example_ca.py", Path(__file__).with_name("third_party.py")]


def test_what_is_exported_is_what_the_page_lists() -> None:
    table = PAGE.read_text().split("\n## What there is\n", 1)[1].split("\n## ", 1)[0]
    listed = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)))
    assert sorted(listed) == sorted(plugin.__all__)


def test_what_is_exported_is_there() -> None:
    assert [name for name in plugin.__all__ if not hasattr(plugin, name)] == []


@pytest.mark.parametrize("file", ALONE, ids=lambda file: file.name)
def test_a_backend_needs_nothing_of_the_operator_but_its_api(file: Path) -> None:
    used = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            used |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom):
            used.add(node.module or "")
    assert {name for name in used if name.startswith("csr_")} == {"csr_operator.plugin"}


@pytest.mark.slow("runs mypy over all that the plugins import, for many seconds the first time")
def test_a_backend_with_every_trait_is_typed() -> None:
    """With the types of the installed package alone, as an author of a package of their own runs mypy."""
    options = ("--strict", "--config-file=", "--explicit-package-bases", f"--cache-dir={TOP / '.mypy_cache' / 'alone'}")
    command = [sys.executable, "-m", "mypy", *options, str(ALONE[1])]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("free", [True, False])
async def test_a_backend_with_every_trait_can_be_made(free: bool) -> None:
    async with testing.world() as world:
        made = world.make(EveryTrait, {"url": "https://ca.example.com", "secretName": "ca", "free": free})
    assert made.traits.costs is not free


def test_the_test_on_the_page_is_one_that_is_run() -> None:
    [block] = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    _, test = block.split("\n\n\n")
    assert test in Path(__file__).with_name("test_example.py").read_text()
