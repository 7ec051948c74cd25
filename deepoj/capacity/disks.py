"""How full the file systems of a node's directories are."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import trio

from deepoj.words.roster import DiskUse


async def disks(directories: Mapping[str, Path]) -> tuple[DiskUse, ...]:
    """Return the use of each directory's file system; a directory that cannot be read is left out."""
    return await trio.to_thread.run_sync(_disks, dict(directories))  # a network file system may block


def _disks(directories: Mapping[str, Path]) -> tuple[DiskUse, ...]:
    found = []
    for name, path in directories.items():
        try:
            use = shutil.disk_usage(path)
        except OSError:
            continue
        found.append(DiskUse(directory=name, free_bytes=use.free, total_bytes=use.total))
    return tuple(found)
