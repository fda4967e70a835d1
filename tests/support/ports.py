"""Ports of loopback addresses."""

import contextlib
import fcntl
import os
import random
import socket
from functools import cache
from pathlib import Path

_RANGE = range(10240, 32768)
"""Below the ports that the kernel gives to connections: one of those would take the port before it is listened on."""

_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "csr-operator"
"""Not in the folder for temporary files: what that is differs between the processes of a run."""

_given: set[int] = set()


def free_ports(count: int, address: str = "127.0.0.1") -> list[int]:
    """So many that nobody listens on, neither by TCP nor by UDP, and that no other test is given."""
    found: list[int] = []
    while len(found) < count:
        port = random.choice(_RANGE)
        if port not in _given and _is_free(address, port) and _is_ours(port):
            _given.add(port)
            found.append(port)
    return found


def _is_ours(port: int) -> bool:
    """No other process of tests has it, until this one ends: whoever was given it may not listen on it yet."""
    try:
        fcntl.lockf(_claims(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True


@cache
def _claims() -> int:
    """A file in which each process locks the octets of its ports."""
    _CACHE.mkdir(parents=True, exist_ok=True)
    path = _CACHE / "test-ports"
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _is_free(address: str, port: int) -> bool:
    with contextlib.ExitStack() as stack:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            probe = stack.enter_context(socket.socket(socket.AF_INET, kind))
            try:
                probe.bind((address, port))
            except OSError:
                return False
    return True


def answers(port: int) -> bool:
    """Whether something listens on that port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
