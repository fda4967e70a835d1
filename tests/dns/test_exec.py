"""`exec`: what a program is given, and who may have which program run."""

import asyncio
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

from csr_operator.plugin.errors import Misconfigured, Retryable
from tests.dns.conftest import World
from tests.support.kubectl import wait_until

NAME, VALUE = "_acme-challenge.www.example.com", "-value"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "programs"
    made.mkdir()
    return made


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where programs are given folders to write in."""
    made = tmp_path / "scratch"
    made.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(made))
    return made


def program(folder: Path, text: str, name: str = "dns") -> Path:
    """A shell script."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def solver(**changes: Any) -> dict[str, Any]:
    return {"exec": {"program": "dns", "credentialsSecretRef": {"name": "dns"}, **changes}}


async def test_a_program_is_given_the_record_and_its_credentials(
    world: World, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", "/the/operators/own")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.com")
    world.secrets["dns"] = {"token": b"s3cret"}
    shows = "cat; env | grep -E 'KUBECONFIG|HTTPS_PROXY' >&2; test $DNS_CREDENTIAL_token = s3cret && exit 3"
    program(folder, f'echo "$#,$1,$2,$3" >&2; {shows}')
    provider = world.provider(solver(), folder)
    for action, call in (("present", provider.present), ("cleanup", provider.withdraw)):
        with pytest.raises(Retryable) as said:
            await call(NAME, VALUE)
        expected = f"3,{action},{NAME},{VALUE} HTTPS_PROXY=http://proxy.example.com"
        assert str(said.value) == f"dns {action} ended with status 3: {expected}"


async def test_no_program_runs_unless_the_administrator_allows_it(world: World) -> None:
    with pytest.raises(Misconfigured, match=r"exec: the operator runs no programs: .* set --dns-programs"):
        world.provider(solver(program="sh"))


@pytest.mark.parametrize("name", ["../dns", "/bin/sh", "..", ".hidden", "a/b", "", "dns\0"])
def test_only_programs_of_that_folder_run(world: World, folder: Path, name: str) -> None:
    with pytest.raises(Misconfigured, match=r"exec.program: .*(write one without folder|is missing)"):
        world.provider(solver(program=name), folder)


async def test_a_program_that_is_not_there(world: World, folder: Path) -> None:
    world.secrets["dns"] = {}
    program(folder, "", "other").with_name("notes").mkdir()
    with pytest.raises(Misconfigured, match="the operator has no program dns: there is notes, other"):
        await world.provider(solver(), folder).present(NAME, VALUE)
    (folder / "dns").write_text("not a program")
    (folder / "dns").chmod(0o755)
    with pytest.raises(Misconfigured, match="dns cannot be run: Exec format error"):
        await world.provider(solver(), folder).present(NAME, VALUE)


@pytest.mark.parametrize("key", ["LD-PRELOAD", "BASH_FUNC_cat%%", "1st", "a.b"])
async def test_a_secret_that_fits_no_environment(world: World, folder: Path, key: str) -> None:
    world.secrets["dns"] = {key: b"x"}
    program(folder, "exit 0")
    with pytest.raises(Misconfigured, match=r"credentialsSecretRef: .* fits no variable .*: name keys with letters"):
        await world.provider(solver(), folder).present(NAME, VALUE)


async def test_a_secret_sets_no_variable_that_means_something(world: World, folder: Path) -> None:
    """BASH_ENV, ENV, LD_PRELOAD and their like would have the owner of the Secret run what he likes."""
    world.secrets["dns"] = dict.fromkeys(("LD_PRELOAD", "BASH_ENV", "ENV", "PATH", "PYTHONSTARTUP"), b"/tmp/evil")
    program(folder, "env | grep evil | cut -d= -f1 >&2; exit 3")
    with pytest.raises(Retryable) as said:
        await world.provider(solver(), folder).present(NAME, VALUE)
    evil = str(said.value).partition(": ")[2].split()
    assert len(evil) == 5
    assert all(name.startswith("DNS_CREDENTIAL_") for name in evil)


async def test_what_a_program_says_reaches_the_user_without_the_credentials(world: World, folder: Path) -> None:
    world.secrets["dns"] = {"token": b"s3cret"}
    program(folder, 'echo "no zone\nfor it (token $DNS_CREDENTIAL_token)" >&2; exit 3')
    with pytest.raises(Retryable, match=r"^dns present ended with status 3: no zone for it \(token \*\*\*\)$"):
        await world.provider(solver(), folder).present(NAME, VALUE)
    program(folder, "exit 78")
    with pytest.raises(Misconfigured, match="exec: dns present ended with status 78: it did not say why"):
        await world.provider(solver(), folder).present(NAME, VALUE)


@pytest.mark.slow("waits for a limit of seconds")
async def test_a_program_that_hangs_ends_with_all_that_it_started(
    world: World, folder: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("csr_operator.dns.programs._LIMIT", 3.0)
    program(folder, "sleep 600 & echo $! >$TMPDIR/child; sleep 600")
    running = asyncio.create_task(world.provider(solver(credentialsSecretRef=None), folder).present(NAME, VALUE))
    child = await told(scratch)
    with pytest.raises(Retryable, match="dns was ended after 3 s"):
        await running
    await ended(child)
    assert os.listdir(scratch) == []  # noqa: PTH208


async def test_a_program_ends_when_nobody_waits_any_more(world: World, folder: Path, scratch: Path) -> None:
    program(folder, "echo $$ >$TMPDIR/child; exec sleep 600")
    waiting = asyncio.create_task(world.provider(solver(credentialsSecretRef=None), folder).present(NAME, VALUE))
    child = await told(scratch)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await ended(child)
    assert os.listdir(scratch) == []  # noqa: PTH208


async def test_a_program_that_talks_without_end_uses_no_memory(world: World, folder: Path) -> None:
    """The loop goes on as well: other programs are answered meanwhile."""
    program(folder, "head -c 50000000 /dev/zero | tr '\\0' x >&2; exit 1")
    program(folder, "exit 0", "quick")
    talking = asyncio.create_task(world.provider(solver(credentialsSecretRef=None), folder).present(NAME, VALUE))
    await world.provider(solver(credentialsSecretRef=None, program="quick"), folder).present(NAME, VALUE)
    with pytest.raises(Retryable, match=r"^dns present ended with status 1: x{497}[.]{3}$"):
        await talking


async def told(scratch: Path) -> int:
    """The process that a program names in the file `child` of its folder for such things."""

    def found() -> str:
        return "".join(file.read_text() for file in scratch.glob("*/child"))

    return int(await asyncio.to_thread(wait_until, "the program runs", found))


async def ended(process: int) -> None:
    def gone() -> bool:
        try:
            return Path(f"/proc/{process}/stat").read_text().split(") ")[-1].startswith("Z")
        except FileNotFoundError:
            return True

    await asyncio.to_thread(wait_until, f"process {process} is gone", gone)
