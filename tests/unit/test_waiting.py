"""Loops that wait for the word of one statement: none is later than if it asked for itself, nor waits when it fails."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import trio

from deepoj.nursery.loops import Periodic
from deepoj.nursery.supervise import Child, ChildStatus, kept
from deepoj.nursery.waiting import WorkSignal, WorkWatch
from deepoj.observe import Metrics
from deepoj.words.errors import StoreUnavailable
from deepoj.words.waiting import LOOK_ANSWER_S, LOOK_PERIOD_S, WorkKind

POLL_S = 2.0


@dataclass
class Work:
    """A database that may be away or silent, and a loop that does what waits."""

    waiting: frozenset[WorkKind] = frozenset()
    is_away: bool = False
    is_silent: bool = False
    #: looks, and the statements of them all
    looks: int = 0
    statements: int = 0
    asked_at: list[float] = field(default_factory=list)

    async def look(self, *, for_s: float) -> frozenset[WorkKind]:
        self.looks += 1
        over_at = trio.current_time() + for_s
        while True:
            self.statements += 1
            await self.answer()
            if self.waiting or trio.current_time() + LOOK_PERIOD_S > over_at:
                return self.waiting
            await trio.sleep(LOOK_PERIOD_S)

    async def answer(self) -> None:
        await trio.lowlevel.checkpoint()
        if self.is_silent:
            await trio.sleep(LOOK_ANSWER_S)
            raise TimeoutError
        if self.is_away:
            raise StoreUnavailable("away")

    async def loop(self, due: WorkSignal) -> None:
        while True:
            await trio.lowlevel.checkpoint()
            self.asked_at.append(trio.current_time())
            await due.wait(POLL_S)

    def asked_since(self, at: float) -> list[float]:
        return [round(one - at, 3) for one in self.asked_at if one > at]


@asynccontextmanager
async def watched(work: Work, metrics: Metrics) -> AsyncIterator[WorkSignal]:
    """Run a loop for reruns beside the watch, until both are at rest."""
    watch = WorkWatch(work.look)
    due = watch.signal(WorkKind.RERUNS, poll_s=POLL_S)
    child = Child(
        name="waiting work",
        run=Periodic(LOOK_PERIOD_S, watch.once),
        restart_on=(StoreUnavailable,),
        budget=1000,
        backoff_max_s=LOOK_PERIOD_S,
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(kept, child, ChildStatus(), metrics)
        nursery.start_soon(work.loop, due)
        await trio.sleep(10.01)
        yield due
        nursery.cancel_scope.cancel()


@pytest.fixture
def work() -> Work:
    return Work()


async def test_loop_without_work_never_asks(autojump_clock: object, work: Work, metrics: Metrics) -> None:
    async with watched(work, metrics):
        began, looks, statements = trio.current_time(), work.looks, work.statements
        await trio.sleep(90)
        assert work.asked_since(began) == []
        assert work.statements - statements == 100
        assert work.looks - looks == 9, "most of them wake no task"


async def test_loop_is_told_of_its_work_within_a_period_and_once_when_it_is_gone(
    autojump_clock: object, work: Work, metrics: Metrics
) -> None:
    async with watched(work, metrics):
        work.waiting = frozenset({WorkKind.RUNS})
        await trio.sleep(10)
        began = trio.current_time()
        assert work.asked_since(began - 10) == [], "this is the work of another loop"
        work.waiting = frozenset({WorkKind.RERUNS})
        await trio.sleep(LOOK_PERIOD_S)
        assert len(work.asked_since(began)) == 1
        await trio.sleep(9 * LOOK_PERIOD_S)
        assert len(work.asked_since(began)) == 10
        work.waiting = frozenset()
        await trio.sleep(LOOK_PERIOD_S)
        assert len(work.asked_since(began)) == 11, "its figures are shown once more"
        await trio.sleep(10)
        assert len(work.asked_since(began)) == 11


async def test_work_that_comes_while_the_loop_is_busy_wakes_it_again() -> None:
    due = WorkSignal()
    due.note_watch(is_watched=True)
    due.set()
    with trio.fail_after(10):
        await due.wait(POLL_S)


@pytest.mark.parametrize("fault", ["is_away", "is_silent"])
async def test_loop_asks_for_itself_while_the_statement_fails(
    autojump_clock: object, work: Work, metrics: Metrics, fault: str
) -> None:
    async with watched(work, metrics):
        setattr(work, fault, True)
        began = trio.current_time()
        await trio.sleep(60)
        asked = work.asked_since(began)
        assert asked[0] <= LOOK_PERIOD_S + LOOK_ANSWER_S
        pauses = [later - one for one, later in itertools.pairwise(asked)]
        assert max(pauses) <= POLL_S + 0.01
        setattr(work, fault, False)
        await trio.sleep(5)
        began = trio.current_time()
        await trio.sleep(60)
        assert work.asked_since(began) == [], "the watch looks again"


async def test_loop_that_is_set_to_ask_more_often_than_the_watch_asks_for_itself(
    autojump_clock: object, work: Work
) -> None:
    watch = WorkWatch(work.look)
    due = watch.signal(WorkKind.RERUNS, poll_s=LOOK_PERIOD_S / 2)
    await watch.once()
    began = trio.current_time()
    await due.wait(LOOK_PERIOD_S / 2)
    assert trio.current_time() - began == pytest.approx(LOOK_PERIOD_S / 2)


async def test_periodic_loop_that_waits_for_work_goes_on_after_its_idle_time(
    autojump_clock: object, work: Work
) -> None:
    watch = WorkWatch(work.look)
    rounds: list[float] = []

    async def once() -> None:
        await trio.lowlevel.checkpoint()
        rounds.append(trio.current_time())

    due = watch.signal(WorkKind.SUBMISSIONS, poll_s=1.0)
    await watch.once()
    async with trio.open_nursery() as nursery:
        await nursery.start(Periodic(1.0, once, due, idle_s=4.0))
        await trio.sleep(12)
        work.waiting = frozenset({WorkKind.SUBMISSIONS})
        await watch.once()
        await trio.sleep(0.5)
        nursery.cancel_scope.cancel()
    began = rounds[0]
    assert [round(one - began, 3) for one in rounds] == [0.0, 5.0, 10.0, 12.0]
