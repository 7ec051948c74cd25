"""Calls of one moment run as one batch, each gets its own answer, and a single call waits for no others."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from math import inf

import pytest
import trio
import trio.testing

from deepoj.adapters.batcher import _PATIENCE_S, Batcher
from deepoj.words.errors import Breakage, StoreUnavailable


class Work:
    """Doubles numbers when the test releases it; ``fails`` may raise for a batch."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        #: when each group began, on Trio's clock
        self.began: list[float] = []
        self._released: list[trio.Event] = []
        self.hold()
        self.fails: Callable[[Sequence[int]], None] = lambda _group: None

    def hold(self) -> trio.Event:
        """Hold the batches from now on until the returned event is set."""
        self.may_go = trio.Event()
        self._released.append(self.may_go)
        return self.may_go

    def release_all(self) -> None:
        """Release also the batches that an earlier ``hold`` holds."""
        for event in self._released:
            event.set()

    async def __call__(self, asked: Sequence[int]) -> Sequence[int]:
        self.groups.append(sorted(asked))
        self.began.append(trio.current_time())
        await self.may_go.wait()
        self.fails(asked)
        return [2 * one for one in asked]


class Calls:
    """Concurrent calls and the result of each."""

    def __init__(self, batcher: Batcher[int, int], nursery: trio.Nursery) -> None:
        self._batcher, self._nursery = batcher, nursery
        self.answers: dict[int, int | Breakage] = {}
        self.scopes: dict[int, trio.CancelScope] = {}

    async def begin(self, *numbers: int) -> None:
        for number in numbers:
            self.scopes[number] = trio.CancelScope()
            self._nursery.start_soon(self._one, number)
            await trio.testing.wait_all_tasks_blocked()

    async def begin_together(self, *numbers: int) -> None:
        """Begin calls in one scheduler turn."""
        for number in numbers:
            self.scopes[number] = trio.CancelScope()
            self._nursery.start_soon(self._one, number)
        await trio.testing.wait_all_tasks_blocked()

    async def _one(self, number: int) -> None:
        with self.scopes[number]:
            try:
                self.answers[number] = await self._batcher.do(number)
            except Breakage as breakage:
                self.answers[number] = breakage


@asynccontextmanager
async def calling(work: Work, *, lanes: int, most: int) -> AsyncIterator[Calls]:
    """Concurrent calls of a batcher. Leaving releases the work, so that a failed test ends: batches are shielded."""
    async with trio.open_nursery() as nursery:
        try:
            yield Calls(Batcher(work, lanes=lanes, most=most), nursery)
        finally:
            work.release_all()


async def test_calls_during_a_batch_form_the_next_batch() -> None:
    work = Work()
    async with calling(work, lanes=1, most=3) as calls:
        await calls.begin(1, 2, 3, 4, 5)
        assert work.groups == [[1]], "the first begins at once, alone"
        work.may_go.set()
    assert work.groups == [[1], [2, 3, 4], [5]]
    assert calls.answers == {number: 2 * number for number in range(1, 6)}


async def test_lanes_go_beside_each_other() -> None:
    work = Work()
    async with calling(work, lanes=2, most=10) as calls:
        await calls.begin(1, 2, 3, 4)
        assert work.groups == [[1], [2]]
        work.may_go.set()
    assert sorted(calls.answers) == [1, 2, 3, 4]


@pytest.mark.parametrize(("most", "groups"), [(10, [1, 5]), (3, [1, 2, 3])])
async def test_calls_of_one_turn_share_a_batch_while_another_is_in_progress(most: int, groups: list[int]) -> None:
    work = Work()
    async with calling(work, lanes=3, most=most) as calls:
        await calls.begin(1)
        await calls.begin_together(*range(2, 7))
        assert sorted(map(len, work.groups)) == groups, "more than a batch takes go into the next lane"
        work.may_go.set()
    assert calls.answers == {number: 2 * number for number in range(1, 7)}


