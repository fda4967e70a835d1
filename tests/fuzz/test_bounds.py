"""Input of 10 MB, or nested 100,000 times, ends in the error that a user understands, within bounds of memory and CPU.

A process of its own reads each, which may take no more than these: what takes more is ended by the kernel.
"""

import multiprocessing
import re
import resource
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext

import pytest

from tests.fuzz import oversized

MEMORY = 1024 * 1024 * 1024
"""Octets of address space, of which a process that has read nothing has about a third."""

CPU = 20
"""Seconds. The slowest takes two; what grew with the square of the size would take minutes."""


@pytest.fixture(scope="module")
def forks() -> ForkServerContext:
    """Of a process that has imported all that there is to import."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([oversized.__name__])
    return context


@pytest.mark.parametrize("name", oversized.CASES)
def test_what_is_too_large_or_too_deep_is_told_within_bounds(forks: ForkServerContext, name: str) -> None:
    receiver, sender = forks.Pipe(duplex=False)
    process = forks.Process(target=_read_within_bounds, args=(name, sender))
    process.start()
    sender.close()
    try:
        told = receiver.recv()
    except EOFError:
        process.join()
        pytest.fail(f"it took more than {MEMORY} octets or {CPU} s of CPU: the process ended with {process.exitcode}")
    process.join()

    assert re.search(oversized.CASES[name].told, told), told[:500]
    assert len(told) < 5000


def _read_within_bounds(name: str, sender: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU, CPU))
    sender.send(oversized.read(name))
