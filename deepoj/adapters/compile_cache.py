"""Results of compilations on this node's disk, by the digest of all their inputs.

Below the root::

    0/                  a slot, locked by the node that uses it (a second node with the same root takes 1, 2, …)
      <key>/            one result, complete or absent
        result.json     the compiler's result; size and SHA-256 of each file beside it
        main            the file that a run needs
      .work-…/          an entry being made or removed

A taken result is hard links to the entry's files, so an entry can be removed at any time. These files are never written
to: a run gets a copy that it cannot write, and a compilation's artifact comes by a rename.

What if we die here? An entry is made in a work directory and renamed into its place; the next start removes work
directories. A power cut can keep a name and lose its bytes: each file is compared with its digest whenever it is taken.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import trio

from deepoj import observe
from deepoj.words.errors import StartRefused
from deepoj.words.results import CompileResult

_MAX_SLOTS = 64
_WORK_PREFIX = ".work-"
_INDEX = "result.json"
_KEY = re.compile(r"[0-9a-f]{64}")
#: of an entry besides its bytes: a directory, an index
_OVERHEAD_BYTES = 8192
#: an entry of so many bytes is read and linked in 0.2 ms; a thread needs 0.1 to 0.4 ms to wake up
_SHORT_BYTES = 64 * 1024


class DiskCompileCache:
    """Compile results on disk (``ports.CompileCache``). For one trio loop; all disk work happens in threads.

    The least recently used entries are evicted while all are larger than ``max_bytes`` together, or more than
    ``max_entries``. Each entry takes a third of a KiB of this process's memory, and most are tiny (a valid script).
    """

    def __init__(
        self, root: Path, *, metrics: observe.Metrics, max_bytes: int = 1 << 30, max_entries: int = 2000
    ) -> None:
        self._root, self._metrics = root, metrics
        self._max_bytes, self._max_entries = max_bytes, max_entries
        self._slot: Path | None = None
        self._lock_fd = -1
        self._starting = trio.Lock()
        #: key → bytes, the least recently used first
        self._entries: OrderedDict[str, int] = OrderedDict()
        self._bytes = 0

    async def start(self) -> Path:
        """Take a slot, remove leftovers, read what is still there. Otherwise the first ``take`` or ``keep`` does it.

        Raises:
          StartRefused: the root cannot be used.
        """
        async with self._starting:
            if self._slot is not None:
                return self._slot
            try:
                slot, self._lock_fd, survivors = await trio.to_thread.run_sync(_take_slot, self._root)
            except OSError as error:
                raise StartRefused(f"WORKSPACE: {self._root} cannot be used: {error.strerror or error}", 2) from error
            self._entries = OrderedDict(survivors)
            self._bytes = sum(self._entries.values())
            self._slot = slot
            return slot

    def close(self) -> None:
        """Release the slot; its content stays for the next start."""
        if self._slot is not None:
            os.close(self._lock_fd)
            self._slot = None

    def has(self, key: str) -> bool:
        return key in self._entries

    async def take(self, key: str, into: Path) -> CompileResult | None:
        slot = self._slot or await self.start()  # a lock would let all other tasks run first
        if key not in self._entries:
            return None
        if self._entries[key] <= _SHORT_BYTES:
            await trio.lowlevel.checkpoint_if_cancelled()
            result = _take(slot / key, into)
        else:
            result = await trio.to_thread.run_sync(_take, slot / key, into)
        if result is None:
            await self._drop(key)
        elif key in self._entries:
            self._entries.move_to_end(key)
        return result

    async def keep(self, key: str, result: CompileResult, files: Sequence[Path]) -> None:
        slot = await self.start()
        if key in self._entries:
            return
        size_bytes = await trio.to_thread.run_sync(_keep, slot, key, result, files)
        if size_bytes is None:
            self._count("unkept")
            return
        self._entries[key] = size_bytes
        self._bytes += size_bytes
        while self._entries and (self._bytes > self._max_bytes or len(self._entries) > self._max_entries):
            await self._drop(next(iter(self._entries)))

    async def _drop(self, key: str) -> None:
        size_bytes = self._entries.pop(key, None)
        if size_bytes is None or self._slot is None:
            return
        self._bytes -= size_bytes
        self._count("evicted")
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(_remove, self._slot, key)

    def _count(self, result: str) -> None:
        self._metrics.compile_cache.labels(result=result).inc()


# ---------------------------------------------------------------------------------------------------------------------
# On the disk; all of it blocks


def _take_slot(root: Path) -> tuple[Path, int, list[tuple[str, int]]]:
    """Return the first free slot, its lock, and its entries with their sizes, least recently used first."""
    for number in range(_MAX_SLOTS):
        path = root / str(number)
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock_fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock_fd)
            continue
        return path, lock_fd, _survivors(path)
    raise OSError(0, f"all {_MAX_SLOTS} slots are in use")


def _survivors(slot: Path) -> list[tuple[str, int]]:
    entries: list[tuple[float, str, int]] = []
    for path in slot.iterdir():
        if _KEY.fullmatch(path.name):
            size_bytes = sum(file.stat().st_size for file in path.iterdir()) + _OVERHEAD_BYTES
            entries.append((path.stat().st_mtime, path.name, size_bytes))
        else:
            shutil.rmtree(path, ignore_errors=True)
    return [(key, size_bytes) for _, key, size_bytes in sorted(entries)]


def _take(entry: Path, into: Path) -> CompileResult | None:
    """Link an entry's files and return its result; None if it is missing or damaged."""
    try:
        kept = json.loads((entry / _INDEX).read_bytes())
        for name, size_bytes, digest in kept["files"]:
            with (entry / name).open("rb") as file:
                if os.fstat(file.fileno()).st_size != size_bytes:
                    return None
                if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                    return None
            _link(entry / name, into / name)
        os.utime(entry)  # marks the entry as used, for the order at the next start
        return CompileResult(**kept["result"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _keep(slot: Path, key: str, result: CompileResult, files: Sequence[Path]) -> int | None:
    """Store an entry and return its size; None if the disk refused, then nothing is left."""
    work: Path | None = None
    try:
        work = Path(tempfile.mkdtemp(prefix=_WORK_PREFIX, dir=slot))
        rows, size_bytes = [], _OVERHEAD_BYTES
        for path in files:
            _link(path, work / path.name)
            with (work / path.name).open("rb") as file:
                rows.append(
                    (path.name, os.fstat(file.fileno()).st_size, hashlib.file_digest(file, "sha256").hexdigest())
                )
            size_bytes += rows[-1][1]
        text = json.dumps({"result": asdict(result), "files": rows})
        (work / _INDEX).write_text(text)
        work.rename(slot / key)
        return size_bytes + len(text)
    except OSError:
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)
        return None


def _link(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:  # another file system, or too many links
        shutil.copyfile(source, target)


def _remove(slot: Path, key: str) -> None:
    """Remove an entry; its name is gone at once."""
    aside = slot / f"{_WORK_PREFIX}old-{key}"
    try:
        (slot / key).rename(aside)
    except OSError:
        return
    shutil.rmtree(aside, ignore_errors=True)
