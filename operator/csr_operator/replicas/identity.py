"""What a replica is called, and whether one that was has ended for certain."""

import os
import re
import secrets
import socket
from functools import cache
from pathlib import Path

_PROC = Path("/proc")
_PARTS = 5


def new_name() -> str:
    """For a Lease: the pod's name, or that of the machine, and what tells each time that it joins from all others."""
    base = os.environ.get("POD_NAME") or f"csr-operator-{socket.gethostname()}"
    return f"{re.sub(r'[^a-z0-9-]+', '-', base.lower()).strip('-')[:200]}-{secrets.token_hex(3)}"


@cache
def own_identity() -> str:
    """Which process it is, of all that ever were: pod, boot, PID namespace, PID, and when it was started."""
    pod, process = os.environ.get("POD_NAME", ""), os.getpid()
    return f"{pod}/{_machine() or 'unknown/unknown'}/{process}/{_started(process)}"


def has_ended(identity: str) -> bool:
    """Another process than this one does not run any more, for certain: in an earlier container of this pod, or on this
    machine. False for one that cannot be seen from here."""
    parts = identity.split("/")
    if len(parts) != _PARTS:
        return False
    pod, boot, namespace, process, started = parts
    if pod and pod == os.environ.get("POD_NAME"):
        return True
    return f"{boot}/{namespace}" == _machine() and process.isdigit() and _started(int(process)) != started


def _machine() -> str:
    """Where PIDs mean the same processes; empty if that cannot be told, as outside Linux."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{(_PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return ""


def _started(process: int) -> str:
    """In clock ticks since the boot; empty if there is no such process, or it only waits to be buried."""
    try:
        # The name in parentheses may hold anything (https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html).
        fields = (_PROC / str(process) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]