@pytest.mark.parametrize("_again", range(8))
@pytest.mark.parametrize("lanes", [1, 2])
async def test_next_batch_begins_before_calls_of_the_last_go_on(
    mock_clock: trio.testing.MockClock, lanes: int, _again: int
) -> None:
    """Eight times: trio draws the order of tasks within a turn. With a free lane, the next batch's first call measures
    how long the last one takes; the clock stands still."""
    happened: list[str] = []
    may_go = {1: trio.Event(), 2: trio.Event()}

    async def work(asked: Sequence[int]) -> Sequence[int]:
        happened.append(f"batch {sorted(asked)}")
        if min(asked) in may_go:
            await may_go[min(asked)].wait()
        return asked

    batcher = Batcher(work, lanes=lanes, most=3)

    async def call(number: int) -> None:
        happened.append(f"answer {await batcher.do(number)}")

    async with trio.open_nursery() as nursery:
        try:
            for numbers in ((1,), (2, 3)):
                for number in numbers:
                    nursery.start_soon(call, number)
                await trio.testing.wait_all_tasks_blocked()
            may_go[1].set()
            for number in (4, 5):
                await trio.testing.wait_all_tasks_blocked()
                nursery.start_soon(call, number)
            await trio.testing.wait_all_tasks_blocked()
        finally:
            for event in may_go.values():
                event.set()
    assert happened[:4] == ["batch [1]", *happened[1:3], "batch [4, 5]"]
    assert sorted(happened[1:3]) == ["answer 1", "batch [2, 3]"]


@pytest.mark.parametrize("_again", range(8))
async def test_calls_of_a_batch_come_to_their_next_one_together(_again: int) -> None:
    """Eight times: trio draws the order of tasks within a turn."""
    first, second = Work(), Work()
    batchers = Batcher(first, lanes=1, most=10), Batcher(second, lanes=2, most=10)

    async def call(number: int) -> None:
        for batcher in batchers:
            await batcher.do(number)

    async with trio.open_nursery() as nursery:
        for number in (1, 2, 3):
            nursery.start_soon(batchers[1].do, number)
        await trio.testing.wait_all_tasks_blocked()
        second.may_go.set()
        await trio.testing.wait_all_tasks_blocked()
        assert [len(group) for group in second.groups] == [1, 2], "so calls let others join now"
        second.groups.clear()
        nursery.start_soon(batchers[0].do, 4)
        for number in (5, 6, 7):
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(call, number)
        await trio.testing.wait_all_tasks_blocked()
        first.may_go.set()
    assert second.groups == [[5, 6, 7]]


async def test_first_call_after_a_shared_batch_lets_others_join_and_after_a_lone_one_does_not() -> None:
    work = Work()
    batcher = Batcher(work, lanes=2, most=10)

    async def at_once(*numbers: int) -> list[int]:
        """Return the sizes of the batches of calls of one turn."""
        work.groups.clear()
        work.hold()
        async with trio.open_nursery() as nursery:
            for number in numbers:
                nursery.start_soon(batcher.do, number)
            await trio.testing.wait_all_tasks_blocked()
            work.may_go.set()
        return [len(group) for group in work.groups]

    assert await at_once(1, 2, 3) == [1, 2]
    assert await at_once(1, 2, 3) == [3]
    assert await at_once(1) == [1]
    assert await at_once(1, 2, 3) == [1, 2]


async def _begin_batch_under_load(calls: Calls, work: Work) -> None:
    """Leave a batch of the calls 5 and 6 in progress, after another one with several calls."""
    await calls.begin_together(1, 2, 3)
    work.may_go.set()
    await trio.testing.wait_all_tasks_blocked()
    work.groups.clear()
    work.began.clear()
    work.hold()
    await calls.begin_together(5, 6)
    assert work.groups == [[5, 6]]


