"""What the machine is, and what a tree of processes takes of it (Linux, from /proc)."""

from __future__ import annotations

import os
import platform
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Clock", "cpu_ns", "machine_facts", "resident_bytes", "tree"]

_PROC = Path("/proc")


def machine_facts() -> dict[str, str | int]:
    """Processor, cores, memory, kernel, system and Python, as a reader of figures needs them."""
    memory_kb = int(_field(_PROC / "meminfo", "MemTotal").split()[0])
    return {
        "cpu": _field(_PROC / "cpuinfo", "model name"),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory_kb / 1024**2),
        "kernel": platform.release(),
        "system": _field(Path("/etc/os-release"), "PRETTY_NAME", "=").strip('"'),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def tree(pid: int) -> list[int]:
    """The process and all its living descendants."""
    children: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            stat = _read(entry / "stat")
            if stat:
                parent = int(stat.rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for member in found:  # grows while it is walked
        found += children.get(member, [])
    return found


def cpu_ns(pid: int) -> int:
    """CPU time of the process tree so far, threads that have ended included."""
    total = 0
    for member in tree(pid):
        with suppress(OSError):  # it ended meanwhile
            total += time.clock_gettime_ns(_cpu_clock(member))
    return total


def _cpu_clock(pid: int) -> int:
    """The id of another process's CPU clock, as clock_getcpuclockid(3) makes it."""
    return (~pid << 3) | 2


def resident_bytes(pid: int) -> int:
    """Resident memory of the process tree; pages shared by two processes count twice."""
    page = os.sysconf("SC_PAGE_SIZE")
    stats = (_read(_PROC / str(member) / "statm") for member in tree(pid))
    return sum(int(stat.split()[1]) * page for stat in stats if stat)


@dataclass(frozen=True, slots=True)
class Clock:
    """Ticks of all processors at one instant; the difference of two tells who used them."""

    busy: int
    stolen: int
    total: int

    @classmethod
    def read(cls) -> Clock:
        """Now, since boot."""
        first = _read(_PROC / "stat").partition("\n")[0]
        user, nice, system, idle, waiting, irq, softirq, stolen = map(int, first.split()[1:9])
        busy = user + nice + system + irq + softirq
        return cls(busy, stolen, busy + stolen + idle + waiting)

    def others_since(self, before: Clock, own_s: float) -> tuple[float, float]:
        """Shares of all processor time taken by other programs and by other machines."""
        total = max(1, self.total - before.total)
        others = self.busy - before.busy - own_s * os.sysconf("SC_CLK_TCK")
        return max(0.0, others / total), (self.stolen - before.stolen) / total


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # the process or thread ended meanwhile
        return ""


def _field(path: Path, name: str, separator: str = ":") -> str:
    for line in _read(path).splitlines():
        key, _, value = line.partition(separator)
        if key.strip() == name:
            return value.strip()
    return "0 (not told)"
