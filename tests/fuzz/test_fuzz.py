"""Every target over its corpus and some seconds of changed files, under sanitizers; ``make fuzz`` does more."""

from __future__ import annotations

import secrets
import subprocess
from pathlib import Path

import pytest

from tests.fuzz.targets import HERE, TARGETS, Target

SECONDS = 3


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_nothing_that_is_fed_breaks_it(target: Target, tmp_path: Path) -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")  # noqa: T201  # shown when the test fails
    program = target.build(tmp_path, ("gcc",), (HERE / "driver.c",))

    done = subprocess.run(
        (program, str(SECONDS), str(seed), target.corpus), capture_output=True, text=True, timeout=120, check=False
    )

    assert done.returncode == 0, f"seed {seed}\n" + done.stdout + done.stderr[-4000:]
    assert "changed ones" in done.stdout
