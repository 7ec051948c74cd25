"""``deepoj bench queue``, small: that it fills, walks and says what it found. What it finds is not asserted."""

from __future__ import annotations

import json
import subprocess

from deepoj.operate.bench.queue import STEPS, figures_of
from deepoj.operate.bench.unlimited import unlimited
from tests.e2e.nodes import DEEPOJ
from tests.servers import tied


def test_a_small_one() -> None:
    command = [str(DEEPOJ), "bench", "queue", "--waiting", "60", "--finished", "120", "--rounds", "3", "--json"]
    done = subprocess.run(tied(*command, death_signal="TERM"), capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    [line] = done.stdout.splitlines()
    figures = json.loads(line)
    assert (figures["waiting"], figures["finished"], figures["rounds"]) == (60, 120, 3)
    assert figures["settings"] == unlimited()
    for kind in ("empty_ms", "waiting_ms", "finished_ms", "waiting_ratio", "finished_ratio"):
        assert set(figures[kind]) == set(STEPS)
        assert all(value > 0 for value in figures[kind].values())


def test_ratios_are_of_the_medians() -> None:
    def times(*found: float) -> dict[str, list[float]]:
        return {step: list(found) for step in STEPS}

    told = {"empty": times(1, 2, 90), "waiting": times(3, 3, 3), "finished": times(2, 2, 1)}
    figures = figures_of(told, rounds=3, waiting=7, finished=8)
    assert set(figures.waiting_ratio.values()) == {1.5}
    assert set(figures.finished_ratio.values()) == {1.0}