async def test_calls_under_load_wait_for_the_batch_in_progress_and_not_for_one_that_hangs(
    autojump_clock: trio.testing.MockClock,
) -> None:
    work = Work()
    async with calling(work, lanes=2, most=10) as calls:
        await _begin_batch_under_load(calls, work)
        hangs = work.may_go
        work.hold()
        began = trio.current_time()
        await trio.sleep(_PATIENCE_S / 2)
        await calls.begin(7, 8)
        assert len(work.groups) == 1, "the second lane is not for a batch that may end soon"
        await trio.sleep(_PATIENCE_S)
        assert work.groups[1:] == [[7, 8]]
        assert work.began[1] - began == pytest.approx(_PATIENCE_S), "the time counts from the begin of the batch"
        work.may_go.set()
        await trio.testing.wait_all_tasks_blocked()
        await calls.begin_together(9, 10)
        assert work.groups[2:] == [[9, 10]], "only the batch that hangs is in progress: there is nothing to wait for"
        hangs.set()
    assert calls.answers == {number: 2 * number for number in (1, 2, 3, *range(5, 11))}


async def test_calls_under_load_share_the_lane_that_becomes_free(autojump_clock: trio.testing.MockClock) -> None:
    work = Work()
    async with calling(work, lanes=2, most=10) as calls:
        await _begin_batch_under_load(calls, work)
        await calls.begin(7, 8, 9)
        ended = trio.current_time()
        work.may_go.set()
    assert work.groups == [[5, 6], [7, 8, 9]]
    assert work.began[1] == ended


@pytest.mark.parametrize("cancelled", [(7,), (8,), (7, 8), (8, 7)])
async def test_calls_cancelled_while_a_batch_hangs_leave_the_second_lane_to_the_others(
    autojump_clock: trio.testing.MockClock, cancelled: Sequence[int]
) -> None:
    work = Work()
    async with calling(work, lanes=2, most=10) as calls:
        await _begin_batch_under_load(calls, work)
        await calls.begin(7, 8, 9)
        for number in cancelled:  # in one scheduler turn; 7 measures the time
            calls.scopes[number].cancel()
        await trio.sleep(1)
        assert work.groups[1:] == [[number for number in (7, 8, 9) if number not in cancelled]]
        work.may_go.set()


async def test_single_call_after_a_shared_batch_waits_for_nothing(autojump_clock: trio.testing.MockClock) -> None:
    work = Work()
    async with calling(work, lanes=2, most=10) as calls:
        await _begin_batch_under_load(calls, work)
        work.may_go.set()
        await trio.sleep(3600)
        work.hold()
        await calls.begin(7, 8)
        assert work.groups[1:] == [[7], [8]], "neither waits, nor the one after it"
        work.may_go.set()


@pytest.mark.parametrize("seed", range(20))
async def test_calls_cancelled_and_batches_hung_at_random_lose_no_lane(
    autojump_clock: trio.testing.MockClock, seed: int
) -> None:
    chance, lanes = random.Random(seed), 2
    lengths_s: Sequence[float] = (0.0, 0.005, 0.005, 0.06, 1.0)
    in_progress = most_in_progress = 0

    async def work(asked: Sequence[int]) -> Sequence[int]:
        nonlocal in_progress, most_in_progress
        in_progress += 1
        most_in_progress = max(most_in_progress, in_progress)
        try:
            await trio.sleep(chance.choice(lengths_s))
        finally:
            in_progress -= 1
        return [2 * one for one in asked]

    batcher = Batcher(work, lanes=lanes, most=5)
    answers: dict[int, int] = {}

    async def call(number: int, begins_s: float, ends_s: float = inf) -> None:
        await trio.sleep_until(begins_s)
        with trio.move_on_at(ends_s):
            answers[number] = await batcher.do(number)

    uncancelled = set()
    with trio.fail_after(1000):
        async with trio.open_nursery() as nursery:
            # many calls have the same moments: they begin, end or are cancelled in one scheduler turn
            for number in range(300):
                begins = chance.randrange(200)
                steps = chance.choice((0, 1, 10, 11, 200, 10_000))
                uncancelled |= {number} if steps == 10_000 else set()
                nursery.start_soon(call, number, 0.005 * begins, 0.005 * (begins + steps))
        assert answers == {number: 2 * number for number in answers}
        assert answers.keys() >= uncancelled
        assert most_in_progress == lanes
        await call(1, 300.0)
        lengths_s, most_in_progress = (1.0,), 0
        async with trio.open_nursery() as nursery:  # after a single call, each takes a lane
            nursery.start_soon(call, 1, 310.0)
            nursery.start_soon(call, 2, 310.5)
        assert most_in_progress == lanes, "a lane was lost"


