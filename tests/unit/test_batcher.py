"""Calls of one moment run as one batch, each gets its own answer, and a single call waits for no others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import trio
import trio.testing

from deepoj.adapters.batcher import Batcher
from deepoj.words.errors import Breakage, StoreUnavailable


class Work:
    """Doubles numbers when the test releases it; ``fails`` may raise for a batch."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.may_go = trio.Event()
        self.fails: Callable[[Sequence[int]], None] = lambda _group: None

    async def __call__(self, asked: Sequence[int]) -> Sequence[int]:
        self.groups.append(list(asked))
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

    async def _one(self, number: int) -> None:
        with self.scopes[number]:
            try:
                self.answers[number] = await self._batcher.do(number)
            except Breakage as breakage:
                self.answers[number] = breakage


async def test_calls_during_a_batch_form_the_next_batch() -> None:
    work = Work()
    async with trio.open_nursery() as nursery:
        calls = Calls(Batcher(work, lanes=1, most=3), nursery)
        await calls.begin(1, 2, 3, 4, 5)
        assert work.groups == [[1]], "the first begins at once, alone"
        work.may_go.set()
    assert work.groups == [[1], [2, 3, 4], [5]]
    assert calls.answers == {number: 2 * number for number in range(1, 6)}


async def test_lanes_go_beside_each_other() -> None:
    work = Work()
    async with trio.open_nursery() as nursery:
        calls = Calls(Batcher(work, lanes=2, most=10), nursery)
        await calls.begin(1, 2, 3, 4)
        assert work.groups == [[1], [2]]
        work.may_go.set()
    assert sorted(calls.answers) == [1, 2, 3, 4]


@pytest.mark.parametrize(("most", "groups"), [(10, [1, 5]), (3, [1, 2, 3])])
async def test_calls_of_one_turn_share_a_batch_while_another_is_in_progress(most: int, groups: list[int]) -> None:
    work = Work()
    async with trio.open_nursery() as nursery:
        batcher = Batcher(work, lanes=3, most=most)
        calls = Calls(batcher, nursery)
        await calls.begin(1)
        for number in range(2, 7):
            calls.scopes[number] = trio.CancelScope()
            nursery.start_soon(calls._one, number)
        await trio.testing.wait_all_tasks_blocked()
        assert sorted(map(len, work.groups)) == groups, "more than a batch takes go into the next lane"
        work.may_go.set()
    assert calls.answers == {number: 2 * number for number in range(1, 7)}


async def test_first_call_after_a_shared_batch_lets_others_join_and_after_a_lone_one_does_not() -> None:
    work = Work()
    batcher = Batcher(work, lanes=2, most=10)

    async def at_once(*numbers: int) -> list[int]:
        """Return the sizes of the batches of calls of one turn."""
        work.groups.clear()
        work.may_go = trio.Event()
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


async def test_call_cancelled_while_others_join_passes_its_lane_on() -> None:
    work = Work()
    async with trio.open_nursery() as nursery:
        calls = Calls(Batcher(work, lanes=2, most=10), nursery)
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
    async with trio.open_nursery() as nursery:
        calls = Calls(Batcher(work, lanes=1, most=10), nursery)
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
    async with trio.open_nursery() as nursery:
        calls = Calls(Batcher(work, lanes=1, most=10), nursery)
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
    async with trio.open_nursery() as nursery:
        calls = Calls(Batcher(work, lanes=1, most=10), nursery)
        await calls.begin(1, 2, 3)
        calls.scopes[2].cancel()
        await trio.testing.wait_all_tasks_blocked()
        work.may_go.set()
    assert work.groups == [[1], [3]]
    assert 2 not in calls.answers


async def test_cancelling_the_one_that_does_a_group_takes_nothing_from_the_others() -> None:
    work = Work()
    async with trio.open_nursery() as nursery:
        calls = Calls(Batcher(work, lanes=1, most=10), nursery)
        await calls.begin(1, 2, 3, 4)
        work.may_go.set()
        work.may_go = trio.Event()
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
    async with trio.open_nursery() as nursery:
        calls = Calls(Batcher(work, lanes=lanes, most=7), nursery)
        for number in range(100):
            calls.scopes[number] = trio.CancelScope()
            nursery.start_soon(calls._one, number)
    assert calls.answers == {number: 2 * number for number in range(100)}
    assert sorted(number for group in work.groups for number in group) == list(range(100))
