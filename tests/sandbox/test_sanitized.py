"""The same rows with a launcher under AddressSanitizer and UndefinedBehaviorSanitizer: a finding ends it, loudly.

A program under the launcher is no sanitized one, but all up to its exec is: on the child's own stack, too.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.sandbox.nested import TELL, assert_all_held

REPOSITORY = Path(__file__).parents[2]
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer")
#: the extension's own and the bench's; all others make the launcher
NOT_THE_LAUNCHER = ("module.c", "codec.c", "meter.c")
ROWS = (
    "test_verdicts.py",
    "test_hostile.py",
    "test_life.py",
    "test_joined.py",
    "test_wire.py",
    "test_hostile_table.py",
)
#: What the sanitizer itself weighs is in every run, up to 12 MiB, so the rows about weight cannot hold.
WEIGHED = "not weigh and not page_cache_of_unread_input"
CHOSEN = f"{WEIGHED} and not neighbour and (not hostile_program or bomb or kill or pipe or stop)"


def test_the_sources_have_no_warnings(tmp_path: Path) -> None:
    for file in (REPOSITORY / "sandbox_ext").glob("*.c"):
        flags = ("-std=gnu11", "-O2", "@sandbox_ext/warnings.txt", "-Werror", f"-I{sysconfig.get_path('include')}")
        subprocess.run(["gcc", *flags, "-c", "-o", tmp_path / "object", file], check=True, cwd=REPOSITORY, timeout=120)


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("sanitized")
    sources = [file for file in (REPOSITORY / "sandbox_ext").glob("*.c") if file.name not in NOT_THE_LAUNCHER]
    flags = ("-std=gnu11", "-O1", "-g", "@sandbox_ext/warnings.txt", *SANITIZERS)
    launcher = directory / "_launcher"
    subprocess.run(["gcc", *flags, "-o", launcher, *sources], check=True, cwd=REPOSITORY, timeout=300)
    for passed in (directory, *directory.parents[:2]):
        passed.chmod(0o755)
    return launcher


@pytest.mark.parametrize("isolation", ["namespaces", "weak"])
def test_the_rows_hold_under_sanitizers(sanitized: Path, programs: Path, isolation: str) -> None:
    ready = {
        "DEEPOJ_TEST_LAUNCHER": str(sanitized),
        "DEEPOJ_TEST_PROGRAMS": str(programs),
        "DEEPOJ_TEST_ISOLATION": isolation,
    }
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", CHOSEN, *ROWS],
        cwd=REPOSITORY / "tests" / "sandbox",
        env={**os.environ, **TELL, **ready},
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )

    assert_all_held(done)
    assert "runtime error" not in done.stdout + done.stderr
    assert "AddressSanitizer" not in done.stdout + done.stderr
