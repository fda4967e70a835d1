"""Programs that the operator runs: with a time limit, an environment and files of their own, and no more output than is
read."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from weakref import WeakKeyDictionary

from csr_operator.plugin.errors import Misconfigured, Retryable

UNCONFINED = "CSR_OPERATOR_PROGRAMS"
"""In the environment `unconfined`: where there is no Landlock, programs are run all the same."""

_LAUNCHER = Path(__file__).with_name("confined.py")
MOST_OUTPUT = 64 * 1024
"""Octets that are read of what a program writes."""

_MOST = 8
"""Programs at once. A further one waits."""

# What says how to reach the Internet from here, and what to trust there. Nothing else is anybody's business.
_INHERITED = re.compile(r"PATH|LANG|LC_ALL|TZ|SSL_CERT_(?:FILE|DIR)|REQUESTS_CA_BUNDLE|(?i:https?|all|no)_(?i:proxy)")
_TRUSTED = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")

_INSTALLED = ("/bin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/sbin", "/usr")
_CONFIGURATION = (
    *(
        "alternatives",
        "ca-certificates",
        "ca-certificates.conf",
        "crypto-policies",
        "debian_version",
        "gai.conf",
        "group",
    ),
    *("host.conf", "hostname", "hosts", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "mime.types"),
    *("nsswitch.conf", "os-release", "passwd", "pki/ca-trust", "pki/tls", "protocols", "resolv.conf", "services"),
    *("ssl/certs", "ssl/cert.pem", "ssl/openssl.cnf", "timezone"),
)
"""In /etc. Not all of it: that is where an administrator's credentials are, too."""
_KERNEL = ("/dev/random", "/dev/urandom", "/dev/zero", "/proc/cpuinfo", "/proc/meminfo", "/proc/self")
_SINK = "/dev/null"

_places: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Finished:
    """status: of exit, negative for a signal. output, errors: the first 64 KiB of each."""

    status: int
    output: bytes = field(repr=False)
    errors: bytes = field(repr=False)


async def run(
    command: Sequence[str | Path],
    *,
    environment: dict[str, str],
    reads: Sequence[Path] = (),
    stdin: bytes = b"",
    limit: float,
) -> Finished:
    """Run `command` without a shell; what it started ends with it.

    It reads what is installed, and `reads`; it writes in a folder of its own (TMPDIR), where there can be one.
    Raises Retryable after `limit` seconds, OSError if it cannot be started, and Misconfigured if it cannot be confined.
    """
    inherited = {name: value for name, value in os.environ.items() if _INHERITED.fullmatch(name)}
    readable = _readable(inherited, reads)
    places = _places.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(_MOST))
    async with places, _scratch() as scratch:
        variables = inherited | environment | ({"TMPDIR": scratch} if scratch else {})
        writable = [_SINK, scratch] if scratch else [_SINK]
        return await _confined(command, variables, readable, writable, stdin, limit)


def _readable(inherited: dict[str, str], reads: Sequence[Path]) -> list[str]:
    trusted = [path for name in _TRUSTED for path in inherited.get(name, "").split(os.pathsep) if path]
    installed = [*_INSTALLED, sys.prefix, sys.base_prefix, *map(str, reads)]
    for credential in _credentials():
        for folder in installed:
            if credential.is_relative_to(Path(folder).resolve()):
                raise Misconfigured(
                    f"the operator's credentials {credential} are in {folder}, which programs read: keep them elsewhere"
                )
    return [*installed, *(f"/etc/{name}" for name in _CONFIGURATION), *_KERNEL, *trusted]


def _credentials() -> Iterator[Path]:
    """By which the operator is known to the API server."""
    named = [path for path in os.environ.get("KUBECONFIG", "").split(os.pathsep) if path]
    for path in (*named, "~/.kube/config", "/var/run/secrets/kubernetes.io/serviceaccount/token"):
        # There need be none, and in a container no home either.
        with contextlib.suppress(OSError, RuntimeError):
            yield Path(path).expanduser().resolve(strict=True)


@asynccontextmanager
async def _scratch() -> AsyncIterator[str]:
    """An empty folder. No path where nothing can be written."""
    try:
        folder = tempfile.mkdtemp(prefix="csr-operator-")
    except OSError:
        yield ""
        return
    try:
        yield folder
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def _confined(
    command: Sequence[str | Path],
    variables: dict[str, str],
    readable: Sequence[str],
    writable: Sequence[str],
    stdin: bytes,
    limit: float,
) -> Finished:
    told = {"read": readable, "write": writable, "must": os.environ.get(UNCONFINED) != "unconfined"}
    heard, report = os.pipe()
    os.set_blocking(heard, False)
    with os.fdopen(heard, "rb", buffering=0) as ending:
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", _LAUNCHER, json.dumps({**told, "report": report}), *command),
                env=variables,
                cwd="/",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
                pass_fds=(report,),
            )
        finally:
            os.close(report)
        finished = await _followed(process, Path(command[0]).name, stdin, limit)
        if why := ending.read(100):
            unconfined, number = json.loads(why)
            if not unconfined:
                raise OSError(number, os.strerror(number))
            raise Misconfigured(
                f"no program is run, as none can be confined here (Landlock: {os.strerror(number)}): have the operator "
                f"run on Linux 5.13 or newer with Landlock, or set {UNCONFINED}=unconfined for it (docs/operations.md)"
            )
    return finished


async def _followed(process: asyncio.subprocess.Process, name: str, stdin: bytes, limit: float) -> Finished:
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        async with asyncio.timeout(limit):
            with contextlib.suppress(ConnectionError):  # it need not read
                process.stdin.write(stdin)
                await process.stdin.drain()
            process.stdin.close()
            output, errors = await asyncio.gather(_read(process.stdout), _read(process.stderr))
            return Finished(await process.wait(), output, errors)
    except TimeoutError:
        raise Retryable(f"{name} was ended after {limit:.0f} s without having finished") from None
    finally:
        # Also when this task is cancelled, and also what it left behind. The group is there as long as any of it is.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def _read(stream: asyncio.StreamReader) -> bytes:
    """All of it, so that the program is not held up; the first part is kept."""
    kept = bytearray()
    while chunk := await stream.read(65536):
        kept += chunk[: MOST_OUTPUT - len(kept)]
    return bytes(kept)
