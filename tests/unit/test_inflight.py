"""What is under way as far as a node knows: never less than what it took, and right again with each count."""

from __future__ import annotations

from contextlib import suppress
from typing import cast

import pytest
import trio
import trio.testing
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from deepoj.adapters.pg.inflight import InflightEstimate
from deepoj.adapters.pg.pool import PgPool
from deepoj.adapters.pg.submissions import PgSubmissions
from deepoj.words.errors import StoreUnavailable
from tests.contract.labs import draft

CAP = 20


class _Silent:
    """A pool whose answers are lost or, with ``waits``, not waited for."""

    def __init__(self, *, waits: bool) -> None:
        self._waits = waits

    async def do(self, *_: object, **__: object) -> object:
        if self._waits:
            await trio.sleep_forever()
        raise StoreUnavailable("the connection was lost")


@pytest.mark.parametrize("is_direct", [False, True])
@pytest.mark.parametrize("waits", [False, True])
async def test_submit_with_a_lost_answer_is_counted(waits: bool, is_direct: bool) -> None:
    jobs = PgSubmissions(cast(PgPool, _Silent(waits=waits)))

    async def submit() -> None:
        with suppress(StoreUnavailable):
            await jobs.submit(
                draft(1, 1), inflight_cap=CAP, dedup_window_s=60.0, payload={}, stream_key="s", direct=is_direct
            )

    async with trio.open_nursery() as nursery:
        nursery.start_soon(submit)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert jobs._estimate.enter() == 1


def test_estimate_adds_submissions_that_were_taken() -> None:
    estimate = InflightEstimate()
    for number in range(3):
        assert estimate.enter() == number
        estimate.leave(was_taken=True)
    assert estimate.enter() == 3
    estimate.leave(was_taken=False)
    assert estimate.inflight == 3


def test_estimate_counts_submissions_under_way() -> None:
    estimate = InflightEstimate()
    assert [estimate.enter() for _ in range(3)] == [0, 1, 2]
    for _ in range(3):
        estimate.leave(was_taken=False)
    assert estimate.inflight == 0


def test_estimate_keeps_submissions_that_entered_during_a_count() -> None:
    estimate = InflightEstimate()
    estimate.enter()
    estimate.leave(was_taken=True)
    estimate.enter()
    begun = estimate.begin_count()
    estimate.enter()
    estimate.leave(was_taken=True)
    estimate.leave(was_taken=True)
    estimate.counted(1, begun)
    assert estimate.inflight == 3


def test_estimate_needs_a_count_only_after_submissions() -> None:
    estimate = InflightEstimate()
    assert estimate.needs_count(CAP)
    estimate.counted(17, estimate.begin_count())
    assert not estimate.needs_count(CAP)
    estimate.enter()
    estimate.leave(was_taken=False)
    assert estimate.needs_count(CAP)
    estimate.counted(18, estimate.begin_count())
    assert estimate.needs_count(CAP), "in the last tenth the door must open by itself"


async def test_wait_for_a_count_parks_until_a_submit() -> None:
    estimate = InflightEstimate()
    await estimate.wait_needs_count(CAP)
    estimate.counted(0, estimate.begin_count())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(estimate.wait_needs_count, CAP)
        await trio.testing.wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 1
        estimate.enter()


class OneNode(RuleBasedStateMachine):
    """A node beside a database that commits, finishes and counts whenever it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.estimate = InflightEstimate()
        #: in the database
        self.unfinished = 0
        #: committed, the node has not heard yet
        self.unheard = 0
        self.entered = 0
        self.counting: tuple[int, int] | None = None

    @rule()
    def submits(self) -> None:
        if self.estimate.enter() < CAP:
            self.entered += 1
        else:
            self.estimate.leave(was_taken=False)

    @precondition(lambda self: self.entered)
    @rule()
    def is_committed(self) -> None:
        self.entered -= 1
        self.unfinished += 1
        self.unheard += 1

    @precondition(lambda self: self.unheard)
    @rule()
    def hears(self) -> None:
        self.unheard -= 1
        self.estimate.leave(was_taken=True)

    @precondition(lambda self: self.entered)
    @rule()
    def fails(self) -> None:
        self.entered -= 1
        self.estimate.leave(was_taken=False)

    @precondition(lambda self: self.unfinished)
    @rule(share=st.floats(0, 1))
    def some_finish(self, share: float) -> None:
        self.unfinished -= round(self.unfinished * share)

    @precondition(lambda self: self.counting is None)
    @rule()
    def begins_to_count(self) -> None:
        begun = self.estimate.begin_count()
        self.counting = (self.unfinished, begun)

    @precondition(lambda self: self.counting is not None)
    @rule()
    def has_counted(self) -> None:
        assert self.counting is not None
        self.estimate.counted(*self.counting)
        self.counting = None

    @invariant()
    def knows_no_less_than_there_is(self) -> None:
        assert self.estimate.inflight >= self.unfinished
        assert self.unfinished <= CAP

    @invariant()
    def is_right_when_all_is_quiet(self) -> None:
        if not self.entered and not self.unheard and self.counting is None:
            self.estimate.counted(self.unfinished, self.estimate.begin_count())
            assert self.estimate.inflight == self.unfinished


TestOneNode = OneNode.TestCase
