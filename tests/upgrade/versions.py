"""Versions of the operator that this one was changed from, taken out of the repository's own history."""

import io
import shutil
import subprocess
import tarfile
import tomllib
from pathlib import Path

from tests.support.third_party import write_metadata

ROOT = Path(__file__).parents[2]

VERSIONS = {
    "1105f3d": "before the modules were put in rooms, and the definitions of issuers made from parts",
}
"""By commit, how it differs from what came next. `docs/operations.md` lists them."""


def is_there(commit: str) -> bool:
    """This clone has that commit: a shallow one has not, and what was unpacked from an archive has none."""
    if shutil.which("git") is None:
        return False
    command = ["git", "-C", str(ROOT), "cat-file", "-e", f"{commit}^{{commit}}"]
    return subprocess.run(command, capture_output=True).returncode == 0


def unpack(commit: str, folder: Path) -> Path:
    """Its packages, with the names of its backends; returns the folder in `folder` that they can be imported from."""
    command = ["git", "-C", str(ROOT), "archive", "--format=tar", commit, "operator", "pyproject.toml"]
    packed = subprocess.run(command, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    code = folder / "operator"
    write_metadata(tomllib.loads((folder / "pyproject.toml").read_text())["project"], code)
    return code
