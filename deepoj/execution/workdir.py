"""The directories of attempts in the workspace: one for each attempt, while it runs.

What if we die? ``sweep`` removes what we leave at the next start. Each directory is locked until it is removed, so that
sweeping never removes one in use, not even of another node that shares the workspace. A directory may outlive its
attempt's verdict (``DeferredWork``); the job's next attempt has another number, and so another directory.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import trio

from deepoj.judging import exec_rules
from deepoj.words.errors import StartRefused
from deepoj.words.jobs import Claim
from deepoj.words.playground import CustomClaim
from deepoj.words.results import Infra
from deepoj.words.sources import SourceFile

#: subdirectory with the submitted files
SOURCES = "sources"
#: sources so long together are written, or read and hashed, in 0.1 ms
SHORT_BYTES = 64 * 1024


class AttemptDir:
    """``<workspace>/<job>-<attempt>``, mode 0700, locked (flock on the directory) while the attempt runs."""

    def __init__(self, path: Path, lock_fd: int) -> None:
        self.path, self._lock_fd = path, lock_fd

    @classmethod
    def make(cls, workdir: Path, claim: Claim | CustomClaim, source_name: str) -> AttemptDir:
        """Make it, with the sources in a subdirectory of their own, because the contestant chooses their names."""
        plain = "".join(char if char.isascii() and (char.isalnum() or char == "-") else "_" for char in claim.job_id)
        path = workdir / f"{plain}-{claim.attempt_id}"
        try:
            path.mkdir(mode=0o700)
        except FileNotFoundError:
            path.mkdir(mode=0o700, parents=True)
        except FileExistsError:  # attempt numbers are never reused: the node that left this is dead
            shutil.rmtree(path)
            path.mkdir(mode=0o700)
        made = cls(path, cls._lock(path))
        try:
            (path / SOURCES).mkdir(mode=0o700)
            for file in claim.files or (SourceFile(source_name, claim.code),):
                (path / SOURCES / file.name).write_bytes(file.content.encode("utf-8", "replace"))
        except OSError:
            made.close(keep=False)
            raise
        return made

    @classmethod
    def unnamed(cls, workdir: Path) -> AttemptDir:
        """Make an empty directory that belongs to no attempt."""
        workdir.mkdir(parents=True, exist_ok=True)
        path = Path(tempfile.mkdtemp(dir=workdir))
        return cls(path, cls._lock(path))

    @classmethod
    def take_over(cls, path: Path) -> AttemptDir | None:
        """Lock the directory of a dead attempt; None if the attempt is alive, or this is no directory."""
        try:
            return cls(path, cls._lock(path))
        except OSError:
            return None

    @staticmethod
    def _lock(path: Path) -> int:
        lock_fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock_fd)
            raise
        return lock_fd

    async def leave(self, *, keep: bool) -> None:
        """Do ``close`` in a thread, even if cancelled."""
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(self.close, keep)

    def close(self, keep: bool) -> None:
        """End the attempt. ``keep``: leave the directory."""
        if not keep:
            shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock_fd)


async def do_blocking[*Ts, T](work: Callable[[*Ts], T], *args: *Ts, is_short: bool) -> T:
    """Do work on files: in a thread, unless it is short. A thread needs 0.1 to 0.4 ms to wake up, and a slot is idle
    meanwhile. Raises what ``work`` raises."""
    if is_short:
        await trio.lowlevel.checkpoint_if_cancelled()
        return work(*args)
    return await trio.to_thread.run_sync(work, *args)


def sweep(workdir: Path) -> int:
    """Remove directories of attempts that are no longer running. Return how many. Blocking; for start-up.

    Raises:
      StartRefused: the workspace is not writable, so every job would fail on this node.
    """
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryDirectory(dir=workdir, prefix="probe-").cleanup()
        left = list(workdir.iterdir())
    except OSError as error:
        raise StartRefused(f"WORKSPACE: nothing can be written in {workdir}: {error.strerror or error}", 2) from error
    removed = 0
    for path in left:
        attempt = AttemptDir.take_over(path)
        if attempt is not None:
            attempt.close(keep=False)
            removed += 1
    return removed


def trouble_of(error: OSError, *, outage: bool = False) -> Infra:
    """Return the ``Infra`` for an ``OSError``. A full disk is an outage: if it counted as an attempt, every waiting job
    would be a dead letter within a minute."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return Infra(
        "disk_full" if full else "workspace",
        f"{error.strerror or error}: {error.filename or 'workspace'}",
        outage=outage or error.errno in exec_rules.HOST_WIDE,
    )
