"""The version that `make image` gives an image is that of the latest tag, and one that pip takes."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.version import Version

pytestmark = pytest.mark.slow("runs git")

SCRIPT = Path(__file__).parents[2] / ".ci" / "version"


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Runs git in a new repository of one commit, without anybody's configuration."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    options = ["-c", "user.name=a", "-c", "user.email=a@example.com"]

    def run(*arguments: str) -> str:
        command = ["git", "-C", str(tmp_path), *options, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    run("init")
    (tmp_path / "file").write_text("one")
    run("add", "file")
    run("commit", "-m", "one")
    return run


def said(directory: Path) -> str:
    command = ["sh", str(SCRIPT), str(directory)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_it_is_the_tag(tmp_path: Path, git: Callable[..., str]) -> None:
    git("tag", "v0.2.0rc1")
    git("tag", "latest")
    assert said(tmp_path) == "0.2.0rc1"
    git("commit", "--allow-empty", "-m", "two")
    git("tag", "v0.2.0")
    assert said(tmp_path) == "0.2.0"


def test_what_came_after_the_tag_is_newer_than_it(tmp_path: Path, git: Callable[..., str]) -> None:
    git("tag", "v0.2.0")
    git("commit", "--allow-empty", "-m", "two")
    commit = git("rev-parse", "--short", "HEAD")
    assert said(tmp_path) == f"0.2.0.post1.dev1+g{commit}"
    (tmp_path / "file").write_text("two")
    assert said(tmp_path) == f"0.2.0.post1.dev1+g{commit}.dirty"
    assert Version("0.2.0") < Version(said(tmp_path)) < Version("0.2.1")


def test_what_is_changed_is_not_taken_for_the_release(tmp_path: Path, git: Callable[..., str]) -> None:
    git("tag", "v0.2.0")
    (tmp_path / "file").write_text("two")
    assert said(tmp_path) == f"0.2.0.post1.dev0+g{git('rev-parse', '--short', 'HEAD')}.dirty"


def test_without_a_tag_it_is_older_than_any_release(tmp_path: Path, git: Callable[..., str]) -> None:
    assert said(tmp_path) == f"0.0.0.post1.dev1+g{git('rev-parse', '--short', 'HEAD')}"
    assert Version(said(tmp_path)) < Version("0.1.0")


def test_without_git_it_is_older_than_any_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert said(tmp_path) == "0.0.0"
