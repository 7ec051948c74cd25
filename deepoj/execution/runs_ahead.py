"""Run tests of an attempt ahead of their turn: in slots that are idle, and in the attempt's own while an output is
compared.

The scoring takes the results in its own order, so a report is the same as with one test after the other. A test that
ran ahead and whose turn never comes, because an earlier one ended its group, is cut and not reported. Second runs of
tests close to their limit are not made ahead: whether a test is run again depends on the results before it. They need
the attempt's own slot, which is left free for them.

Two tasks take turns in a slot: while a test of one runs, the other decides about its last test and prepares its next.
Otherwise the slot was idle for a quarter of the time of short tests. What is prepared waits at the slot's gate, and is
given up there when the slot is needed for something else, or when another slot has nothing to run. Nothing is prepared
that another slot could begin at once.
Between two short runs the slot is idle for 0.1 ms; 0.3 ms where the first was sometimes decided about before the next
began, and 0.9 ms once where the second task began only then.
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

#: how many results may wait for their turn, beside those that were prepared before: each keeps up to a megabyte of
#: output
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
        #: tests whose program runs or waits for its slot
        self._running: dict[int, trio.CancelScope] = {}
        #: tests whose program has ended and whose result is not decided
        self._undecided: set[int] = set()
        #: runs that have been decided and whose turn has not come
        self._ended: dict[int, CaseRun | Infra] = {}
        #: the test whose turn it is
        self._turn = -1
        #: whether tests run in the attempt's own slot
        self._own_slot_in_use = False
        #: slots in which tests run
        self._used: list[_SharedSlot] = []
        #: the first breakage of a run; it breaks the attempt
        self._breakage: Breakage | OSError | None = None
        self._changed = trio.Event()

    async def first_run(self, number: int) -> CaseRun | Infra:
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

    def _use_slots(self) -> None:
        """Start to run upcoming tests in slots that do not."""
        left = self._unbegun()
        if not self._own_slot_in_use and self._may_use_own_slot() and next(left, None) is not None:
            self._own_slot_in_use = True
            own = self._used_slot(self._may_use_own_slot)
            self._start_helper(partial(self._use_own_slot, own), in_idle_slot=False)
        for _ in islice(left, max(0, self._slots.spare())):
            lent = self._used_slot(lambda: self._slots.spare() >= 0)
            self._start_helper(partial(self._use_slot, lent))

    def _may_use_own_slot(self) -> bool:
        """Whether the caller of ``first_run`` does not need it: to run a test again that was close to its limit."""
        result = self._ended.get(self._turn)
        return not (isinstance(result, CaseRun) and result.near)

    def _used_slot(self, may_go_on: Callable[[], bool]) -> _SharedSlot:
        """Return a slot that tests will be run in: from now on, the other slots leave it a test."""
        slot = _SharedSlot(may_go_on)
        self._used.append(slot)
        return slot

    async def _use_own_slot(self, slot: _SharedSlot) -> None:
        try:
            await self._use_slot(slot)
        finally:
            self._own_slot_in_use = False
            self._announce()

    async def _use_slot(self, slot: _SharedSlot) -> None:
        """Run upcoming tests until there are none, or something else needs the slot."""
        try:
            slot.tasks += 1
            await self._run_upcoming(slot)
            await slot.ended.wait()
            if slot.may_go_on() and next(self._unbegun(), None) is None:
                self._give_one_up()
        finally:
            self._used.remove(slot)

    def _give_one_up(self) -> None:
        """Let a slot that is idle begin a test that waits behind a longer one in another."""
        waiting = next((slot.waiting for slot in self._used if slot.waiting is not None), None)
        if waiting is not None:
            waiting.cancel()

    def _unbegun(self) -> Iterator[int]:
        """Yield the tests that no slot has begun, first the one whose turn it is: the attempt waits for it,
        also if the results seem to leave it out."""
        if self._breakage is not None:
            return
        if self._turn not in self._begun:
            yield self._turn
        for number in self._upcoming():
            if number == self._turn:
                continue
            if len(self._ended) + len(self._undecided) >= AHEAD:
                return
            if number not in self._begun:
                yield number

    def _cut_unneeded(self) -> None:
        """Cut runs, and forget results, of tests that the results recorded so far have left out."""
        unneeded = {*self._running, *self._ended} - {self._turn}
        for number in self._upcoming():
            if not unneeded:
                return
            unneeded.discard(number)
        for number in unneeded:
            if number in self._running:
                self._running[number].cancel()
            if self._ended.pop(number, None) is not None:
                self._begun.discard(number)  # later results may ask for it again, where some failures are forgiven

    async def _run_upcoming(self, slot: _SharedSlot) -> None:
        """Run upcoming tests in a slot, one after the other, in turns with a second task, but where deciding needs the
        slot."""
        try:
            while slot.may_go_on() and (number := self._next(slot)) is not None:
                self._begun.add(number)
                slot.taken += 1
                if slot.tasks == 1 and not self._runs.decides_in_sandbox and self._has_spare_tests():
                    slot.tasks += 1
                    self._start_helper(partial(self._run_upcoming, slot), in_idle_slot=False)
                await self._decide(number, await self._execute(number, slot))
        finally:
            slot.tasks -= 1
            if not slot.tasks:
                slot.ended.set()

    def _next(self, slot: _SharedSlot) -> int | None:
        """Return the test that a task of the slot takes next; None if it takes none."""
        if slot.taken and not self._has_spare_tests():
            return None
        return next(self._unbegun(), None)

    def _has_spare_tests(self) -> bool:
        """Whether tests are left for all other slots, the idle ones too, when one is prepared."""
        others = len(self._used) - 1 + max(0, self._slots.spare())
        if not self._own_slot_in_use and self._may_use_own_slot():
            others += 1
        return next(islice(self._unbegun(), others, None), None) is not None

    async def _execute(self, number: int, slot: _SharedSlot) -> Execution | None:
        """Run the program; None if the run was cut or given up, or broke."""
        execution: Execution | None = None
        with trio.CancelScope() as scope:
            self._running[number] = scope
            try:
                execution = await self._runs.execute(number, gate=_SlotGate(slot, scope))
            except (Breakage, OSError) as breakage:
                self._break(breakage)
            finally:
                slot.taken -= 1
                del self._running[number]
        if scope.cancelled_caught:
            self._begun.discard(number)
            self._announce()  # by now the attempt's own slot may be all that is left to run it
        return execution

    async def _decide(self, number: int, execution: Execution | None) -> None:
        if execution is None:
            return
        self._undecided.add(number)
        try:
            self._ended[number] = await self._runs.conclude(execution)
        except (Breakage, OSError) as breakage:
            self._break(breakage)
        finally:
            self._undecided.discard(number)
        self._announce()

    def _break(self, breakage: Breakage | OSError) -> None:
        self._breakage = self._breakage or breakage
        self._announce()

    def _announce(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


class _SharedSlot:
    """The programs that one slot runs, one after the other. ``may_go_on``: whether the slot may run another test."""

    def __init__(self, may_go_on: Callable[[], bool]) -> None:
        self.may_go_on = may_go_on
        self.free = trio.Lock()
        #: tasks that use it
        self.tasks = 0
        #: set once there are none
        self.ended = trio.Event()
        #: tests that run in it or wait at its gate
        self.taken = 0
        #: the scope of one that waits
        self.waiting: trio.CancelScope | None = None


class _SlotGate:
    """Entered while a program runs in a slot, again where it runs again. Waits until the one before has ended, and
    cancels ``scope`` if by then the slot is needed for something else."""

    def __init__(self, slot: _SharedSlot, scope: trio.CancelScope) -> None:
        self._slot, self._scope = slot, scope

    async def __aenter__(self) -> None:
        try:
            self._slot.free.acquire_nowait()  # unlike ``acquire``, it lets no task run first that prepares a test
        except trio.WouldBlock:
            self._slot.waiting = self._scope
            try:
                await self._slot.free.acquire()
            finally:
                self._slot.waiting = None
        if not self._slot.may_go_on():
            self._slot.free.release()
            self._scope.cancel()
            await trio.lowlevel.checkpoint()

    async def __aexit__(self, *_: object) -> None:
        is_awaited = self._slot.free.statistics().tasks_waiting > 0
        self._slot.free.release()
        if is_awaited:  # let the next run begin before this one is decided about
            for _turn in range(2):  # in one turn, Trio may run this task first
                await trio.lowlevel.cancel_shielded_checkpoint()
