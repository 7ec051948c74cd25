"""Directories that are made once for all workers of a run of pytest: each of them takes a worker seconds."""

from __future__ import annotations

import atexit
import fcntl
import functools
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path


def made_once(name: str, make: Callable[[Path], object]) -> Path:
    """Return the directory of this name, which the first worker that asks fills by ``make``; copy what you change.

    Others wait meanwhile. After a failure the next one that asks tries again.
    """
    room, _ = _room()
    place, making = room / name, room / f"{name}.new"
    with (room / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            shutil.rmtree(making, ignore_errors=True)
            making.mkdir()
            make(making)
            making.rename(place)
    return place


@functools.cache
def _room() -> tuple[Path, int]:
    """Return the directory of this run, and the descriptor of a lock that each worker shares until it ends."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID") or secrets.token_hex(16)
    room = Path(tempfile.gettempdir(), f"ojonce-{os.geteuid()}-{run}")  # a test may run others as another user
    room.mkdir(exist_ok=True)
    users = os.open(room / "users", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(users, fcntl.LOCK_SH)
    atexit.register(_leave, room, users)
    return room, users


def _leave(room: Path, users: int) -> None:
    """Remove the directory, if no other worker uses it."""
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    shutil.rmtree(room, ignore_errors=True)
