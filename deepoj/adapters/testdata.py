"""Test data on this node's disk: fetched once for each content, checked, unpacked, kept while it is used.

A package is named by the hash of its content. So new data of a problem is known as new at once, and no entry needs to
be revalidated. The layout on disk, and what happens if we die: ``testdata_disk``.
"""

from __future__ import annotations

import functools
import re
import shutil
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

import trio

from deepoj import observe
from deepoj.adapters.testdata_disk import (
    INDEX,
    CachedPackage,
    LockedDirectory,
    StoredPackage,
    digest_of,
    put_aside,
    unpack_into,
)
from deepoj.packages.formats import UnzipLimits
from deepoj.ports.blobs import Blobs
from deepoj.words.errors import BlobsUnavailable, Breakage, TestDataBroken
from deepoj.words.problems import Problem

_GIB = 1024**3


@dataclass(slots=True)
class _Fetch:
    """A package being fetched; later callers wait for it."""

    done: trio.Event = field(default_factory=trio.Event)
    #: why it failed; None with ``done`` set and no entry: the fetch was cancelled
    breakage: Breakage | None = None


class TestDataCache:
    """Test data on disk (``ports.TestData``). For one trio loop; all disk work happens in threads.

    ``prepare`` pins a package until ``release``. Only unpinned packages are evicted: those unused for ``ttl_s``, and
    the least recently used while there are more than ``max_problems`` or ``max_bytes``.
    """

    __test__ = False  # not a pytest class

    def __init__(
        self,
        blobs: Blobs,
        root: Path,
        *,
        metrics: observe.Metrics,
        limits: UnzipLimits,
        max_problems: int,
        max_bytes: int = 8 * _GIB,
        ttl_s: float,
        download_timeout_s: float,
        unzip_timeout_s: float,
    ) -> None:
        self._blobs, self._root, self._metrics = blobs, root, metrics
        self._limits = limits
        self._max_problems, self._max_bytes, self._ttl_s = max_problems, max_bytes, ttl_s
        self._download_timeout_s, self._unzip_timeout_s = download_timeout_s, unzip_timeout_s
        self._slot: LockedDirectory | None = None
        self._starting = trio.Lock()
        #: by hash
        self._entries: dict[str, StoredPackage] = {}
        #: those of them that are not pinned, the least recently used first
        self._unpinned: OrderedDict[str, StoredPackage] = OrderedDict()
        self._size_bytes = 0
        self._fetches: dict[str, _Fetch] = {}

    async def start(self) -> LockedDirectory:
        """Take a slot, remove leftovers of a crash, read what is still there. Otherwise the first ``prepare`` does it.

        Raises:
          TestDataBroken: the root cannot be used.
        """
        async with self._starting:
            if self._slot is not None:
                return self._slot
            try:
                slot, self._entries = await trio.to_thread.run_sync(LockedDirectory.take, self._root)
            except OSError as error:
                sentence = f"the test data cache {self._root} cannot be used: {error.strerror}"
                raise TestDataBroken(sentence) from error
            for entry in self._entries.values():
                entry.used_at = trio.current_time()
                self._size_bytes += entry.size_bytes
            self._unpinned.update(self._entries)
            self._slot = slot
            return slot

    def close(self) -> None:
        """Release the slot; its content stays for the next start."""
        if self._slot is not None:
            self._slot.close()
            self._slot = None

    def is_here(self, problem: Problem) -> bool:
        return problem.data_hash in self._entries

    async def prepare(self, problem: Problem) -> CachedPackage:
        """Return the package whose hash the problem names, unpacked and pinned.

        Raises:
          BlobsUnavailable, BlobMissing: from the object store; BlobsUnavailable after ``download_timeout_s``, too.
          TestDataBroken: the object differs from its hash, or breaks the rules, or the disk is full.
        """
        if not re.fullmatch(r"[0-9a-f]{64}", problem.data_hash):
            raise TestDataBroken(f"problem {problem.id} has no usable hash of its test data: '{problem.data_hash}'")
        slot = self._slot or await self.start()  # a lock would let all other tasks run first
        waited = False
        while True:
            entry = self._entry(problem)
            if entry is not None:
                break
            fetch = self._fetches.get(problem.data_hash)
            if fetch is None:
                entry = await self._fetch(problem, slot)
                self._count("miss")
                self._pin(problem, entry)
                await self._evict()
                return entry.package
            await fetch.done.wait()
            waited = True
            if fetch.breakage is not None:
                raise type(fetch.breakage)(str(fetch.breakage))
        self._count("joined" if waited else "hit")
        self._pin(problem, entry)
        return entry.package

    async def release(self, problem: Problem) -> None:
        """Undo one ``prepare``; raise ValueError if there is none to undo."""
        entry = self._entries.get(problem.data_hash)
        if entry is None or entry.pins == 0:
            raise ValueError(f"test data of problem {problem.id} was released more often than prepared")
        entry.pins -= 1
        entry.used_at = trio.current_time()
        if entry.pins == 0:
            self._unpinned[problem.data_hash] = entry
        await self._evict()

    # -- inside

    def _entry(self, problem: Problem) -> StoredPackage | None:
        """Return the entry in the cache. An entry whose files were deleted by another program is fetched again."""
        entry = self._entries.get(problem.data_hash)
        if entry is None or (entry.path / INDEX).exists():
            return entry
        if entry.pins:
            raise TestDataBroken(f"test data of problem {problem.id} was removed from {entry.path} while in use")
        self._forget(problem.data_hash)
        return None

    def _forget(self, key: str) -> StoredPackage:
        """Take an unpinned entry out of the cache."""
        entry = self._unpinned.pop(key)
        del self._entries[key]
        self._size_bytes -= entry.size_bytes
        return entry

    def _pin(self, problem: Problem, entry: StoredPackage) -> None:
        self._unpinned.pop(problem.data_hash, None)
        entry.pins += 1
        entry.used_at = trio.current_time()

    def _count(self, result: str) -> None:
        self._metrics.testcase_cache.labels(result=result).inc()

    async def _fetch(self, problem: Problem, slot: LockedDirectory) -> StoredPackage:
        """Fetch the package; other callers wait for it and share its failure."""
        fetch = self._fetches[problem.data_hash] = _Fetch()
        try:
            entry = await self._fetch_entry(problem, slot)
        except Breakage as breakage:
            fetch.breakage = breakage
            raise
        else:
            self._entries[problem.data_hash] = entry  # pinned before the next checkpoint
            self._size_bytes += entry.size_bytes
            return entry
        finally:
            del self._fetches[problem.data_hash]
            fetch.done.set()

    async def _fetch_entry(self, problem: Problem, slot: LockedDirectory) -> StoredPackage:
        work: Path | None = None
        try:
            work = await trio.to_thread.run_sync(slot.make_work)
            package = await self._download(problem, work)
            started = time.monotonic()
            make = functools.partial(unpack_into, package, work / "made", self._limits, started + self._unzip_timeout_s)
            fault = await trio.to_thread.run_sync(make)
            if fault is not None:
                raise TestDataBroken(f"the test data of problem {problem.id} is broken: {fault.sentence}")
            self._metrics.unzip_duration_seconds.observe(time.monotonic() - started)
            return await trio.to_thread.run_sync(slot.settle, work / "made", problem.data_hash)
        except OSError as error:
            await self._evict(everything=True)  # makes room for the next try, if the disk was full
            raise TestDataBroken(f"test data of problem {problem.id} cannot be stored: {error.strerror}") from error
        finally:
            if work is not None:
                with trio.CancelScope(shield=True):
                    await trio.to_thread.run_sync(functools.partial(shutil.rmtree, work, ignore_errors=True))

    async def _download(self, problem: Problem, work: Path) -> Path:
        """Return the verified package. After a wrong hash try once more: the object may just be being replaced."""
        started = time.monotonic()
        digest = ""
        for attempt in range(2):
            target = work / f"package-{attempt}.zip"
            try:
                with trio.fail_after(self._download_timeout_s):
                    await self._blobs.fetch(problem.data_path, target)
            except trio.TooSlowError:
                raise BlobsUnavailable(
                    f"fetching {problem.data_path} took longer than {self._download_timeout_s:g} s"
                ) from None
            digest = await trio.to_thread.run_sync(digest_of, target)
            if digest == problem.data_hash:
                self._metrics.download_duration_seconds.observe(time.monotonic() - started)
                return target
        raise TestDataBroken(
            f"the object {problem.data_path} has the hash {digest}, problem {problem.id} says {problem.data_hash}:"
            " upload the package again"
        )

    async def _evict(self, *, everything: bool = False) -> None:
        """Evict what may go. No checkpoint between choosing and renaming, so a chosen entry cannot become pinned."""
        doomed: list[Path] = []
        while (chosen := self._choose(everything)) is not None:
            aside = put_aside(self._forget(chosen))
            if aside is not None:
                doomed.append(aside)
            self._count("evicted")
        if doomed:
            with trio.CancelScope(shield=True):
                for path in doomed:
                    await trio.to_thread.run_sync(functools.partial(shutil.rmtree, path, ignore_errors=True))

    def _choose(self, everything: bool) -> str | None:
        """Return the hash of the next entry to evict, without a look at the others: this is done for each job."""
        key = next(iter(self._unpinned), None)
        if key is None:
            return None
        too_much = len(self._entries) > self._max_problems or self._size_bytes > self._max_bytes
        too_old = trio.current_time() - self._unpinned[key].used_at > self._ttl_s
        return key if everything or too_much or too_old else None
