"""The test data cache on disk. Everything here blocks: it is called in threads.

Below the root::

    0/                      a slot, locked by the node that uses it (a second node with the same root takes 1, 2, …)
      <sha256>/             one package, complete or absent
        cases.json          names and sizes, written last
        0000.in 0000.ans …  our own names, never the archive's
      .work-…/              being made, or being thrown away

An entry is made in a work directory and renamed into its place. What if we die here? Before the rename: a work
directory, which the next start removes. After it: an entry, which the next start keeps once the sizes of its files are
what ``cases.json`` says (a power cut can keep a name and lose its bytes).
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import trio

from deepoj.judging.packages import Package, PackageFault, UnzipLimits, inspect, open_archive, unpack

_MAX_SLOTS = 64
_WORK_PREFIX = ".work-"
INDEX = "cases.json"


@dataclass(frozen=True, slots=True)
class CachedCase:
    """``ports.CaseFiles`` in the cache."""

    name: str
    input: Path
    answer: Path


@dataclass(slots=True)
class Entry:
    """A package that is on disk, whole."""

    path: Path
    cases: tuple[CachedCase, ...]
    size_bytes: int
    pins: int = 0
    used_at: float = 0.0


class Slot:
    """A locked directory below the root."""

    def __init__(self, path: Path, lock_fd: int) -> None:
        self.path, self._lock_fd = path, lock_fd

    @classmethod
    def take(cls, root: Path) -> tuple[Slot, dict[str, Entry]]:
        """The first slot that nobody uses, swept, and the entries in it."""
        for number in range(_MAX_SLOTS):
            path = root / str(number)
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock_fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock_fd)
                continue
            slot = cls(path, lock_fd)
            return slot, slot._survivors()
        raise OSError(0, f"all {_MAX_SLOTS} slots are in use")

    def close(self) -> None:
        os.close(self._lock_fd)

    def make_work(self) -> Path:
        return Path(tempfile.mkdtemp(prefix=_WORK_PREFIX, dir=self.path))

    def settle(self, made: Path, key: str) -> Entry:
        """Renames a finished package into its place, where at most a ruin can stand."""
        shutil.rmtree(self.path / key, ignore_errors=True)
        made.rename(self.path / key)
        entry = _read_entry(self.path / key)
        if entry is None:
            raise OSError(0, "the package vanished while it was stored")
        return entry

    def _survivors(self) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        for path in self.path.iterdir():
            entry = None if path.name.startswith(_WORK_PREFIX) else _read_entry(path)
            if entry is None:
                shutil.rmtree(path, ignore_errors=True)
            else:
                found[path.name] = entry
        return found


def put_aside(entry: Entry) -> Path | None:
    """Takes an entry's name away at once; returns where its files wait to be removed, None if they are gone."""
    aside = entry.path.with_name(f"{_WORK_PREFIX}old-{time.monotonic_ns()}-{entry.path.name[:8]}")
    try:
        entry.path.rename(aside)
    except OSError:
        return None
    return aside


def _read_entry(path: Path) -> Entry | None:
    """The entry at ``path`` if it is whole."""
    try:
        rows = json.loads((path / INDEX).read_text())
        total = 0
        cases = []
        for number, (name, input_bytes, answer_bytes) in enumerate(rows):
            case = CachedCase(str(name), _case_path(path, number, "input"), _case_path(path, number, "answer"))
            if (case.input.stat().st_size, case.answer.stat().st_size) != (input_bytes, answer_bytes):
                return None
            total += input_bytes + answer_bytes
            cases.append(case)
    except (OSError, ValueError, TypeError):
        return None
    return Entry(path, tuple(cases), total) if cases else None


def _case_path(directory: Path, number: int, kind: str) -> Path:
    return directory / f"{number:04}.{'in' if kind == 'input' else 'ans'}"


def unpack_into(package_path: Path, target: Path, limits: UnzipLimits, deadline: float) -> PackageFault | None:
    """Unpacks and writes the index. Runs in a trio worker thread: a cancelled caller stops it between two chunks."""

    def keep_on() -> bool:
        trio.from_thread.check_cancelled()
        return time.monotonic() < deadline

    def open_sink(number: int, kind: str) -> BinaryIO:
        return _case_path(target, number, kind).open("xb")

    with package_path.open("rb") as file:
        archive = open_archive(file)
        if isinstance(archive, PackageFault):
            return archive
        with archive:
            package = inspect(archive, limits)
            if isinstance(package, PackageFault):
                return package
            target.mkdir(mode=0o700)
            fault = unpack(archive, package, open_sink, keep_on=keep_on)
    if fault is None:
        (target / INDEX).write_text(json.dumps(_index(package, target)))
    return fault


def _index(package: Package, target: Path) -> list[tuple[str, int, int]]:
    return [
        (
            case.name,
            _case_path(target, number, "input").stat().st_size,
            _case_path(target, number, "answer").stat().st_size,
        )
        for number, case in enumerate(package.cases)
    ]


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
