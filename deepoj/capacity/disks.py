"""How full the file systems of a node's directories are."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from pathlib import Path

import trio

from deepoj.words.roster import DiskUse

_PATIENCE_S = 2.0


async def disks(directories: Mapping[str, Path]) -> tuple[DiskUse, ...]:
    """Return the use of each directory's file system; a directory that cannot be read is left out. Nothing is returned
    if a network file system hangs."""
    with trio.move_on_after(_PATIENCE_S):
        return await trio.to_thread.run_sync(_disks, dict(directories), abandon_on_cancel=True, limiter=_limiter())
    return ()


@functools.cache
def _limiter() -> trio.CapacityLimiter:
    """One thread at a time: the next call waits for one that hangs, and gives up."""
    return trio.CapacityLimiter(1)


def _disks(directories: Mapping[str, Path]) -> tuple[DiskUse, ...]:
    found = []
    for name, path in directories.items():
        try:
            use = os.statvfs(path)
        except OSError:
            continue
        found.append(
            DiskUse(
                directory=name,
                free_bytes=use.f_bavail * use.f_frsize,
                total_bytes=use.f_blocks * use.f_frsize,
                free_files=use.f_favail,
                total_files=use.f_files,
            )
        )
    return tuple(found)
