"""The hostile table at level ``full``, in a virtual machine; see ``tests/sandbox/test_hostile_table.py``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from tests.sandbox.hostile.arena import compile_hostile
from tests.vm.test_full import in_machine, missing


def test_the_hostile_table_holds_with_cgroups(tmp_path: Path) -> None:
    lacking = missing()
    if lacking:
        pytest.fail(f"the virtual machine needs packages: apt-get install {' '.join(lacking)}", pytrace=False)
    programs = tmp_path / "programs"
    programs.mkdir()
    compile_hostile(programs)
    rows = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "tests/sandbox/test_hostile_table.py",
    ]

    done = in_machine(
        # exec'd: a shell beside it would sit in its cgroup
        "exec env PYTHONDONTWRITEBYTECODE=1 DEEPOJ_TEST_ISOLATION=full"
        f" DEEPOJ_TEST_PROGRAMS={shlex.quote(str(programs))} {shlex.join(rows)}",
        tmp_path,
    )

    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-4000:]
    assert " passed" in done.stdout
