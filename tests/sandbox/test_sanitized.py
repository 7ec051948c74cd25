"""The same rows with a launcher under AddressSanitizer and UndefinedBehaviorSanitizer: a finding ends it, loudly."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer")
#: the extension's own and the bench's; all others make the launcher
NOT_THE_LAUNCHER = ("module.c", "codec.c", "meter.c")
ROWS = ("test_verdicts.py", "test_hostile.py", "test_life.py", "test_wire.py")


def test_the_rows_hold_under_sanitizers(tmp_path: Path, programs: Path) -> None:
    launcher = tmp_path / "_launcher"
    sources = [file for file in (REPOSITORY / "sandbox_ext").glob("*.c") if file.name not in NOT_THE_LAUNCHER]
    subprocess.run(
        ["gcc", "-O1", "-g", "-Wall", "-Wextra", "-Werror", *SANITIZERS, "-o", launcher, *sources], check=True
    )
    for directory in (tmp_path, *tmp_path.parents[:2]):
        directory.chmod(0o755)

    done = subprocess.run(
        # what the sanitizer itself weighs is in every run, so the one row about weight cannot hold
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "not weighs", *ROWS],
        cwd=REPOSITORY / "tests" / "sandbox",
        env={**os.environ, "DEEPOJ_TEST_LAUNCHER": str(launcher), "DEEPOJ_TEST_PROGRAMS": str(programs)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-4000:]
    assert "runtime error" not in done.stdout + done.stderr
    assert "AddressSanitizer" not in done.stdout + done.stderr
