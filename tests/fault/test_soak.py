"""The soak of CI: a fixed seed, three nodes, every kind of fault; no job is lost or judged twice.

``make soak`` is the long form, with a random seed. Leases are of fractions of a second, on a machine that can keep
them; a slower one gets longer ones, so that what is tested is the product and not the machine.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import trio

from deepoj.operate.drill import clocks
from deepoj.operate.drill.schedule import FaultKind
from deepoj.operate.drill.soak import SOAK_TIMING, SoakOutcome, SoakPlan, SoakProgress, missing_faults, soak
from deepoj.operate.drill.stage import slowness

SEED = 20_240
JOBS = 200
FAULTS = 40
#: nodes killed, Redis away, database silent
_OF_A_CONTEST = (FaultKind.NODE_KILL, FaultKind.REDIS_CRASH, FaultKind.POSTGRES_CRASH, FaultKind.LINK_CUT)
AGAIN = f"play it again: make soak SEED={SEED} JOBS={JOBS} FAULTS={FAULTS}"


def test_this_host_can_play_every_kind() -> None:
    """Only a full disk may be impossible here."""
    assert clocks.compiler() is not None
    missing = missing_faults()
    assert set(missing) <= (set() if os.geteuid() == 0 else {FaultKind.DISK_FULL})
    if missing:
        pytest.skip(f"the soak goes without {', '.join(f'{kind}: {why}' for kind, why in missing.items())}")


def test_leases_are_of_fractions_of_a_second() -> None:
    assert SOAK_TIMING.lease_s < 1.0
    assert {fault.kind for fault in SoakPlan(seed=SEED, jobs=JOBS, faults=FAULTS).schedule} == set(FaultKind)


def test_nothing_is_lost_and_nothing_doubled(tmp_path: Path) -> None:
    """It takes 90 s on two idle cores; on other machines the deadlines of the soak end it."""
    missing = missing_faults()
    plan = SoakPlan(seed=SEED, jobs=JOBS, faults=FAULTS, without=missing, timing=SOAK_TIMING.scaled(slowness()))
    directory = tmp_path / "soak"
    directory.mkdir(mode=0o711)
    outcome = _played(plan, directory)
    assert not outcome.violations, f"{[str(one) for one in outcome.violations]}; see {directory}; {AGAIN}"
    assert outcome.accepted == outcome.finished == JOBS, AGAIN
    assert outcome.played.total() + outcome.unplayed == FAULTS, AGAIN
    assert set(outcome.played) == set(FaultKind) - missing.keys(), AGAIN


def test_readers_of_a_contest_see_each_event_once_and_its_board_is_right(tmp_path: Path) -> None:
    """``deepoj drill soak --contest`` is the long form."""
    without = {kind: "it is in the long form" for kind in FaultKind if kind not in _OF_A_CONTEST}
    plan = SoakPlan(
        seed=SEED, jobs=24, faults=len(_OF_A_CONTEST), without=without, timing=SOAK_TIMING.scaled(slowness()),
        is_contest=True,
    )  # fmt: skip
    directory = tmp_path / "soak"
    directory.mkdir(mode=0o711)
    outcome = _played(plan, directory)
    assert not outcome.violations, f"{[str(one) for one in outcome.violations]}; see {directory}"
    assert outcome.accepted == outcome.finished == plan.jobs
    assert outcome.feed_lines > 6 * plan.jobs, "six readers, each with every submission"


def _played(plan: SoakPlan, directory: Path) -> SoakOutcome:
    async def play() -> SoakOutcome:
        return await soak(plan, directory, SoakProgress())

    return trio.run(play)
