"""How soon the tests of a submission end in several slots: in virtual time, with programs that only sleep."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import cast

import pytest
import trio

from deepoj.execution.case_runs import CaseRuns
from deepoj.execution.runs_ahead import RunsAhead
from deepoj.nursery.idle_slots import HelperSlots
from deepoj.ports.slots import StartHelper
from deepoj.words.results import Infra


class Timed:
    """``CaseRuns`` whose programs take ``lengths_s``, and whose decisions take ``decide_s``."""

    decides_in_sandbox = False

    def __init__(self, lengths_s: Sequence[float], decide_s: float) -> None:
        self._lengths_s, self._decide_s = lengths_s, decide_s

    async def execute(self, number: int, *, gate: AbstractAsyncContextManager[object]) -> int:
        async with gate:
            await trio.sleep(self._lengths_s[number])
        return number

    async def conclude(self, _execution: int) -> Infra:
        await trio.sleep(self._decide_s)
        return Infra("decided", "")

    async def time_all(self, idle: Callable[[], int]) -> float:
        """Run all tests ahead, and return how long it took. ``idle``: the slots beside the attempt's own."""
        slots, ended = HelperSlots(idle), 0

        def upcoming() -> Iterator[int]:
            return iter(range(ended, len(self._lengths_s)))

        async def run_all(start_helper: StartHelper) -> None:
            nonlocal ended
            ahead = RunsAhead(cast(CaseRuns, self), upcoming, slots, start_helper)
            for number in range(len(self._lengths_s)):
                await ahead.first_run(number)
                ended += 1

        began = trio.current_time()
        await slots.with_helpers(run_all)
        return trio.current_time() - began


def _least_s(lengths_s: Sequence[float], slots: int) -> float:
    """Return how long it takes if each slot that is free begins the next test at once."""
    free_at = [0.0] * slots
    for length_s in lengths_s:
        heapq.heapreplace(free_at, free_at[0] + length_s)
    return max(free_at)


@pytest.mark.parametrize("is_first_long", [True, False])
@pytest.mark.parametrize(("slots", "tests"), [(2, 3), (2, 5), (2, 10), (4, 5), (4, 10)])
async def test_no_slot_is_idle_while_a_test_waits_in_another(
    autojump_clock: object, slots: int, tests: int, is_first_long: bool
) -> None:
    """A long test before short ones, or the mean of tests of unlike lengths."""
    chance = random.Random(slots * tests)
    taken_s = least_s = 0.0
    for _ in range(40):
        # in binary fractions: trio's clock jumps forever short of a deadline that it cannot represent
        lengths_s = [chance.randint(13, 115) / 64 for _ in range(tests)]
        if is_first_long:
            lengths_s = [3.0] + [0.25] * (tests - 1)
        taken_s += await Timed(lengths_s, 1 / 128).time_all(lambda: slots - 1)
        least_s += _least_s(lengths_s, slots)
    assert taken_s < 1.03 * least_s


async def test_a_slot_that_becomes_idle_begins_the_last_test(autojump_clock: object) -> None:
    """While the own slot runs the last but one, and leaves it to others."""
    idle_at = trio.current_time() + 0.5
    taken_s = await Timed([1.0] * 3, 0.25).time_all(lambda: int(trio.current_time() >= idle_at))
    assert taken_s == pytest.approx(2.5)  # the second begins when the first ends, the third when that is decided
