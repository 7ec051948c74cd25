"""Whose password is hashed next, and who is turned away."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from deepoj.accounts.passwords import FairTurns, TooManyWaiting


class Crowd:
    """What becomes of those that wait, in the order in which it becomes of them."""

    def __init__(self, turns: FairTurns, nursery: trio.Nursery) -> None:
        self.turns, self.nursery = turns, nursery
        self.served: list[str] = []
        self.refused: list[str] = []

    async def come(self, *subjects: str) -> None:
        for subject in subjects:
            self.nursery.start_soon(self._one, subject)
            await wait_all_tasks_blocked()

    async def _one(self, subject: str) -> None:
        try:
            async with self.turns.turn(subject):
                self.served.append(subject)
                await trio.lowlevel.checkpoint()
        except TooManyWaiting:
            self.refused.append(subject)


async def test_subjects_take_turns() -> None:
    turns = FairTurns(1, 100)
    async with trio.open_nursery() as nursery:
        crowd = Crowd(turns, nursery)
        async with turns.turn("first"):
            await crowd.come(*["flood"] * 5, "a", "b", "a")
    assert crowd.served == ["flood", "a", "b", "flood", "a", "flood", "flood", "flood"]


async def test_flood_gives_way_when_too_many_wait() -> None:
    turns = FairTurns(1, 10)
    async with trio.open_nursery() as nursery:
        crowd = Crowd(turns, nursery)
        async with turns.turn("first"):
            await crowd.come(*["flood"] * 12, "a", "b", "a", "flood")
            assert crowd.refused == ["flood"] * 6
    assert sorted(crowd.served) == ["a", "a", "b", *["flood"] * 7]


async def test_those_who_are_equal_do_not_give_way() -> None:
    turns = FairTurns(1, 3)
    async with trio.open_nursery() as nursery:
        crowd = Crowd(turns, nursery)
        async with turns.turn("first"):
            await crowd.come("a", "b", "c", "d")
            assert crowd.refused == ["d"]


async def test_place_of_one_who_left_is_free() -> None:
    turns = FairTurns(1, 1)
    async with trio.open_nursery() as nursery:
        crowd = Crowd(turns, nursery)
        async with turns.turn("first"):
            with trio.move_on_after(0) as scope:
                async with turns.turn("gone"):
                    pytest.fail("it is not free")
            assert scope.cancelled_caught
            await crowd.come("a")
    assert crowd.served == ["a"]
    with trio.fail_after(1):
        async with turns.turn("again"):
            pass


async def test_turn_of_one_who_left_when_called_goes_to_the_next() -> None:
    turns, scope = FairTurns(1, 5), trio.CancelScope()
    async with trio.open_nursery() as nursery:
        crowd = Crowd(turns, nursery)

        async def leaves() -> None:
            with scope:
                await crowd._one("leaves")

        async with turns.turn("first"):
            nursery.start_soon(leaves)
            await wait_all_tasks_blocked()
            await crowd.come("next")
            scope.cancel()
    assert crowd.served == ["next"]
