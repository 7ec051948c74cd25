"""Objects as files below one directory: the object store of an embedded node.

What if we die here? An object is written to ``.incoming``, synced, and renamed into its place: a reader sees the old
object or the complete new one. Files that a killed writer leaves in ``.incoming`` are swept by later writers.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import trio

from deepoj.words.errors import BlobMissing, BlobsUnavailable

_PART = r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}"
_KEY = re.compile(rf"{_PART}(/{_PART})*")
_KEY_LENGTH = 512

#: an unfinished file of this age has no writer any more
_LEFTOVER_AGE_S = 24 * 3600.0

#: copies run in threads; more at once than this would only make the disk seek
_COPIES = 4


def is_key(key: str) -> bool:
    """Return whether ``key`` is names of letters, digits and ``._-`` joined by ``/``; no name begins with a dot."""
    return len(key) <= _KEY_LENGTH and _KEY.fullmatch(key) is not None


def require_key(key: str) -> None:
    """Raise ValueError for an invalid key. For keys that this program made: an invalid one is a bug."""
    if not is_key(key):
        raise ValueError(f"{key!r} cannot be the key of an object")


class DirectoryBlobs:
    """Objects in a directory of this host (``ports.Blobs``), made with mode 0700 if it is missing."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._incoming = self._root / ".incoming"
        self._limiter = trio.CapacityLimiter(_COPIES)

    async def put(self, key: str, source: Path) -> None:
        require_key(key)
        with self._translated():
            await trio.to_thread.run_sync(self._put, key, source, limiter=self._limiter)

    async def delete(self, key: str) -> None:
        require_key(key)
        with self._translated():
            await trio.to_thread.run_sync(self._delete, key, limiter=self._limiter)

    async def fetch(self, key: str, target: Path) -> None:
        if not is_key(key):
            raise BlobMissing(f"{key!r} cannot be the key of an object")
        abandoned = threading.Event()
        try:
            with self._translated():  # a mount that hangs must not hold the caller beyond its patience
                await trio.to_thread.run_sync(
                    self._fetch, key, target, abandoned, limiter=self._limiter, abandon_on_cancel=True
                )
        except trio.Cancelled:
            abandoned.set()
            raise

    async def ping(self) -> None:
        with self._translated():
            await trio.to_thread.run_sync(self._check, limiter=self._limiter)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except FileExistsError:
            raise  # the target already exists: a bug of the caller
        except OSError as error:
            raise BlobsUnavailable(f"the object directory {self._root} cannot be used: {error}") from error

    def _put(self, key: str, source: Path) -> None:
        self._make_directory(self._incoming)
        self._sweep()
        place = self._root / key
        self._make_directory(place.parent)
        unfinished = self._incoming / secrets.token_hex(16)
        try:
            with source.open("rb") as reader:
                _copy(reader, unfinished)
            unfinished.replace(place)
        finally:
            unfinished.unlink(missing_ok=True)
        _sync(place.parent)

    def _make_directory(self, path: Path) -> None:
        if path.is_dir():
            return
        if path != self._root:
            self._make_directory(path.parent)
            path.mkdir(mode=0o700, exist_ok=True)
            _sync(path.parent)
        else:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _sweep(self) -> None:
        for left in self._incoming.iterdir():
            with contextlib.suppress(FileNotFoundError):  # another sweeper was faster
                if time.time() - left.stat().st_mtime > _LEFTOVER_AGE_S:
                    left.unlink()

    def _fetch(self, key: str, target: Path, abandoned: threading.Event) -> None:
        try:
            source = (self._root / key).open("rb")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise BlobMissing(f"there is no object {key} in {self._root}") from error
        with contextlib.suppress(Abandoned), source, appearing(target, abandoned) as partial:
            _copy(source, partial)

    def _delete(self, key: str) -> None:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            (self._root / key).unlink()

    def _check(self) -> None:
        self._make_directory(self._root)
        if not os.access(self._root, os.R_OK | os.W_OK | os.X_OK):
            raise PermissionError(f"no right to read and write {self._root}")


class Abandoned(Exception):
    """Raised in a thread whose caller was cancelled; never leaves the module of the store."""


@contextlib.contextmanager
def appearing(target: Path, abandoned: threading.Event) -> Iterator[Path]:
    """Give a path beside ``target`` to write to; at the end, that file appears as ``target``, complete.

    After an error neither exists, nor if the caller has left meanwhile (``abandoned``): it may have cleaned up already.
    Raises FileExistsError if ``target`` exists, and Abandoned.
    """
    partial = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        yield partial
        if not abandoned.is_set():
            os.link(partial, target)  # unlike a rename it never replaces
        if abandoned.is_set():  # perhaps meanwhile
            target.unlink(missing_ok=True)
            raise Abandoned
    finally:
        partial.unlink(missing_ok=True)


def _copy(reader: BinaryIO, target: Path) -> None:
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as writer:
        shutil.copyfileobj(reader, writer, 1024 * 1024)
        writer.flush()
        os.fsync(writer.fileno())


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
