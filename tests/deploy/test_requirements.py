"""What the image is built from is pinned, by hash, to what pyproject.toml allows. If not: `make lock`."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

TOP = Path(__file__).parents[2]
LOCKS = TOP / "deploy" / "requirements"
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text())
WANTED = {
    "operator": PROJECT["project"]["dependencies"],
    "lexicon": PROJECT["dependency-groups"]["image-lexicon"],
    "build": PROJECT["build-system"]["requires"],
}


def _entries(name: str) -> list[str]:
    """Each requirement with its hashes, in one line as pip reads it."""
    text = re.sub(r"^ *#.*\n", "", (LOCKS / f"{name}.txt").read_text(), flags=re.MULTILINE)
    return text.replace("\\\n", " ").splitlines()


def test_there_is_a_lock_for_each_environment_and_no_other() -> None:
    assert {file.name for file in LOCKS.iterdir()} == {f"{name}.txt" for name in WANTED}


@pytest.mark.parametrize("name", WANTED)
def test_every_line_is_one_version_with_its_hashes(name: str) -> None:
    """And no line is an option of pip, such as where the index was when the lock was made."""
    version = r"[a-z0-9.-]+==[0-9][^ ]*( ; [a-z_0-9.'=<>!() A-Z]+)?"
    odd = [entry for entry in _entries(name) if not re.fullmatch(rf"{version}( +--hash=sha256:[0-9a-f]{{64}})+", entry)]
    assert odd == []


@pytest.mark.parametrize("name", WANTED)
def test_what_pyproject_asks_for_is_locked_in_its_range(name: str) -> None:
    locked = [Requirement(entry.partition("--hash")[0]) for entry in _entries(name)]
    for wanted in map(Requirement, WANTED[name]):
        found = [str(each.specifier).removeprefix("==") for each in locked if each.name == wanted.name]
        assert found, f"{wanted} is not locked"
        assert [version for version in found if version not in wanted.specifier] == [], wanted


def test_the_base_image_is_named_by_digest() -> None:
    bases = re.findall(r"^ARG PYTHON_IMAGE=(.*)$", (TOP / "Dockerfile").read_text(), re.MULTILINE)
    assert [base for base in bases if not re.fullmatch(r"[a-z./-]+@sha256:[0-9a-f]{64}", base)] == []
    assert len(bases) == 1
