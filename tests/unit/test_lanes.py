"""Interactive submissions before rejudges, without starving either: the dispatcher's rounds over fakes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from deepoj.observe import Metrics
from deepoj.pipeline.outbox import WINDOW_MIN, Lanes, OutboxSettings, Round, dispatch
from deepoj.pipeline.submit import submit
from deepoj.words import Draft, Entry, OutboxEvent, Priority, StoreUnavailable
from tests.fakes.node import STREAM_KEY, FakeNode, submitted, until_done
from tests.fakes.store import MemoryStore
from tests.fakes.stream import MemoryStream
from tests.unit.test_tree import running

SETTINGS = OutboxSettings(100, 0.5, 10.0)
FLOOD = 12


class Counting(MemoryStream):
    """A stream that counts what comes, by lane, and is asked for nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[int] = []

    async def publish(self, events: Sequence[OutboxEvent]) -> list[str]:
        self.sent += [event.priority for event in events]
        return await super().publish(events)


@pytest.fixture
def fake(metrics: Metrics) -> FakeNode:
    return FakeNode(store=MemoryStore(), stream=Counting(), metrics=metrics)


async def rejudged(fake: FakeNode, count: int) -> list[str]:
    """So many rejudges that wait for the dispatcher."""
    jobs = [await submitted(fake.store, fake.metrics, f"// rejudge {number}") for number in range(count)]
    for job_id in jobs:
        fake.store.rows[job_id].judging = 2
    for event in fake.store.outbox.values():
        event.priority = Priority.BACKGROUND
    return jobs


async def one_round(fake: FakeNode, lanes: Lanes) -> Round:
    return await dispatch(fake.store, fake.stream, SETTINGS, fake.metrics, lanes)


async def read_all(fake: FakeNode, count: int) -> list[str]:
    return [entry.job_id for entry in await fake.stream.read(count, 0) if isinstance(entry, Entry)]


async def test_a_submission_goes_before_rejudges_that_wait(autojump_clock: object, fake: FakeNode) -> None:
    waiting = await rejudged(fake, 300)
    lanes = Lanes()
    for _ in range(5):
        lanes = (await one_round(fake, lanes)).lanes
    job_id = await submitted(fake.store, fake.metrics, "// a contestant's")
    done = await one_round(fake, lanes)
    assert done.interactive == 1
    before = await read_all(fake, 500)
    assert before == [*waiting[:WINDOW_MIN], job_id]


async def test_without_a_reader_the_background_stays_in_the_database(autojump_clock: object, fake: FakeNode) -> None:
    await rejudged(fake, 50)
    lanes = Lanes()
    sent = 0
    for _ in range(20):
        done = await one_round(fake, lanes)
        lanes, sent = done.lanes, sent + done.background
        assert done.waiting.background
    assert sent == WINDOW_MIN


