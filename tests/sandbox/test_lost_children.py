"""CPU time where no cgroup counts it: also of children that the kernel reaps, since their parent arranged for that."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deepoj.adapters.sandbox.box import LinuxBox
from deepoj.words.sandbox import PROGRAM_DIR, FileIn, Isolation, RunOutcome, RunSpec, RunVerdict
from tests.sandbox.bench import limits, said

#: how the probe arranges for its children to be lost
WAYS = ("ignoring", "handling", "default", "flipping", "orphaned", "vforked", "threads", "sessions")
#: how it has children that somebody waits for, or the init does
KEPT = ("waited", "grandchildren", "silent")


class Uncounted:
    """A box without any cgroup, and the probe in it."""

    def __init__(self, box: LinuxBox, programs: Path) -> None:
        self._box, self._programs = box, programs

    async def burn(self, how: str, slice_us: int, total_ms: int, cpu_ms: int = 60_000) -> RunOutcome:
        return await self.run("burn_lost", how, str(slice_us), str(total_ms), cpu_ms=cpu_ms)

    async def run(self, *words: str, cpu_ms: int = 60_000) -> RunOutcome:
        main = FileIn("main", self._programs / "probe", executable=True, program=True)
        return await self._box.run(
            RunSpec(argv=(f"{PROGRAM_DIR}/main", *words), limits=limits(cpu_ms=cpu_ms), files_in=(main,))
        )

    def slots_cpu_ms(self) -> int:
        """What the slots themselves have used."""
        children = Path(f"/proc/{self._box.launcher_pid}/task/{self._box.launcher_pid}/children").read_text().split()
        stats = [Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split() for child in children]
        return sum(int(stat[11]) + int(stat[12]) for stat in stats) * 1000 // os.sysconf("SC_CLK_TCK")


@pytest.fixture(params=[pytest.param(Isolation.NAMESPACES, marks=pytest.mark.needs("namespaces")), Isolation.WEAK])
async def uncounted(request: pytest.FixtureRequest, programs: Path, no_counting: None) -> AsyncIterator[Uncounted]:
    async with LinuxBox.open(1, at_most=request.param, min_isolation=request.param) as box:
        assert not box.preflight.cpu_counted
        yield Uncounted(box, programs)


@pytest.mark.measured
@pytest.mark.parametrize("slice_us", [300, pytest.param(5000, marks=pytest.mark.full)])
@pytest.mark.parametrize("how", WAYS)
async def test_cpu_of_reaped_children_is_not_underestimated(uncounted: Uncounted, how: str, slice_us: int) -> None:
    outcome = await uncounted.burn(how, slice_us, 600)

    assert outcome.verdict is RunVerdict.OK
    assert outcome.cpu_ms >= 0.9 * int(said(outcome)["burnt"])


@pytest.mark.measured
async def test_cpu_of_reaped_children_is_no_more_than_all_cores_have(uncounted: Uncounted) -> None:
    outcome = await uncounted.run("sleep_lost", "40", "600")

    assert outcome.verdict is RunVerdict.OK
    assert outcome.cpu_ms <= len(os.sched_getaffinity(0)) * outcome.wall_ms


@pytest.mark.parametrize("how", WAYS)
async def test_cpu_of_reaped_children_is_limited(uncounted: Uncounted, how: str) -> None:
    outcome = await uncounted.burn(how, 5000, 50_000, cpu_ms=400)

    assert (outcome.verdict, outcome.rule) == (RunVerdict.TLE, "cpu")


@pytest.mark.measured
@pytest.mark.parametrize("how", KEPT)
async def test_cpu_of_children_that_are_waited_for_is_exact(uncounted: Uncounted, how: str) -> None:
    outcome = await uncounted.burn(how, 5000, 80)

    assert 80 <= outcome.cpu_ms < 200


@pytest.mark.parametrize("how", ["waited", "grandchildren"])
async def test_cpu_of_children_that_are_waited_for_is_limited_while_others_run(uncounted: Uncounted, how: str) -> None:
    """A run whose CPU time is seen at its end alone has all cores up to its wall limit, and looks delayed by others."""
    outcome = await uncounted.burn(how, 2000, 3000, cpu_ms=400)

    assert (outcome.verdict, outcome.rule) == (RunVerdict.TLE, "cpu")
    assert outcome.cpu_ms < 1000


@pytest.mark.measured
async def test_work_of_the_slot_for_a_program_that_sets_handlers_all_the_time_is_counted(uncounted: Uncounted) -> None:
    before_ms = uncounted.slots_cpu_ms()

    outcome = await uncounted.run("set_handlers", "15000")

    assert outcome.verdict is RunVerdict.OK
    assert outcome.cpu_ms >= 0.9 * (uncounted.slots_cpu_ms() - before_ms) - 100


@pytest.mark.measured
async def test_a_handler_costs_no_look_once_children_may_be_lost(uncounted: Uncounted) -> None:
    looked_at = await uncounted.run("handle_often", "handling", "500")
    known = await uncounted.run("handle_often", "ignoring", "500")

    assert int(said(known)["took_us"]) < int(said(looked_at)["took_us"]) / 4
