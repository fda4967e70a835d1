"""What processes and the machine have used so far, from `/proc` (Linux; proc(5))."""

import os
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, all threads, without its children."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident_mb(pid: int, *, peak: bool = False) -> float:
    """Resident memory now, or the most there ever was, in MB (10^6 bytes)."""
    name = "VmHWM:" if peak else "VmRSS:"
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024 / 1e6
    raise ProcessLookupError(f"process {pid} has ended")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """CPU seconds so far: of the whole machine, and of each process below this one (and of this one), by pid."""

    machine: float
    processes: dict[int, float]

    @classmethod
    def take(cls) -> "Snapshot":
        line = Path("/proc/stat").read_text().splitlines()[0]
        user, nice, system, _, _, irq, softirq, *_ = map(int, line.split()[1:])
        parents = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    parents[int(entry.name)] = int(_stat(int(entry.name))[1])
                except (FileNotFoundError, ProcessLookupError):
                    continue  # it has just ended
        own = {os.getpid()}
        while children := {pid for pid, parent in parents.items() if parent in own} - own:
            own |= children
        processes = {}
        for pid in own:
            try:
                processes[pid] = cpu_seconds(pid)
            except (FileNotFoundError, ProcessLookupError):
                continue
        return cls((user + nice + system + irq + softirq) / _TICKS, processes)

    def used_since(self, before: "Snapshot") -> dict[int, float]:
        """CPU seconds of each own process between the two."""
        return {pid: seconds - before.processes.get(pid, 0.0) for pid, seconds in self.processes.items()}

    def others_since(self, before: "Snapshot") -> float:
        """CPU seconds that all other processes of the machine used between the two."""
        return max(0.0, self.machine - before.machine - sum(self.used_since(before).values()))


def find_child(program: str) -> int:
    """The pid of the process below this one that runs `program`, as its name or as its subcommand."""
    for pid in Snapshot.take().processes:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:2]
        if any(Path(word.decode()).name == program for word in arguments):
            return pid
    raise LookupError(f"no process runs {program}")


def _stat(pid: int) -> list[str]:
    """The fields from `state` on; the name before them may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
