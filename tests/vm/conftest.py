"""What is made once for all machines."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.vm.test_full import FILES, REPOSITORY

TABLE = "tests/sandbox/test_hostile_table.py"


@pytest.fixture(scope="session", autouse=True)
def _bytecode() -> None:
    """Leaves the bytecode of what the machines run beside it: they see this host's files, and what they
    write is gone with them. An emulated processor compiles some ten times slower."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    collect = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *FILES, TABLE]
    subprocess.run(collect, cwd=REPOSITORY, env=env, stdout=subprocess.DEVNULL, check=True, timeout=600)
