"""Run tests of an attempt ahead of their turn, in slots that are idle.

The scoring takes the results in its own order, so a report is the same as with one slot. A test that ran ahead and
whose turn never comes, because an earlier one ended its group, is not reported. Second runs of tests close to their
limit are not made ahead: whether a test is run again depends on the results before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

import trio

from deepoj.execution.case_runs import CaseRun, CaseRuns
from deepoj.ports.slots import IdleSlots, StartHelper
from deepoj.words.errors import Breakage
from deepoj.words.results import Infra

#: how many results may wait for their turn: each keeps up to a megabyte of output
AHEAD = 16


class RunsAhead:
    """The first runs of an attempt's tests. ``upcoming`` yields the tests still to be run, in order, as far as the
    results so far tell."""

    def __init__(
        self,
        runs: CaseRuns,
        upcoming: Callable[[], Iterator[int]],
        slots: IdleSlots,
        start_helper: StartHelper,
    ) -> None:
        self._runs, self._upcoming, self._slots, self._start_helper = runs, upcoming, slots, start_helper
        #: tests whose first run has begun
        self._begun: set[int] = set()
        #: runs that have ended and whose turn has not come
        self._ended: dict[int, CaseRun | Infra] = {}
        #: the first breakage of a run; it breaks the attempt
        self._breakage: Breakage | OSError | None = None
        self._changed = trio.Event()

    async def first(self, number: int) -> CaseRun | Infra:
        """Return the first run of the test whose turn it is. While a helper runs it, run later tests here.

        Raises:
          BoxBroken, OSError: of this run or of one ahead.
        """
        while self._breakage is None and number not in self._ended:
            for _ in islice(self._unbegun(), 1, 1 + max(0, self._slots.spare())):  # the first one is run here
                self._start_helper(self.help)
            mine = number if number not in self._begun else next(self._unbegun(), None)
            if mine is None:
                await self._changed.wait()
            else:
                await self._run(mine)
        if self._breakage is not None:
            raise self._breakage
        return self._ended.pop(number)

    async def help(self) -> None:
        """Run upcoming tests until there are none, or a job needs the slot."""
        while self._slots.spare() >= 0 and (number := next(self._unbegun(), None)) is not None:
            await self._run(number)

    def _unbegun(self) -> Iterator[int]:
        if self._breakage is None and len(self._ended) < AHEAD:
            yield from (number for number in self._upcoming() if number not in self._begun)

    async def _run(self, number: int) -> None:
        self._begun.add(number)
        try:
            self._ended[number] = await self._runs.first(number)
        except (Breakage, OSError) as breakage:
            self._breakage = self._breakage or breakage
        self._changed.set()
        self._changed = trio.Event()
