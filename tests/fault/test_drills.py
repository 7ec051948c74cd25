"""``deepoj drill``: a drill runs by itself, says what it measured, and its exit code is what it found."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

DEEPOJ = Path(sys.executable).parent / "deepoj"
#: a machine that is busy with something else takes its time; the drill's own limits end it before
DRILL_S = 900.0


def test_a_killed_and_a_stopped_worker_lose_nothing() -> None:
    """How quickly a busy machine recovers is not asserted; that the figure is there, and decides, is."""
    ended = subprocess.run(
        [DEEPOJ, "drill", "worker-kill", "--json"], capture_output=True, text=True, timeout=DRILL_S, check=False
    )
    (line,) = ended.stdout.splitlines() or [ended.stderr]
    told = json.loads(line)
    assert told["violations"] == [], ended.stderr
    assert told["finished"] == told["jobs"]
    killed, stopped = told["recoveries"]
    assert killed["recovery_s"] is not None
    assert stopped["recovery_s"] is not None
    assert ended.returncode == (0 if told["ok"] else 1)
