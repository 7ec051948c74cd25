"""Counting on one node: bounded, never off, and quick while Redis is away."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import trio

from deepoj.api.counters import FallbackCounters, LocalCounters
from deepoj.words.errors import StreamUnavailable
from deepoj.words.limits import Overdrawn, Quota


def of(subject: str, limit: int = 1, window_ms: int = 60_000) -> Quota:
    return Quota("submit:ip", subject, limit, window_ms)


class Shared:
    """Counters that let everybody in, or are away in one way or another."""

    def __init__(self) -> None:
        self.asked = 0
        self.way: Callable[[], str] = lambda: "there"

    async def take(self, quotas: Sequence[Quota]) -> Overdrawn | None:
        await self._answer()
        return None

    async def give_back(self, quotas: Sequence[Quota]) -> None:
        await self._answer()

    async def waits(self, quotas: Sequence[Quota]) -> Sequence[int]:
        await self._answer()
        return [0 for _ in quotas]

    async def _answer(self) -> None:
        self.asked += 1
        await trio.lowlevel.checkpoint()
        match self.way():
            case "refuses":
                raise StreamUnavailable("on purpose")
            case "silent":
                await trio.sleep_forever()


async def test_a_window_is_as_long_as_it_says(autojump_clock: object) -> None:
    counters = LocalCounters()
    assert await counters.take([of("a")]) is None
    await trio.sleep(40)
    refused = await counters.take([of("a")])
    assert refused is not None
    assert refused.wait_ms == pytest.approx(20_000, abs=1)
    await trio.sleep(refused.wait_ms / 1000)
    assert await counters.take([of("a")]) is None


async def test_memory_is_bounded_and_crowding_out_opens_no_window(autojump_clock: object) -> None:
    counters = LocalCounters(max_subjects=10)
    assert await counters.take([of("first")]) is None
    taken = [await counters.take([of(f"bot {number}")]) is None for number in range(100)]
    assert taken == [True] * 10 + [False] * 90  # nine of their own, one for all others together
    assert await counters.take([of("first")]) is not None
    assert sum(len(there) for there in counters._open.values()) == 11
    await trio.sleep(60)
    assert await counters.take([of("bot 99")]) is None
    assert sum(len(there) for there in counters._open.values()) == 1


async def test_another_kind_has_room_of_its_own(autojump_clock: object) -> None:
    counters = LocalCounters(max_subjects=1)
    for number in range(3):
        await counters.take([of(f"bot {number}")])
    assert await counters.take([Quota("auth:ip", "you", 1, 60_000)]) is None


@pytest.mark.parametrize(("way", "first_s"), [("refuses", 0.0), ("silent", 0.5)])
async def test_away_is_not_off_and_asks_seldom(autojump_clock: object, way: str, first_s: float) -> None:
    shared = Shared()
    shared.way = lambda: way
    counters = FallbackCounters(shared, patience_s=0.5, rest_s=3.0)
    began = trio.current_time()
    assert [await counters.take([of("a", limit=2)]) is None for _ in range(100)] == [True] * 2 + [False] * 98
    assert shared.asked == 1
    assert trio.current_time() - began == pytest.approx(first_s)
    await trio.sleep(3)
    for _ in range(10):
        await counters.take([of("a", limit=2)])
    assert shared.asked == 2


async def test_of_many_at_once_one_finds_out(autojump_clock: object) -> None:
    shared = Shared()
    shared.way = lambda: "silent"
    counters = FallbackCounters(shared, patience_s=0.5, rest_s=3.0)
    await counters.take([of("a")])
    await trio.sleep(3)
    async with trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(counters.take, [of("a")])
    assert shared.asked == 2


async def test_back_again_they_are_asked_again(autojump_clock: object) -> None:
    shared = Shared()
    shared.way = lambda: "refuses"
    counters = FallbackCounters(shared, patience_s=0.5, rest_s=3.0)
    await counters.take([of("a")])
    assert await counters.take([of("a")]) is not None
    shared.way = lambda: "there"
    await trio.sleep(3)
    assert [await counters.take([of("a")]) for _ in range(5)] == [None] * 5
    assert shared.asked == 6


async def test_without_shared_ones_the_node_counts_for_itself(autojump_clock: object) -> None:
    counters = FallbackCounters(None)
    assert await counters.take([of("a")]) is None
    assert await counters.take([of("a")]) is not None
