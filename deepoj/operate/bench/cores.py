"""How busy the cores of a benchmark are, and how much of that is other processes' work."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

#: Share of the cores that other processes may use in a turn whose verdicts are compared. Processes that used a tenth
#: made the ratio of ``deepoj bench web`` 4.5 on cores where it was 1.15 without them.
MOST_OTHERS = 0.05
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class CoresUse:
    """Shares of all the cores' time, 0 to 1. ``others``: of processes outside of the benchmark, of the kernel's own
    threads, and of other virtual machines."""

    busy: float
    others: float


def _busy_s() -> float:
    """Return the time in which the cores that this process may use did something, also for other virtual machines."""
    ticks = 0
    for line in Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name.startswith("cpu") and name[3:].isdigit() and int(name[3:]) in os.sched_getaffinity(0):
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[:8])
            ticks += user + nice + system + irq + softirq + steal
    return ticks / _TICKS_PER_S


def _tree(pid: int) -> Iterator[int]:
    """Yield a process and its descendants. A child belongs to the thread that started it."""
    yield pid
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = listed.read_text().split()
        except OSError:  # the thread, or the process, has ended meanwhile
            continue
        for child in children:
            yield from _tree(int(child))


def cpu_s(pid: int) -> float:
    """Return the CPU time of a process and of its children that have ended; 0 if it has ended itself."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / _TICKS_PER_S


def _own_s() -> float:
    """Return the CPU time of this process and its descendants."""
    return sum(map(cpu_s, _tree(os.getpid())))


@dataclass(frozen=True, slots=True)
class CoresClock:
    """A moment; ``use`` tells what has happened since. It counts this process and its descendants as the benchmark.

    The time of a process that has ended is in that of the parent that waited for it, so compilers are not missed.
    """

    _began: float = field(default_factory=time.monotonic)
    _busy_s: float = field(default_factory=_busy_s)
    _own_s: float = field(default_factory=_own_s)

    def use(self) -> CoresUse:
        """Return the shares since this moment."""
        now = CoresClock()
        of_all_s = (now._began - self._began) * len(os.sched_getaffinity(0))
        busy_s, own_s = now._busy_s - self._busy_s, now._own_s - self._own_s
        return CoresUse(busy=busy_s / of_all_s, others=max(0.0, busy_s - own_s) / of_all_s)
