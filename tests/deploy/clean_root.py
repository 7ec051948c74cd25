"""A clean Debian in a directory: the smallest system and g++, and nothing of ours.

A process in it sees it read-only, apart from ``/srv``, ``/tmp`` and ``/var/cache``: it stays as clean as it was made.
Unlike in ``roots.Within`` a command is the very process that was started, with this machine's /dev, /proc and /sys: as
a file that somebody copied there and starts, no container.
"""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.deploy import roots

#: beside what each Debian has
PACKAGES = ("g++",)
TOOLS = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}

# Not by chroot: the kernel allows no user namespace in one. The host's /dev, /proc and /sys as they are; no name
# of our environment but the settings that we were given.
_ENTER = """set -eu
root=$1 place=$2
shift 2
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
cd "$root"
for name in dev proc sys; do mount --rbind "/$name" "$name"; done
mount --bind "$place/srv" srv
mount --bind "$place/tmp" tmp
mount --bind "$place/cache" var/cache
pivot_root . mnt
umount -l mnt
cd /srv
exec env -u PATH -u HOME -u LANG -u PWD -u OLDPWD "$@"
"""


@dataclass(frozen=True)
class CleanRoot:
    """``path``: its files. ``place``: a directory of ours, whose ``srv``, ``tmp`` and ``cache`` stand for the root's
    ``/srv``, ``/tmp`` and ``/var/cache``."""

    path: Path
    place: Path

    @property
    def srv(self) -> Path:
        return self.place / "srv"

    def command(self, *command: str) -> list[str]:
        """``command`` in the root's ``/srv``, ready to be started. It becomes the process itself: signals go to it."""
        return [*roots.APART, "/bin/sh", "-c", _ENTER, "enter", str(self.path), str(self.place), *command]

    def run(
        self, *command: str, settings: Mapping[str, str] | None = None, timeout_s: float = 300.0
    ) -> subprocess.CompletedProcess[str]:
        """What ``command`` says in an environment of these settings alone."""
        return subprocess.run(
            self.command(*command),
            env=TOOLS | dict(settings or {}), cwd="/", stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=timeout_s,
        )  # fmt: skip


def clean_root(place: Path) -> CleanRoot:
    """A root of this machine's own release in ``place``, an empty directory of the caller's."""
    for name, mode in {"srv": 0o755, "tmp": 0o1777, "cache": 0o755}.items():
        (place / name).mkdir()
        (place / name).chmod(mode)
    release = platform.freedesktop_os_release()["VERSION_CODENAME"]
    return CleanRoot(roots.make_root(place / "root", release=release, include=PACKAGES), place)
