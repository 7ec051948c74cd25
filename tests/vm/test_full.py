"""The sandbox's rows and the hostile table at level ``full``: the very tests of ``tests/sandbox``, in the machine."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from tests.vm.machine import REPOSITORY, Machine

#: parts that take about as long
PARTS = {
    "verdicts": ("tests/sandbox/test_verdicts.py", "tests/sandbox/test_counted_by_user.py"),
    "life": ("tests/sandbox/test_life.py", "tests/sandbox/test_joined.py"),
    "hostile": ("tests/sandbox/test_hostile.py", "tests/sandbox/test_hostile_table.py"),
}
USERS = (*PARTS["verdicts"], *PARTS["life"], "tests/sandbox/test_hostile.py")
#: every other plugin that is installed is only imported
PYTEST = ("-m", "pytest", "-q", "-p", "trio", "-p", "no:cacheprovider")
USER = 65533


def settings(programs: Path | str) -> str:
    """Environment of the process that runs the rows, as words for ``env``."""
    told = {
        "PYTHONDONTWRITEBYTECODE": 1,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": 1,
        "DEEPOJ_TEST_ISOLATION": "full",
        "DEEPOJ_TEST_PROGRAMS": programs,
    }
    return shlex.join(f"{name}={value}" for name, value in told.items())


@pytest.mark.parametrize("part", PARTS)
def test_every_row_holds_with_cgroups(vm: Machine, programs: Path, part: str) -> None:
    # exec'd: a shell beside them would sit in their cgroup
    done = vm.run(f"exec env {settings(programs)} {shlex.join([sys.executable, *PYTEST, *PARTS[part]])}")

    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-4000:]
    assert " passed" in done.stdout


def test_an_ordinary_user_with_a_delegated_cgroup_has_it_too(vm: Machine, programs: Path) -> None:
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
        exec env -i PATH=/usr/bin:/bin PYTHONPATH=/stage/repository HOME=/stage/scratch {settings("/stage/programs")} \\
            {become} .venv/bin/python {shlex.join(PYTEST)} --basetemp=/stage/scratch/base \\
            -k "memory or cpu or bomb or processes or cancelled or closing or hog" {shlex.join(USERS)}
    """

    done = vm.run(script)

    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-4000:]
    assert " passed" in done.stdout
