"""A process whose wall clock is shifted while it runs; its monotonic clock, and so every timeout, is left alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from deepoj.operate.drill import clocks

_SAYS = """
import time
for _ in range(2):
    input()
    print(time.time(), time.monotonic(), flush=True)
"""
_SHIFT_S = 1_200
#: a loaded machine; far less than the shift
_NEAR_S = 300.0


def _said(process: subprocess.Popen[str]) -> tuple[float, float]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    wall, monotonic = process.stdout.readline().split()
    return float(wall), float(monotonic)


def test_a_wall_clock_is_shifted_under_a_running_process(tmp_path: Path) -> None:
    library, file = clocks.build(tmp_path), tmp_path / "n1.clock"
    clocks.shift(file, 0)
    with subprocess.Popen(
        [sys.executable, "-c", _SAYS],
        env=clocks.environment(library, file),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        before = _said(process)
        clocks.shift(file, -_SHIFT_S)
        after = _said(process)
    elapsed_s = after[1] - before[1]
    assert 0 <= elapsed_s < _NEAR_S
    assert abs(after[0] - before[0] + _SHIFT_S - elapsed_s) < _NEAR_S
