"""Programs that the operator runs: with a time limit, an environment of their own, and no more output than is read."""

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from csr_operator.backends.base import Retryable

_MOST_OUTPUT = 64 * 1024
# What says how to reach the Internet from here, and what to trust there. Nothing else is anybody's business.
_INHERITED = re.compile(r"PATH|LANG|LC_ALL|TZ|SSL_CERT_(?:FILE|DIR)|REQUESTS_CA_BUNDLE|(?i:https?|all|no)_(?i:proxy)")


@dataclass(frozen=True, slots=True)
class Finished:
    """status: of exit, negative for a signal. output, errors: the first 64 KiB of each."""

    status: int
    output: bytes = field(repr=False)
    errors: bytes = field(repr=False)


async def run(
    command: Sequence[str | Path], *, environment: dict[str, str], stdin: bytes = b"", limit: float
) -> Finished:
    """Run `command` without a shell; what it started ends with it. Raises Retryable after `limit` seconds, and OSError
    if it cannot be started."""
    inherited = {name: value for name, value in os.environ.items() if _INHERITED.fullmatch(name)}
    process = await asyncio.create_subprocess_exec(
        *command,
        env=inherited | environment,
        cwd="/",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
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
        raise Retryable(f"{Path(command[0]).name} was ended after {limit:.0f} s without having finished") from None
    finally:
        # Also when this task is cancelled, and also what it left behind. The group is there as long as any of it is.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def _read(stream: asyncio.StreamReader) -> bytes:
    """All of it, so that the program is not held up; the first part is kept."""
    kept = bytearray()
    while chunk := await stream.read(65536):
        kept += chunk[: _MOST_OUTPUT - len(kept)]
    return bytes(kept)
