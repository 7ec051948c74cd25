"""Processes, sockets, mounts and cgroups that a node left behind, told apart from those of other nodes."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

_PROC = Path("/proc")
_CGROUPS = Path("/sys/fs/cgroup")
_SOON_S = 120.0


@dataclass(frozen=True)
class Leftovers:
    """Processes, sockets and mounts of one home, or of no living process.

    processes: pid and command of each process that is in the home, has a file of it open, or names it
    mounts: lines of mountinfo that lead into the home or out of it
    sockets: unix sockets of the home, on the disk or bound
    cgroups: directories of launchers that are gone
    """

    processes: frozenset[str]
    mounts: frozenset[str]
    sockets: frozenset[str]
    cgroups: frozenset[str]

    @classmethod
    def count(cls, home: Path) -> Leftovers:
        return cls(
            frozenset(_described(pid) for pid in standing_at(home)),
            frozenset(mounts_of(home, (_PROC / "self/mountinfo").read_text())),
            frozenset(_sockets(home)),
            frozenset(str(path) for path in _CGROUPS.rglob("deepoj.*") if path.is_dir() and not launcher_lives(path)),
        )

    def __sub__(self, before: Leftovers) -> list[str]:
        """Return what is in this count and not in the earlier one."""
        return sorted(
            (self.processes - before.processes)
            | (self.mounts - before.mounts)
            | (self.sockets - before.sockets)
            | (self.cgroups - before.cgroups)
        )


def nothing_left(home: Path, before: Leftovers) -> None:
    """Wait until nothing new is left of the home. AssertionError names what stays."""
    deadline = time.monotonic() + _SOON_S
    while found := Leftovers.count(home) - before:
        assert time.monotonic() < deadline, f"left behind: {found}"
        time.sleep(0.05)


def standing_at(home: Path) -> list[int]:
    """Return the pids of processes that use ``home``, with any parent, without our own.

    Not by descent: a process that outlives the node is a child of init. A node and its launcher carry the home in their
    environment, a server stands in it, a sandbox has its files open.
    """
    named = re.compile(re.escape(os.fsencode(home)) + rb"(?![\w.-])")
    pids = [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdecimal()]
    return [pid for pid in pids if pid != os.getpid() and (_was_told(pid, named) or _has_of(pid, home))]


def _was_told(pid: int, named: re.Pattern[bytes]) -> bool:
    for source in ("cmdline", "environ"):
        try:
            if named.search((_PROC / str(pid) / source).read_bytes()):
                return True
        except OSError:  # it has ended, or is another user's
            continue
    return False


def _has_of(pid: int, home: Path) -> bool:
    return any(_is_under(Path(link), home) for link in _links(_PROC / str(pid)))


def _links(process: Path) -> Iterator[str]:
    """Return the targets of the process's directory, root, program and descriptor links."""
    links = [process / name for name in ("cwd", "root", "exe")]
    try:
        links += list((process / "fd").iterdir())
    except OSError:
        return
    for link in links:
        try:
            yield str(link.readlink()).removesuffix(" (deleted)")
        except OSError:
            continue


def _is_under(path: Path, home: Path) -> bool:
    return path == home or path.is_relative_to(home)


def _described(pid: int) -> str:
    try:
        return f"{pid} {(_PROC / str(pid) / 'cmdline').read_bytes().replace(b'\0', b' ').decode(errors='replace')}"
    except OSError:
        return f"{pid}, gone meanwhile"


def mounts_of(home: Path, mountinfo: str) -> Iterator[str]:
    """Return the lines of mountinfo whose root, mount point or source is the home or below it."""
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        _, _, _, root, point, *_ = before.split()
        _, source, *_ = after.split()
        if any(_is_under(Path(path), home) for path in (root, point, source)):
            yield line


def _sockets(home: Path) -> Iterator[str]:
    for line in (_PROC / "net/unix").read_text().splitlines()[1:]:
        fields = line.split(maxsplit=7)
        if len(fields) == 8 and _is_under(Path(fields[7].removeprefix("@")), home):
            yield fields[7]
    if home.is_dir():
        yield from (str(path) for path in home.rglob("*") if path.is_socket())


def launcher_lives(group: Path) -> bool:
    """Whether the launcher of this cgroup directory lives; its pid is in the name."""
    pid = group.name.removeprefix("deepoj.")
    return pid.isdecimal() and psutil.pid_exists(int(pid))


def gone(processes: Sequence[psutil.Process]) -> bool:
    """Whether none of them runs any more; a zombie does not run."""
    return not [one for one in processes if runs(one)]


def runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
