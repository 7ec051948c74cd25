"""What is made once: the machine, and what its commands need beside this host's files."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from tests.neighbours import compile_hogs
from tests.sandbox.conftest import compile_programs
from tests.sandbox.hostile.arena import compile_hostile
from tests.vm.machine import REPOSITORY, Machine, machine, missing
from tests.vm.test_full import PARTS


@pytest.fixture(scope="session", autouse=True)
def _bytecode() -> None:
    """Leaves the bytecode of what the machine runs beside it: it sees this host's files, and what it writes is gone
    with it. An emulated processor compiles some ten times slower."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    collect = [
        sys.executable,
        "-m",
        "pytest",
        "--collect-only",
        "-q",
        "-p",
        "no:cacheprovider",
        *chain.from_iterable(PARTS.values()),
    ]
    subprocess.run(collect, cwd=REPOSITORY, env=env, stdout=subprocess.DEVNULL, check=True, timeout=600)


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compiled here: emulation starts a process some ten times slower."""
    directory = tmp_path_factory.mktemp("programs")
    compile_programs(directory)
    compile_hostile(directory)
    compile_hogs(directory)
    return directory


@pytest.fixture(scope="session")
def vm(tmp_path_factory: pytest.TempPathFactory, programs: Path) -> Iterator[Machine]:
    """``programs`` come first: a machine does not see what comes into a directory that it knows already."""
    lacking = missing()
    if lacking:
        pytest.fail(f"the virtual machine needs packages: apt-get install {' '.join(lacking)}", pytrace=False)
    with machine(tmp_path_factory.mktemp("machine")) as made:
        yield made
