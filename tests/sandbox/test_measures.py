"""Figures against the truth that the program itself knows: its own CPU clock, read at its very end."""

from __future__ import annotations

import pytest

from deepoj.words import RunVerdict
from tests.sandbox.bench import Bench, limits, said


@pytest.mark.parametrize("ms", [2, 5, 10, 50, 200, 1000, 2000])
@pytest.mark.parametrize("mode", ["burn_and_tell", "burn_in_threads_and_tell", "burn_in_children_and_tell"])
async def test_cpu_time_is_what_the_program_burnt(bench: Bench, mode: str, ms: int) -> None:
    """Within 1 ms or 2 %, whichever is more; 1 ms more for the figure's being rounded up, and for what comes after the
    program has looked at its clock."""
    outcome = await bench.run(mode, ms, lim=limits(cpu_ms=60_000))

    assert outcome.verdict is RunVerdict.OK
    truth_ms = int(said(outcome)["cpu_us"]) / 1000
    assert truth_ms >= ms
    assert -max(1.0, 0.02 * truth_ms) <= outcome.cpu_ms - truth_ms <= max(1.0, 0.02 * truth_ms) + 1.0


async def test_a_loop_is_ended_soon_after_its_limit(bench: Bench) -> None:
    """In CPU time, which does not depend on who else uses the machine."""
    outcome = await bench.run("loop", lim=limits(cpu_ms=300))

    assert (outcome.verdict, outcome.rule) == (RunVerdict.TLE, "cpu")
    assert 300 < outcome.cpu_ms <= 400
