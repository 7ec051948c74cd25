"""A clean Debian in a directory: debootstrap's smallest system and g++, and nothing of ours.

Made once and kept in ``~/.cache/deepoj-tests`` (or below ``XDG_CACHE_HOME``), which may be deleted at any time. Whoever
enters it sees it read-only, apart from ``/srv``, ``/tmp`` and ``/var/cache``: it stays as clean as it was made.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

#: beside what each Debian has
PACKAGES = ("g++",)
#: a slow mirror, a loaded machine; half a minute for an idle one that has the packages near
MAKING_S = 1800.0
UPDATE_S = 300.0
TOOLS = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}

# Not by chroot: whoever lives in one may make no user namespaces. The host's /dev, /proc and /sys as they are; no name
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
#: a mount namespace of its own: what is mounted in it is gone with the last process of it
_APART = ("unshare", "--mount", "--propagation", "private")


class RootMissing(Exception):
    """No clean Debian can be made on this host; the sentence says why."""


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
        return [*_APART, "/bin/sh", "-c", _ENTER, "enter", str(self.path), str(self.place), *command]

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
    """The root, made if it is not there yet; ``place`` is a directory of the caller's. Raises RootMissing."""
    for name, mode in {"srv": 0o755, "tmp": 0o1777, "cache": 0o755}.items():
        (place / name).mkdir()
        (place / name).chmod(mode)
    return CleanRoot(_made(), place)


def _made() -> Path:
    codename = platform.freedesktop_os_release()["VERSION_CODENAME"]
    mirror = _mirror(codename)
    point = Path("/etc/debian_version").read_text().strip()
    key = hashlib.sha256(repr((codename, mirror, point, PACKAGES)).encode()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "deepoj-tests"
    cache.mkdir(parents=True, exist_ok=True)
    path = cache / f"root-{codename}-{key}"
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            fresh = cache / "root.new"
            if fresh.exists():  # whoever made it was killed
                shutil.rmtree(fresh)
            _bootstrap(codename, mirror, fresh)
            fresh.rename(path)
    return path


def _mirror(codename: str) -> str:
    """Where apt on this host takes the packages of this release from."""
    asked = ["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages"]
    asked += [f"Codename: {codename}", "Component: main"]
    for attempt in ("as it is", "after an update"):
        found = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=UPDATE_S).stdout.split()
        if found:
            return found[0]
        if attempt == "as it is":  # it knows only what it has the lists of
            subprocess.run(["apt-get", "update", "-q"], capture_output=True, check=False, timeout=UPDATE_S)
    raise RootMissing(f"apt on this host has no source of {codename}'s packages: see /etc/apt/sources.list.d")


def _bootstrap(codename: str, mirror: str, target: Path) -> None:
    # apart: what it mounts below its target is never ours to delete
    include = f"--include={','.join(PACKAGES)}"
    command = [*_APART, "debootstrap", "--variant=minbase", include, codename, str(target), mirror]
    done = subprocess.run(
        command, env=os.environ | TOOLS, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        timeout=MAKING_S,
    )  # fmt: skip
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        raise RootMissing(f"no clean Debian can be made here (that takes root, mount, and apt's mirror):\n{said}")
    for fetched in ("var/cache/apt", "var/lib/apt/lists"):
        shutil.rmtree(target / fetched)
