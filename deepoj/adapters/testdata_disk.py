"""The test data cache on disk. Everything here blocks; call it in threads.

Below the root::

    0/                      a slot, locked by the node that uses it (a second node with the same root takes 1, 2, …)
      <sha256>/             one package, complete or absent
        plan.json           the plan, and sizes and hashes of its files; written last
        0000 0001 …         the plan's files in its order: our own names, never the archive's
      .work-…/              a package being made or removed

An entry is made in a work directory and renamed into its place. What if we die here? Before the rename there is a work
directory, which the next start removes. After it there is an entry. The next start keeps it if its files have the sizes
in ``plan.json`` (a power cut can keep a name and lose its bytes) and this version of the readers made it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

import trio

from deepoj.judging.problem import Plan, plan_json, plan_of_json
from deepoj.packages.formats import READERS_VERSION, PackageFault, UnzipLimits, open_package, unpack

_MAX_SLOTS = 64
_WORK_PREFIX = ".work-"
INDEX = "plan.json"


@dataclass(frozen=True, slots=True)
class CachedPackage:
    """A package in the cache (``ports.Prepared``)."""

    plan: Plan
    paths: Mapping[str, Path]
    digests: Mapping[str, str]

    def path(self, name: str) -> Path:
        return self.paths[name]

    def digest(self, name: str) -> str:
        return self.digests[name]


@dataclass(slots=True)
class StoredPackage:
    """A package that is complete on disk."""

    path: Path
    package: CachedPackage
    size_bytes: int
    pins: int = 0
    used_at: float = 0.0


class LockedDirectory:
    """A locked directory below the root."""

    def __init__(self, path: Path, lock_fd: int) -> None:
        self.path, self._lock_fd = path, lock_fd

    @classmethod
    def take(cls, root: Path) -> tuple[LockedDirectory, dict[str, StoredPackage]]:
        """Return the first free slot, swept, and the entries in it."""
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

    def settle(self, made: Path, key: str) -> StoredPackage:
        """Rename a finished package into its place, where at most an incomplete entry can be."""
        shutil.rmtree(self.path / key, ignore_errors=True)
        made.rename(self.path / key)
        entry = _read_entry(self.path / key)
        if entry is None:
            raise OSError(0, "the package vanished while it was stored")
        return entry

    def _survivors(self) -> dict[str, StoredPackage]:
        entries: dict[str, StoredPackage] = {}
        for path in self.path.iterdir():
            entry = None if path.name.startswith(_WORK_PREFIX) else _read_entry(path)
            if entry is None:
                shutil.rmtree(path, ignore_errors=True)
            else:
                entries[path.name] = entry
        return entries


def put_aside(entry: StoredPackage) -> Path | None:
    """Rename an entry out of its place; return where its files wait to be removed, None if they are gone."""
    aside = entry.path.with_name(f"{_WORK_PREFIX}old-{time.monotonic_ns()}-{entry.path.name[:8]}")
    try:
        entry.path.rename(aside)
    except OSError:
        return None
    return aside


def _read_entry(path: Path) -> StoredPackage | None:
    """Return the entry at ``path`` if it is complete and was made by this version of the readers."""
    try:
        index = json.loads((path / INDEX).read_text())
        if index["readers"] != READERS_VERSION:
            return None
        plan = plan_of_json(json.dumps(index["plan"]).encode())
        names = plan.files()
        paths = {name: _place(path, number) for number, name in enumerate(names)}
        sizes = [paths[name].stat().st_size for name in names]
        digests = dict(zip(names, index["digests"], strict=True))
        if sizes != index["sizes"] or not plan.cases:
            return None
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return StoredPackage(path, CachedPackage(plan, MappingProxyType(paths), MappingProxyType(digests)), sum(sizes))


def _place(directory: Path, number: int) -> Path:
    return directory / f"{number:04}"


def unpack_into(package_path: Path, target: Path, limits: UnzipLimits, deadline: float) -> PackageFault | None:
    """Unpack and write the index. Runs in a trio worker thread: a cancelled caller stops it between two chunks."""

    def keep_on() -> bool:
        trio.from_thread.check_cancelled()
        return time.monotonic() < deadline

    with package_path.open("rb") as file:
        opened = open_package(file, limits)
        if isinstance(opened, PackageFault):
            return opened
        with opened:
            numbers = {name: number for number, name in enumerate(opened.plan.files())}

            def open_sink(name: str) -> BinaryIO:
                return _place(target, numbers[name]).open("xb")

            target.mkdir(mode=0o700)
            fault = unpack(opened, open_sink, keep_on=keep_on)
    if fault is None:
        (target / INDEX).write_text(json.dumps(_index(opened.plan, target)))
    return fault


def _index(plan: Plan, target: Path) -> dict[str, object]:
    places = [_place(target, number) for number in range(len(plan.files()))]
    return {
        "readers": READERS_VERSION,
        "sizes": [place.stat().st_size for place in places],
        "digests": [digest_of(place) for place in places],
        "plan": json.loads(plan_json(plan)),
    }


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
