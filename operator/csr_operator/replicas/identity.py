"""What a replica is called, and whether one that was has ended for certain."""

import os
import re
import secrets
import socket
from functools import cache
from pathlib import Path

from csr_operator.api.replicas import Process

_PROC = Path("/proc")
_IS_PID = re.compile("[0-9]{1,10}")


def new_name() -> str:
    """For a Lease: the pod's name, or that of the machine, and what tells each time that it joins from all others."""
    base = os.environ.get("POD_NAME") or f"csr-operator-{socket.gethostname()}"
    return f"{re.sub(r'[^a-z0-9-]+', '-', base.lower()).strip('-')[:200]}-{secrets.token_hex(3)}"


@cache
def own_process() -> Process:
    """Which process this one is."""
    pid, (boot, pids) = os.getpid(), _machine()
    pod, pod_uid = os.environ.get("POD_NAME", ""), os.environ.get("POD_UID", "")
    return Process(pod, pod_uid, socket.gethostname(), boot, pids, str(pid), _started(pid))


def has_ended(process: Process) -> bool:
    """Another process than this one does not run any more, for certain: in an earlier container of this pod, or on this
    machine. False for one that cannot be seen from here."""
    if process.pod_uid and process.pod_uid == os.environ.get("POD_UID"):
        return True
    is_here = bool(process.boot) and (process.boot, process.pids) == _machine()
    return is_here and _IS_PID.fullmatch(process.pid) is not None and _started(int(process.pid)) != process.started


@cache
def _machine() -> tuple[str, str]:
    """Boot and PID namespace, in which PIDs mean the same processes; empty if they cannot be told, as outside Linux."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return boot, str((_PROC / "self/ns/pid").readlink())
    except OSError:
        return "", ""


def _started(process: int) -> str:
    """In clock ticks since the boot; empty if there is no such process, or it only waits to be buried."""
    try:
        # The name in parentheses may hold anything (https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html).
        fields = (_PROC / str(process) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]
