"""Run tests of an attempt ahead of their turn: in slots that are idle, and in the attempt's own while an output is
compared.

The scoring takes the results in its own order, so a report is the same as with one test after the other. A test that
ran ahead and whose turn never comes, because an earlier one ended its group, is cut and not reported. Second runs of
tests close to their limit are not made ahead: whether a test is run again depends on the results before it. They need
the attempt's own slot, which is left free for them.

A slot goes on with the next test as soon as the program has ended. Comparing, recording and reporting a short test took
a third of its time, and the slot was idle meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice

import trio

from deepoj.execution.case_runs import CaseRun, CaseRuns, Execution
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
        #: tests whose program runs
        self._running: dict[int, trio.CancelScope] = {}
        #: tests whose program has ended and whose result is not decided
        self._undecided: set[int] = set()
        #: runs that have been decided and whose turn has not come
        self._ended: dict[int, CaseRun | Infra] = {}
        #: the test whose turn it is
        self._turn = -1
        #: whether tests run in the attempt's own slot
        self._own_slot_in_use = False
        #: the first breakage of a run; it breaks the attempt
        self._breakage: Breakage | OSError | None = None
        self._changed = trio.Event()

    async def first(self, number: int) -> CaseRun | Infra:
        """Return the first run of the test whose turn it is. Later tests run meanwhile.

        Raises:
          BoxBroken, OSError: of this run or of one ahead.
        """
        self._turn = number
        self._cut_unneeded()
        while True:
            self._use_slots()
            if self._breakage is not None:
                raise self._breakage
            if number in self._ended and (self._may_use_own_slot() or not self._own_slot_in_use):
                return self._ended.pop(number)
            await self._changed.wait()

    async def help(self) -> None:
        """Run upcoming tests until there are none, or a job needs the slot."""
        await self._run_upcoming(lambda: self._slots.spare() >= 0)

    def _use_slots(self) -> None:
        """Start to run upcoming tests in slots that do not."""
        if not self._own_slot_in_use and self._may_use_own_slot() and next(self._unbegun(), None) is not None:
            self._own_slot_in_use = True
            self._start_helper(self._use_own_slot, in_idle_slot=False)
        for _ in islice(self._unbegun(), 1, 1 + max(0, self._slots.spare())):  # the first one is run in our own slot
            self._start_helper(self.help)

    def _may_use_own_slot(self) -> bool:
        """Whether the caller of ``first`` does not need it: to run a test again that was close to its limit."""
        result = self._ended.get(self._turn)
        return not (isinstance(result, CaseRun) and result.near)

    async def _use_own_slot(self) -> None:
        try:
            await self._run_upcoming(self._may_use_own_slot)
        finally:
            self._own_slot_in_use = False
            self._announce()

    def _unbegun(self) -> Iterator[int]:
        if self._breakage is not None:
            return
        for place, number in enumerate(self._upcoming()):
            if place > 0 and len(self._ended) + len(self._undecided) >= AHEAD:
                return
            if number not in self._begun:
                yield number

    def _cut_unneeded(self) -> None:
        """Cut runs, and forget results, of tests that the results recorded so far have left out."""
        unneeded = {*self._running, *self._ended}
        for number in self._upcoming():
            if not unneeded:
                return
            unneeded.discard(number)
        for number in unneeded:
            if number in self._running:
                self._running[number].cancel()
            self._ended.pop(number, None)

    async def _run_upcoming(self, may_go_on: Callable[[], bool]) -> None:
        """Run upcoming tests in one slot, one after the other, while earlier ones are decided."""
        decided: trio.Event | None = None
        while may_go_on() and (number := next(self._unbegun(), None)) is not None:
            execution = await self._execute(number)
            if decided is not None:
                await decided.wait()  # a slot keeps two outputs on the disk, not more
            if execution is None:
                continue
            self._undecided.add(number)
            if execution.near or self._runs.decides_in_sandbox:  # that needs the slot, or may
                await self._decide(number, execution)
            else:
                decided = trio.Event()
                self._start_helper(partial(self._decide, number, execution, decided), in_idle_slot=False)

    async def _execute(self, number: int) -> Execution | None:
        """Run the program; None if the run was cut or broke."""
        self._begun.add(number)
        execution: Execution | None = None
        with trio.CancelScope() as scope:
            self._running[number] = scope
            try:
                execution = await self._runs.execute(number)
            except (Breakage, OSError) as breakage:
                self._break(breakage)
            finally:
                del self._running[number]
        if scope.cancelled_caught:
            self._begun.discard(number)
        return execution

    async def _decide(self, number: int, execution: Execution, decided: trio.Event | None = None) -> None:
        try:
            self._ended[number] = await self._runs.conclude(execution)
        except (Breakage, OSError) as breakage:
            self._break(breakage)
        finally:
            self._undecided.discard(number)
            if decided is not None:
                decided.set()
        self._announce()

    def _break(self, breakage: Breakage | OSError) -> None:
        self._breakage = self._breakage or breakage
        self._announce()

    def _announce(self) -> None:
        self._changed.set()
        self._changed = trio.Event()
