"""Mount namespaces for one test: a small disk, a host without cgroups. They end with its processes.

Without root they are made in a user namespace.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.e2e.nodes import ROOT
from tests.servers import tied

OF_ROOT = os.geteuid() == 0

#: no cgroup v2 at all
NO_CGROUPS = "mount -t tmpfs none /sys/fs/cgroup"
#: a cgroup v2 that this user may not write to. It is the host's own: another mount of it, or a remount without
#: ``bind``, would change options that the whole host shares
CGROUPS_OF_OTHERS = (
    "there=/sys/fs/cgroup; test -f $there/cgroup.controllers || there=$there/unified;"
    " mount --rbind $there /sys/fs/cgroup && mount -o remount,bind,ro /sys/fs/cgroup"
)


def small_disk(directory: Path, mb: int) -> str:
    """Return the commands that mount a file system of that size at the directory."""
    return f"mount -t tmpfs -o size={mb}m,mode=0755 none {directory}"


@contextlib.contextmanager
def place(mounts: str) -> Iterator[list[str]]:
    """Yield words that run a command in a mount namespace with these mounts, until the end of the block."""
    rights = () if OF_ROOT else ("--user", "--map-root-user")
    script = f"{{ {mounts}; }} >&2 && echo made && exec cat"
    command = tied("unshare", *rights, "--mount", "--propagation", "private", "sh", "-c", script)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stderr is not None
        if holder.stdout.readline() != b"made\n":
            raise AssertionError(holder.stderr.read().decode(errors="replace"))
        enter = ("--mount",) if OF_ROOT else ("--user", "--preserve-credentials", "--mount")
        try:
            yield ["nsenter", f"--target={holder.pid}", *enter, f"--wd={ROOT}", "--"]
        finally:
            holder.stdin.close()  # cat ends; the mounts last as long as any other process of the namespace