async def test_a_flood_leaves_one_in_four_to_the_background(autojump_clock: object, fake: FakeNode) -> None:
    """Nothing is read at all: whatever the background gets it gets by its share."""
    await rejudged(fake, 60)
    lanes = Lanes()
    got = []
    for number in range(10):
        for one in range(FLOOD):
            await submitted(fake.store, fake.metrics, f"// {number} {one}")
        done = await one_round(fake, lanes)
        assert done.interactive == FLOOD
        lanes = done.lanes
        got.append(done.background)
    assert got == [FLOOD // 3] * 10


async def test_single_submissions_add_up_to_a_share(autojump_clock: object, fake: FakeNode) -> None:
    await rejudged(fake, 60)
    lanes = (await one_round(fake, Lanes())).lanes  # the window is full now
    got = []
    for number in range(9):
        await submitted(fake.store, fake.metrics, f"// {number}")
        done = await one_round(fake, lanes)
        lanes = done.lanes
        got.append(done.background)
    assert got == [0, 0, 1] * 3


async def test_what_went_while_nothing_waited_is_owed_to_nobody(autojump_clock: object, fake: FakeNode) -> None:
    lanes = Lanes()
    for number in range(90):
        await submitted(fake.store, fake.metrics, f"// {number}")
    lanes = (await one_round(fake, lanes)).lanes
    assert lanes.credit == 0
    await rejudged(fake, 60)
    assert (await one_round(fake, lanes)).background == 0  # ninety are unread, and none came since


async def test_the_window_follows_the_readers(autojump_clock: object, fake: FakeNode) -> None:
    await rejudged(fake, 500)
    lanes, widths = Lanes(), []
    for _ in range(7):
        done = await one_round(fake, lanes)
        lanes = done.lanes
        widths.append(lanes.window)
        await read_all(fake, 500)  # readers that empty it between two rounds
    assert widths == [4, 8, 16, 32, 64, 100, 100]
    for _ in range(8):  # and then are gone
        lanes = (await one_round(fake, lanes)).lanes
    assert lanes.window == WINDOW_MIN


@given(st.lists(st.tuples(st.integers(0, 200), st.booleans()), max_size=30), st.integers(1, 150))
def test_the_window_stays_in_its_bounds(looks: list[tuple[int, bool]], largest: int) -> None:
    lanes = Lanes()
    for unread, filled in looks:
        lanes = Lanes(lanes.credit, lanes.window, filled).seen(min(unread, lanes.window), largest)
        assert WINDOW_MIN <= lanes.window <= max(largest, WINDOW_MIN)


async def test_a_node_judges_a_submission_next_however_many_rejudges_wait(
    autojump_clock: object, fake: FakeNode
) -> None:
    """The whole node: two slots, two seconds a job, so the submission is in hand after the few that were under way."""
    rejudges = set(await rejudged(fake, 400))
    async with running(fake):
        await trio.sleep(30)
        before = len(fake.judged)
        assert before > 20  # the rejudges kept both slots busy
        job_id = await submitted(fake.store, fake.metrics, "// a contestant's")
        await until_done(fake.store, job_id)
        overtaking = [one for one, _ in fake.judged[before:] if one in rejudges]
        # in hand, read ahead and in the window
        assert len(overtaking) <= 2 * fake.slots + 2 * WINDOW_MIN


async def test_rejudges_progress_under_a_steady_flood(autojump_clock: object, fake: FakeNode) -> None:
    """Twice as many submissions as the node can judge, for two and a half minutes."""
    fake.judge_s = 1.0
    rejudges = set(await rejudged(fake, 200))

    draft = Draft(user_id=1001, problem_id=2001, language="cpp17", code="", trace_id="trace-1")

    async def flood() -> None:
        for number in range(650):
            one = replace(draft, code=f"// {number}")
            await submit(
                fake.store, one, inflight_cap=10**6, dedup_window_s=600, stream_key=STREAM_KEY, metrics=fake.metrics
            )
            await trio.sleep(0.25)

    async with running(fake), trio.open_nursery() as nursery:
        nursery.start_soon(flood)
        await trio.sleep(150)
        done = [one for one, _ in fake.judged]
        nursery.cancel_scope.cancel()
    assert len(done) > 250
    share = sum(one in rejudges for one in done[50:]) / len(done[50:])
    assert 0.2 <= share <= 0.35, share


async def test_a_round_that_breaks_between_the_lanes_loses_nothing(autojump_clock: object, fake: FakeNode) -> None:
    rejudge, *_ = await rejudged(fake, 1)
    job_id = await submitted(fake.store, fake.metrics, "// a contestant's")
    fake.store.break_next("outbox_waiting", applied=False)
    with pytest.raises(StoreUnavailable):
        await one_round(fake, Lanes())
    assert await read_all(fake, 10) == [job_id]
    done = await one_round(fake, Lanes())
    assert (done.interactive, done.background) == (0, 1)
    assert await read_all(fake, 10) == [rejudge]
