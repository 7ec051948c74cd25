"""The short form of ``make soak-memory``: some hundred jobs through one node leave nothing in it."""

from __future__ import annotations

import subprocess
import sys

from tests.e2e.nodes import ROOT
from tests.servers import tied
from tests.soak_memory import GROWTH_MIB, Weight


def test_jobs_leave_nothing_in_the_node() -> None:
    command = tied(sys.executable, "-m", "tests.soak_memory", "--jobs", "300", "--first", "100", death_signal="TERM")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("descriptors") == 2, done.stdout


def test_growth_of_the_node_is_a_complaint() -> None:
    first = Weight(rss_mib=100.0, descriptors=40, tasks=30, threads=5)
    assert Weight(100.0 + GROWTH_MIB, 40, 30, 9).complaints(first) == []
    assert len(Weight(101.0 + GROWTH_MIB, 41, 31, 5).complaints(first)) == 3