async def test_call_cancelled_while_others_join_passes_its_lane_on() -> None:
    work = Work()
    async with calling(work, lanes=2, most=10) as calls, trio.open_nursery() as nursery:
        await calls.begin(1)
        calls.scopes = {2: trio.CancelScope(), 3: trio.CancelScope()}
        nursery.start_soon(calls._one, 3)
        calls.scopes[2].cancel()
        await calls._one(2)  # takes the second lane before the other begins
        await trio.testing.wait_all_tasks_blocked()
        groups = list(work.groups)
        work.may_go.set()
    assert groups == [[1], [3]]
    assert calls.answers == {1: 2, 3: 6}


async def test_a_store_that_is_away_is_away_for_the_whole_group() -> None:
    work = Work()
    async with calling(work, lanes=1, most=10) as calls:
        await calls.begin(1, 2, 3)

        def away(asked: Sequence[int]) -> None:
            if len(asked) > 1:
                raise StoreUnavailable("away")

        work.fails = away
        work.may_go.set()
    assert work.groups == [[1], [2, 3]]
    assert calls.answers[1] == 2
    assert all(isinstance(calls.answers[number], StoreUnavailable) for number in (2, 3))


async def test_one_that_breaks_its_group_breaks_itself_only() -> None:
    work = Work()
    async with calling(work, lanes=1, most=10) as calls:
        await calls.begin(1, 2, 3, 4)

        def three_is_bad(asked: Sequence[int]) -> None:
            if 3 in asked:
                raise Breakage("three")

        work.fails = three_is_bad
        work.may_go.set()
    assert calls.answers[2] == 4
    assert calls.answers[4] == 8
    assert isinstance(calls.answers[3], Breakage)


async def test_a_cancelled_call_leaves_the_queue() -> None:
    work = Work()
    async with calling(work, lanes=1, most=10) as calls:
        await calls.begin(1, 2, 3)
        calls.scopes[2].cancel()
        await trio.testing.wait_all_tasks_blocked()
        work.may_go.set()
    assert work.groups == [[1], [3]]
    assert 2 not in calls.answers


async def test_cancelling_the_one_that_does_a_group_takes_nothing_from_the_others() -> None:
    work = Work()
    async with calling(work, lanes=1, most=10) as calls:
        await calls.begin(1, 2, 3, 4)
        work.may_go.set()
        work.hold()
        await trio.testing.wait_all_tasks_blocked()
        assert work.groups == [[1], [2, 3, 4]]
        calls.scopes[2].cancel()
        calls.scopes[3].cancel()
        await calls.begin(5)
        work.may_go.set()
    assert work.groups == [[1], [2, 3, 4], [5]]
    assert (calls.answers[4], calls.answers[5]) == (8, 10)
    assert 3 not in calls.answers


async def test_one_that_is_cancelled_as_its_turn_comes_hands_it_on() -> None:
    work = Work()
    batcher = Batcher(work, lanes=1, most=1)
    async with trio.open_nursery() as nursery:
        calls = Calls(batcher, nursery)
        await calls.begin(1, 2, 3)
        # answered and cancelled in the same moment, in either order
        work.may_go.set()
        calls.scopes[1].cancel()
        calls.scopes[2].cancel()
    assert calls.answers[3] == 6
    assert await batcher.do(7) == 14, "the lane is free again"


@pytest.mark.parametrize("lanes", [1, 2, 3])
async def test_many_at_once(lanes: int) -> None:
    work = Work()
    work.may_go.set()
    async with calling(work, lanes=lanes, most=7) as calls:
        await calls.begin_together(*range(100))
    assert calls.answers == {number: 2 * number for number in range(100)}
    assert sorted(number for group in work.groups for number in group) == list(range(100))
