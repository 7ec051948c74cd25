"""Limits on a program's CPU time and disk bytes per second, as lines of ``cpu.max`` and ``io.max`` of its cgroup.

The kernel limits whole disks, by their numbers. A file system on a partition is limited with its disk. A file system
without a disk of its own (overlay, btrfs, a network) has no such number, and is not limited.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

#: the kernel's own default: a program that has used its share pauses until the next one begins
PERIOD_US = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Limits of one program per second; 0: no limit."""

    cpu_cores: float = 0.0
    read_bps: int = 0
    write_bps: int = 0
    #: a directory whose disk is limited, too, besides those of the paths that programs see
    workspace: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLines:
    """Lines of a cgroup's files; empty: no limit."""

    cpu_max: str = ""
    io_max: tuple[str, ...] = ()
    #: why a requested limit has no effect, a sentence for people; empty: it has
    lack: str = ""


def rate_lines(rates: Rates, shown: Iterable[str], sys: Path = Path("/sys")) -> RateLines:
    """Return the lines for ``rates``; ``io.max`` has one for each disk under ``shown`` and the workspace."""
    cpu_max = f"{round(rates.cpu_cores * PERIOD_US)} {PERIOD_US}" if rates.cpu_cores else ""
    bounds = [f"{key}={bps}" for key, bps in (("rbps", rates.read_bps), ("wbps", rates.write_bps)) if bps]
    if not bounds:
        return RateLines(cpu_max=cpu_max)
    paths = [*shown, *([] if rates.workspace is None else [str(rates.workspace)])]
    disks = sorted({disk for path in paths if (disk := _disk_of(path, sys)) is not None})
    lack = "" if disks else "programs' reads and writes are not limited, since no disk is under the paths they see"
    return RateLines(cpu_max=cpu_max, io_max=tuple(f"{disk} {' '.join(bounds)}" for disk in disks), lack=lack)


def device_of(path: str) -> int:
    """Return the number of the device that holds ``path``. Raises OSError."""
    return Path(path).stat().st_dev


def _disk_of(path: str, sys: Path) -> str | None:
    """Return ``major:minor`` of the disk that holds ``path``; None if it is on no disk or missing."""
    try:
        device = device_of(path)
    except OSError:
        return None
    numbers = f"{os.major(device)}:{os.minor(device)}"
    entry = sys / "dev" / "block" / numbers
    try:
        if (entry / "partition").exists():
            return (entry.resolve().parent / "dev").read_text().strip()
    except OSError:
        return None
    return numbers if os.major(device) and entry.exists() else None
