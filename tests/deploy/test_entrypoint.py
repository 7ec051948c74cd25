"""``deploy/scripts/worker-entrypoint.sh`` with the rights of ``compose.full.yaml``, in a cgroup namespace of this host.

Whether the node then reaches ``full`` takes controllers, which not every host has in cgroup v2: see
tests/vm/test_container.py.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.test_compose import services

pytestmark = pytest.mark.needs("mounts")

ENTRYPOINT = Path(__file__).parents[2] / "deploy" / "scripts" / "worker-entrypoint.sh"
LOOK = """#!/bin/sh
echo "told $*"
echo "first $(sed -n 's/^0:://p' /proc/1/cgroup)"
echo "own $(sed -n 's/^0:://p' /proc/self/cgroup)"
echo "there $(cat /sys/fs/cgroup/cgroup.procs | tr '\\n' ' ')"
grep -E '^CapEff' /proc/self/status
grep ' /sys/fs/cgroup ' /proc/self/mounts
"""


@pytest.fixture
def group(tmp_path: Path) -> Iterator[Path]:
    """A cgroup of its own, as an engine makes one for a container."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    here = next(Path(place) for _, place, kind, *_ in mounts if kind == "cgroup2")
    made = here / f"deepoj-entrypoint-{os.getpid()}"
    made.mkdir()
    try:
        yield made
    finally:
        for below in (made / "init", made):
            if below.exists():
                below.rmdir()


def contained(group: Path, tmp_path: Path, *, init: bool, capabilities: list[str]) -> str:
    """What the entrypoint's program sees: a stand-in that looks round."""
    program = tmp_path / "deepoj"
    program.write_text(LOOK)
    program.chmod(0o755)
    listed = ",".join(["-all", *(f"+{name.lower()}" for name in capabilities)])
    start = f"PATH={tmp_path}:$PATH; export PATH; exec {ENTRYPOINT} node --roles worker"
    first = f"sh -c {shlex.quote(start)} & wait $!" if init else start
    inside = f"""
        mount -t tmpfs none /sys/fs
        mkdir /sys/fs/cgroup
        mount -t cgroup2 -o ro,nosuid,nodev,noexec cgroup2 /sys/fs/cgroup
        mount -t proc proc /proc
        exec setpriv --no-new-privs --bounding-set={listed} --inh-caps={listed} sh -c {shlex.quote(first)}
    """
    joined = f"echo 0 > {group}/cgroup.procs; exec unshare --cgroup sh -ec {shlex.quote(inside)}"
    done = subprocess.run(
        ["unshare", "--mount", "--pid", "--ipc", "--fork", "--kill-child", "sh", "-ec", joined],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def granted() -> list[str]:
    named: list[str] = services("compose.full.yaml")["services"]["worker"]["cap_add"]
    return named


def test_the_group_becomes_writable_and_the_engines_init_leaves_it(
    group: Path, tmp_path: Path, granted: list[str]
) -> None:
    seen = contained(group, tmp_path, init=True, capabilities=granted)
    assert "told node --roles worker\n" in seen
    assert "first /init\n" in seen
    assert "own /\n" in seen
    assert re.search(r"^cgroup2 /sys/fs/cgroup cgroup2 rw,", seen, re.M), seen
    (there,) = re.findall(r"^there (.*)$", seen, re.M)
    assert "1" not in there.split()


def test_entrypoint_without_an_init_moves_no_process(group: Path, tmp_path: Path, granted: list[str]) -> None:
    seen = contained(group, tmp_path, init=False, capabilities=granted)
    assert "first /\n" in seen
    assert not (group / "init").exists()


def test_without_the_right_to_mount_it_says_so_and_goes_on(group: Path, tmp_path: Path, granted: list[str]) -> None:
    less = [name for name in granted if name != "SYS_ADMIN"]
    seen = contained(group, tmp_path, init=True, capabilities=less)
    assert "cannot be made writable: no isolation level full here" in seen
    assert "told node --roles worker\n" in seen
    assert re.search(r"^cgroup2 /sys/fs/cgroup cgroup2 ro,", seen, re.M), seen
