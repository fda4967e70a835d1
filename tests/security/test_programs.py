"""A program that the operator starts, when who wrote it, or a module that it uses, is after the operator's rights."""

import ctypes
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from csr_operator.dns import process
from csr_operator.dns.process import UNCONFINED, Finished, run
from csr_operator.plugin.errors import Misconfigured

CREATE_RULESET = 444
TOKEN = "THE-TOKEN-OF-THE-OPERATOR"


@pytest.fixture
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The operator's own; a ServiceAccount's token, in /var/run/secrets, is no nearer to what programs read."""
    path = tmp_path / "operator" / "kubeconfig"
    path.parent.mkdir()
    path.write_text(TOKEN)
    monkeypatch.setenv("KUBECONFIG", str(path))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "programs"
    made.mkdir()
    return made


async def does(folder: Path, text: str) -> Finished:
    """What a shell script in the programs' folder comes to."""
    path = folder / "dns"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return await run([path], environment={}, reads=[folder], limit=60)


async def test_it_does_not_read_the_operators_credentials(kubeconfig: Path, folder: Path) -> None:
    (folder / "link").symlink_to(kubeconfig)
    done = await does(folder, f"cat {kubeconfig}; cat {folder}/link; ls {kubeconfig.parent}")
    assert TOKEN.encode() not in done.output + done.errors
    assert done.errors.count(b"Permission denied") == 3


@pytest.mark.parametrize("path", ["environ", "mem", "maps", "cmdline", "fd/0", "root/etc/hostname"])
async def test_it_does_not_look_into_the_operator(kubeconfig: Path, folder: Path, path: str) -> None:
    done = await does(folder, f"head -c 10 /proc/$PPID/{path}")
    assert (done.status != 0, done.output) == (True, b"")
    assert b"Permission denied" in done.errors


async def test_it_does_not_read_what_an_administrator_keeps_on_the_machine(kubeconfig: Path, folder: Path) -> None:
    done = await does(folder, "ls /etc /root /home /var /run /proc /sys; cat /etc/shadow")
    assert done.output == b""


async def test_it_writes_in_its_own_folder_alone(kubeconfig: Path, folder: Path) -> None:
    elsewhere = tempfile.gettempdir()
    done = await does(
        folder, f"echo x >{folder}/x; echo x >{elsewhere}/x-$$; echo x >/dev/null; echo y >$TMPDIR/y; cat $TMPDIR/y"
    )
    assert done.output == b"y\n"
    assert os.listdir(folder) == ["dns"]  # noqa: PTH208
    assert done.errors.count(b"Permission denied") == 2


async def test_neither_does_what_it_starts(kubeconfig: Path, folder: Path) -> None:
    done = await does(
        folder, f"{sys.executable} -I -c 'print(open(\"{kubeconfig}\").read())' || sh -c 'cat {kubeconfig}'"
    )
    assert (done.status, done.output) == (1, b"")


@pytest.mark.skipif(ctypes.CDLL(None).syscall(CREATE_RULESET, None, 0, 1) < 6, reason="needs Linux 6.12")
async def test_it_does_not_end_the_operator(kubeconfig: Path, folder: Path) -> None:
    done = await does(folder, "kill -0 $PPID")
    assert b"Operation not permitted" in done.errors


async def test_none_runs_where_the_credentials_are_among_what_it_reads(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "kubeconfig"
    path.write_text(TOKEN)
    monkeypatch.setenv("KUBECONFIG", str(path))
    with pytest.raises(
        Misconfigured, match=r"the operator's credentials .*kubeconfig are in .*programs, which programs"
    ):
        await does(folder, "exit 0")


async def test_without_landlock_none_runs_unless_the_administrator_says_so(
    kubeconfig: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a kernel that does not know the call."""
    launcher = tmp_path / "launcher.py"
    launcher.write_text(process._LAUNCHER.read_text().replace(f"= {CREATE_RULESET},", "= 9999,"))
    monkeypatch.setattr(process, "_LAUNCHER", launcher)
    with pytest.raises(
        Misconfigured, match=rf"Function not implemented\): have the operator .*{UNCONFINED}=unconfined"
    ):
        await does(folder, "echo ran")
    monkeypatch.setenv(UNCONFINED, "unconfined")
    assert (await does(folder, "echo ran")).output == b"ran\n"


@pytest.mark.slow("starts the operator, imports and all")
@pytest.mark.skipif(os.geteuid() != 0, reason="takes the place of another user")
def test_the_operator_is_closed_to_its_own_user() -> None:
    """Also to a program that is not confined. It still takes a certificate from memory, and shows its open files."""
    text = """
import ctypes, os, sys
from csr_operator.__main__ import _keep_to_itself
os.setgid(65532); os.setuid(65532)
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # a change of the user alone closes it
print("open", flush=True); sys.stdin.readline()
_keep_to_itself()
file = os.memfd_create("x")
os.close(os.open(f"/proc/self/fd/{file}", os.O_RDONLY))
print(len(os.listdir("/proc/self/fd")) > 3, flush=True); sys.stdin.readline()
"""
    with subprocess.Popen([sys.executable, "-c", text], stdin=-1, stdout=-1, text=True) as closed:
        assert closed.stdin is not None
        assert closed.stdout is not None
        look = ["head", "-c", "1", f"/proc/{closed.pid}/environ"]
        for said, readable in (("open", True), ("True", False)):
            assert closed.stdout.readline() == f"{said}\n"
            done = subprocess.run(look, user=65532, group=65532, extra_groups=[], capture_output=True, check=False)
            assert (done.returncode == 0) is readable
            closed.stdin.write("\n")
            closed.stdin.flush()
