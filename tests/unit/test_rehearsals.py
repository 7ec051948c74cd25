"""Rehearsals that are ordered on a node: the process of each, what it says, and its end."""

from __future__ import annotations

import pytest
import trio

from deepoj.api.rehearsals import RehearsalOrder, RehearsalOrders, RehearsalStanding
from deepoj.nursery.rehearsals import RunRehearsals
from tests.contests.feeds import ODD, feed_of
from tests.ports import free_ports

PATIENCE_S = 120.0


def an_order(feed: str) -> RehearsalOrder:
    return RehearsalOrder(by="boss", token="t", feed_name="feed.ndjson", feed=feed.encode(), speed=60, minutes=None)


class WatchedOrders(RehearsalOrders):
    """Tells when the command has said something, and that it has ended."""

    def __init__(self) -> None:
        super().__init__()
        self.has_spoken = trio.Event()
        self._ends, self._ended = trio.open_memory_channel[RehearsalStanding](9)

    def say(self, text: str) -> None:
        super().say(text)
        if self.standing is not None and self.standing.lines:
            self.has_spoken.set()

    def end(self, printed: bytes) -> None:
        super().end(printed)
        assert self.standing is not None
        self._ends.send_nowait(self.standing)

    async def ended(self) -> RehearsalStanding:
        with trio.fail_after(PATIENCE_S):
            return await self._ended.receive()


async def test_a_feed_that_cannot_be_read_fails_with_the_sentence_of_the_command() -> None:
    orders = WatchedOrders()
    async with trio.open_nursery() as nursery:
        await nursery.start(RunRehearsals(orders=orders, url=lambda: "http://127.0.0.1:9"))
        for feed in ("no feed", "[]"):  # the child goes on after a failure
            assert orders.order(an_order(feed))
            assert not orders.order(an_order(feed)), "one at a time"
            standing = await orders.ended()
            assert (standing.report, standing.has_passed, standing.key) == (None, False, "")
            assert "line 1" in standing.lines[-1]
        nursery.cancel_scope.cancel()


@pytest.mark.full
@pytest.mark.parametrize("stops_node", [False, True])
async def test_a_rehearsal_that_is_cancelled_ends_its_process(stops_node: bool) -> None:
    (port,) = free_ports(1)
    orders = WatchedOrders()
    async with trio.open_nursery() as nursery:
        await nursery.start(RunRehearsals(orders=orders, url=lambda: f"http://127.0.0.1:{port}"))
        assert orders.order(an_order("\n".join(feed_of(ODD, "2026-01", 1))))
        with trio.fail_after(PATIENCE_S):
            await orders.has_spoken.wait()  # it finds no server, and tries again
        if stops_node:
            nursery.cancel_scope.cancel()
        else:
            orders.cancel()
            assert (await orders.ended()).is_cancelled
            nursery.cancel_scope.cancel()
    assert orders.standing is not None
    assert orders.standing.is_over
    assert any("stays as the contest" in line for line in orders.standing.lines), "the command was asked to end"


async def test_a_rehearsal_that_is_cancelled_before_it_begins_does_not_begin() -> None:
    orders = RehearsalOrders()
    orders.order(an_order(""))
    orders.cancel()
    scope = trio.CancelScope()
    orders.begin(scope)
    assert scope.cancel_called


def test_the_contest_and_the_newest_lines_are_kept_of_what_the_command_says() -> None:
    orders = RehearsalOrders()
    orders.order(an_order(""))
    lines = ["deepoj: contest rehearsal-0a1b2c: 4 problems, 5 teams are made", *(f"deepoj: {n}" for n in range(30))]
    orders.say("\n".join(lines))
    assert orders.standing is not None
    assert orders.standing.key == "rehearsal-0a1b2c"
    assert orders.standing.lines[-1] == "29"
    assert len(orders.standing.lines) < 20
    orders.end(b'{"key": "rehearsal-0a1b2c", "lost": [], "wrong_verdicts": [], "differences": []}\n')
    assert (orders.standing.is_over, orders.standing.has_passed) == (True, True)
    orders.order(an_order(""))
    orders.end(b'{"key": "rehearsal-0a1b2c", "lost": ["x"], "wrong_verdicts": [], "differences": []}\n')
    assert not orders.standing.has_passed
    orders.order(an_order(""))
    orders.end(b'{"key": "rehearsal-0a1b2c", "lost": [')
    assert (orders.standing.is_over, orders.standing.report, orders.standing.has_passed) == (True, None, False)
    assert "report" in orders.standing.lines[-1]
