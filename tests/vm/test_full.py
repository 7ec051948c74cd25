"""The sandbox's rows at level ``full``, in a virtual machine: hosts that test this seldom have cgroup v2 to give away.

The machine boots Debian's kernel with this host's root read-only and cgroup v2 alone, and runs the very tests of
``tests/sandbox`` there with the programs that were compiled here (emulation starts a process some ten times slower).
"""

from __future__ import annotations

import faulthandler
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sandbox.conftest import compile_programs

REPOSITORY = Path(__file__).parents[2]
FILES = [f"tests/sandbox/{name}" for name in ("test_verdicts.py", "test_hostile.py", "test_life.py", "test_joined.py")]
TIMEOUT_S = 900
USER = 65533


def missing() -> list[str]:
    """Debian packages that the machine needs and this host lacks."""
    there = {
        "qemu-system-x86": shutil.which("qemu-system-x86_64"),
        "virtiofsd": shutil.which("virtiofsd") or Path("/usr/libexec/virtiofsd").exists(),
        "busybox-static": shutil.which("busybox"),
        "zstd": shutil.which("zstd"),
        "linux-image-cloud-amd64": list(Path("/boot").glob("vmlinuz-*cloud-amd64")),
    }
    return [package for package, found in there.items() if not found]


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lacking = missing()
    if lacking:
        pytest.fail(f"the virtual machine needs packages: apt-get install {' '.join(lacking)}", pytrace=False)
    directory = tmp_path_factory.mktemp("programs")
    compile_programs(directory)
    return directory


def in_machine(script: str, cache: Path) -> subprocess.CompletedProcess[str]:
    # the limit for a hung test is two minutes, which an emulated machine on a loaded host takes honestly
    faulthandler.cancel_dump_traceback_later()
    command = [
        sys.executable,
        f"{REPOSITORY}/tests/vmrun",
        "--timeout",
        str(TIMEOUT_S),
        "--cache",
        str(cache),
        "-C",
        str(REPOSITORY),
    ]
    return subprocess.run(
        [*command, "--", "/bin/sh", "-ec", script],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S + 60,
        check=False,
    )


def rows(programs: Path) -> str:
    """The tests as a shell command, to be exec'd: a shell of its own beside them would sit in their cgroup."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *FILES]
    return (
        "exec env PYTHONDONTWRITEBYTECODE=1 DEEPOJ_TEST_ISOLATION=full"
        f" DEEPOJ_TEST_PROGRAMS={shlex.quote(str(programs))} {shlex.join(command)}"
    )


def test_every_row_holds_with_cgroups(programs: Path, tmp_path: Path) -> None:
    done = in_machine(rows(programs), tmp_path)

    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-4000:]
    assert " passed" in done.stdout


def test_an_ordinary_user_with_a_delegated_cgroup_has_it_too(programs: Path, tmp_path: Path) -> None:
    """As ``systemd-run --user -p Delegate=yes`` leaves it: a group that belongs to the user, and a node in it."""
    become = f"setpriv --reuid {USER} --regid {USER} --clear-groups --inh-caps=-all"
    group = "/sys/fs/cgroup/user"
    # the stage shows the repository and the programs where that user may read them
    script = f"""
        mkdir {group} /stage /stage/repository /stage/programs /stage/scratch
        chown {USER}:{USER} {group} {group}/cgroup.procs {group}/cgroup.subtree_control /stage/scratch
        mount --bind {shlex.quote(str(REPOSITORY))} /stage/repository
        cp -r {shlex.quote(str(programs))}/. /stage/programs
        chmod -R a+rX /stage/programs
        echo $$ > {group}/cgroup.procs
        cd /stage/repository
        exec env -i PATH=/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=/stage/repository HOME=/stage/scratch \\
            DEEPOJ_TEST_ISOLATION=full DEEPOJ_TEST_PROGRAMS=/stage/programs {become} \\
            .venv/bin/python -m pytest -q -p no:cacheprovider --basetemp=/stage/scratch/base \\
            -k "memory or cpu or bomb or processes or cancelled or closing" {shlex.join(FILES)}
    """

    done = in_machine(script, tmp_path)

    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-4000:]
    assert " passed" in done.stdout


def test_a_file_system_that_counts_in_seconds(programs: Path, tmp_path: Path) -> None:
    """Two programs of one size, one after the other in one inode, look the same there."""
    script = f"""
        modprobe loop
        modprobe ext4
        truncate -s 16M /run/coarse.img
        mke2fs -q -t ext3 -I 128 -F /run/coarse.img
        mkdir /run/coarse
        mount -o loop /run/coarse.img /run/coarse
        {rows(programs)} --basetemp=/run/coarse/base -k test_a_program_that_changed
    """

    done = in_machine(script, tmp_path)

    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-4000:]
    assert "1 passed" in done.stdout
