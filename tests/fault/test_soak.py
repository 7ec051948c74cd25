"""The soak of CI: a fixed seed, three nodes, every kind of fault at least once; nothing lost, nothing doubled.

``make soak`` is the long form, with a random seed. Leases are of fractions of a second, on a machine that can keep
them; a slower one gets longer ones, so that what is tested is the product and not the machine.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import trio

from deepoj.drill import clocks
from deepoj.drill.schedule import Kind
from deepoj.drill.soak import SOAK_TIMING, Outcome, Plan, Progress, soak, what_is_missing
from deepoj.drill.stage import slowness

SEED = 20_240
JOBS = 100
FAULTS = 30


def test_this_host_can_play_every_kind() -> None:
    """Only a disk cannot be filled by everybody."""
    assert clocks.compiler() is not None
    assert set(what_is_missing()) <= (set() if os.geteuid() == 0 else {Kind.DISK_FULL})


@pytest.mark.slow
def test_nothing_is_lost_and_nothing_doubled(tmp_path: Path) -> None:
    missing = what_is_missing()
    plan = Plan(seed=SEED, jobs=JOBS, faults=FAULTS, without=missing, timing=SOAK_TIMING.scaled(slowness()))
    directory = tmp_path / "soak"
    directory.mkdir(mode=0o711)

    async def play() -> Outcome:
        return await soak(plan, directory, Progress())

    outcome = trio.run(play)
    assert not outcome.violations, f"seed {SEED}: {[str(one) for one in outcome.violations]}; see {directory}"
    assert outcome.accepted == outcome.finished == JOBS
    assert outcome.played.total() + outcome.unplayed == FAULTS
    # A fault that waits for a request may find none; the others are played whatever happens.
    waiting = {Kind.ANSWER_LOST, Kind.SAID_TWICE}
    assert set(outcome.played) >= set(Kind) - missing.keys() - waiting
