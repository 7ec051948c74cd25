"""The dispatcher's rounds: lanes in order, users in turn, and a window of unread entries that follows the readers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from deepoj.observe import Metrics
from deepoj.pipeline.outbox import (
    AHEAD_S,
    LOOKED_AT,
    RATE_OVER_S,
    WINDOW_MIN,
    DispatchRound,
    Lanes,
    OutboxSettings,
    dispatch,
)
from deepoj.pipeline.submit import submit
from deepoj.words.errors import StoreUnavailable
from deepoj.words.outbox import LANES, OutboxEvent, OutboxWaiting, Priority, PublishedEvent
from deepoj.words.stream import RUN_PRIORITY, Entry, Unread
from deepoj.words.submissions import Draft, Receipt
from tests.fakes.node import STREAM_KEY, FakeNode, submitted, until_done
from tests.fakes.store import MemoryStore
from tests.fakes.stream import MemoryStream
from tests.unit.makers import a_problem
from tests.unit.test_tree import running

SETTINGS = OutboxSettings(100, 0.5, 10.0)
#: between two rounds: readers that take a few entries in it have the smallest window
ROUND_S = 1.0


class Counting(MemoryStream):
    """Remembers in which lane each event was published."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[int] = []

    async def publish(self, events: Sequence[OutboxEvent]) -> list[str]:
        self.sent += [event.priority for event in events]
        return await super().publish(events)


@pytest.fixture
def fake(metrics: Metrics) -> FakeNode:
    return FakeNode(store=MemoryStore(), stream=Counting(), metrics=metrics)


async def sent_by(
    fake: FakeNode, user_id: int, count: int, lane: Priority = Priority.INTERACTIVE, *, mark: str = ""
) -> list[str]:
    """So many submissions of a user that wait for the dispatcher in a lane; their job ids."""
    problem = a_problem()
    if await fake.store.problem(problem.id) is None:
        await fake.store.insert_problem(problem)
    jobs = []
    for number in range(count):
        one = Draft(
            user_id=user_id, problem_id=problem.id, language="cpp17", code=f"// {lane} {mark} {number}", trace_id="t"
        )
        receipt = await submit(
            fake.store, one, inflight_cap=10**6, dedup_window_s=600, stream_key=STREAM_KEY, metrics=fake.metrics
        )
        assert isinstance(receipt, Receipt)
        jobs.append(receipt.job_id)
        if lane is not Priority.INTERACTIVE:
            (event,) = [event for event in fake.store.outbox.values() if event.job_id == receipt.job_id]
            event.priority = lane
            event.turn = 0
            event.turn = fake.store._turn(user_id, lane)
            if lane is Priority.REJUDGE:
                fake.store.rows[receipt.job_id].judging = 2
    return jobs


async def one_round(fake: FakeNode, lanes: Lanes) -> DispatchRound:
    return await dispatch(fake.store, fake.stream, SETTINGS, fake.metrics, lanes, now_s=lanes.looked_at_s + ROUND_S)


async def read_all(fake: FakeNode, count: int) -> list[str]:
    return [entry.job_id for entry in await fake.stream.read(count, 0) if isinstance(entry, Entry)]


async def served(fake: FakeNode, lanes: Lanes, count: int, *, at_once: int = 1) -> tuple[list[str], Lanes]:
    """The next ``count`` jobs that a reader gets which reads ``at_once`` between two rounds."""
    order: list[str] = []
    while len(order) < count:
        lanes = (await one_round(fake, lanes)).lanes
        portion = await read_all(fake, at_once)
        assert portion, "the stream ran dry"
        order += portion
    return order, lanes


async def test_a_lone_submission_goes_before_any_question_to_the_stream(fake: FakeNode) -> None:
    """An idle system pays no round trip to Redis between the notification and the entry."""
    lanes = (await one_round(fake, Lanes())).lanes
    (job_id,) = await sent_by(fake, 1, 1)

    async def undelivered(limit: int) -> Unread:
        assert await read_all(fake, 9) == [job_id], "asked before it was sent"
        return Unread({}, is_all=True)

    fake.stream.undelivered = undelivered  # type: ignore[method-assign]
    assert (await one_round(fake, lanes)).moved == 1


@pytest.mark.parametrize("rate", [0.0, 100.0], ids=["small window", "large window before"])
async def test_events_of_contests_go_beyond_what_is_unread(fake: FakeNode, rate: float) -> None:
    """Nodes take them from between entries that wait for slots which practice may have."""
    await sent_by(fake, 1, 50)
    lanes = Lanes(rate=rate)
    lanes = (await dispatch(fake.store, fake.stream, SETTINGS, fake.metrics, lanes, now_s=0.0)).lanes
    for _ in range(20):  # nothing is read
        lanes = (await one_round(fake, lanes)).lanes
    practice = (await fake.stream.undelivered(99)).jobs
    assert practice == max(WINDOW_MIN, AHEAD_S * rate)
    await sent_by(fake, 2, 50, Priority.CONTEST)
    for _ in range(5):
        lanes = (await one_round(fake, lanes)).lanes
    assert isinstance(fake.stream, Counting)
    assert fake.stream.sent == [0] * practice + [Priority.CONTEST] * WINDOW_MIN


async def test_announced_runs_take_no_place(fake: FakeNode) -> None:
    for number in range(9 * WINDOW_MIN):
        await fake.stream.notify_run(f"run-{number}", 1)
    (rejudge,) = await sent_by(fake, 1, 1, Priority.REJUDGE)
    lanes = (await one_round(fake, Lanes())).lanes
    people = await sent_by(fake, 2, WINDOW_MIN)
    await one_round(fake, lanes)
    assert (await read_all(fake, 99))[9 * WINDOW_MIN :] == [rejudge, *people[: WINDOW_MIN - 1]]


def test_a_look_counts_jobs_and_no_announced_runs() -> None:
    nothing = OutboxWaiting({}, is_waiting=False)
    state = Lanes(unread=5).seen(Unread({RUN_PRIORITY: 9, Priority.INTERACTIVE: 3}, is_all=True), nothing, 1.0)
    assert (state.unread, state.room, state.rate, state.is_used_up) == (3, WINDOW_MIN - 3, 2 / RATE_OVER_S, False)
    state = Lanes().seen(Unread({RUN_PRIORITY: 9}, is_all=True), nothing, 1.0)
    assert (state.unread, state.room, state.rate, state.is_used_up) == (0, WINDOW_MIN, 0.0, True)
    state = Lanes(unread=5).seen(Unread({RUN_PRIORITY: 9}, is_all=False), nothing, 1.0)
    assert (state.unread, state.room, state.rate, state.is_used_up) == (0, 0, 0.0, False), "jobs may be behind them"


def test_a_rush_that_is_over_leaves_no_large_room_to_requests() -> None:
    assert Lanes(rate=500.0).seen(Unread({}, is_all=True), OutboxWaiting({}, is_waiting=False), 0.0).room == WINDOW_MIN


def test_half_of_the_unread_jobs_is_taken_in_half_the_time() -> None:
    assert Lanes(unread=20, rate=100.0).half_used_s == 0.1
    assert Lanes(unread=0, rate=100.0).half_used_s == Lanes(unread=5).half_used_s == math.inf


async def test_what_requests_published_and_readers_took_counts_as_read(fake: FakeNode) -> None:
    await sent_by(fake, 1, 3)
    events = await fake.store.take_outbox(3, 60.0, 60.0)
    published = [PublishedEvent(event, "1-1") for event in events]
    done = await dispatch(fake.store, fake.stream, SETTINGS, fake.metrics, Lanes(), now_s=1.0, published=published)
    assert done.lanes.rate == 3 / RATE_OVER_S


async def test_nothing_goes_behind_more_than_is_counted(fake: FakeNode) -> None:
    for number in range(LOOKED_AT):
        await fake.stream.notify_run(f"run-{number}", 1)
    for lane in LANES:
        await sent_by(fake, 1, 3, lane)
    assert (await one_round(fake, replace(Lanes(), is_calm=False))).moved == 0
    assert len(await read_all(fake, 1)) == 1
    assert (await one_round(fake, replace(Lanes(), is_calm=False))).moved > 0


async def test_a_second_user_waits_for_one_of_the_first_ones_jobs_and_the_window(fake: FakeNode) -> None:
    flood = await sent_by(fake, 1, 500)
    _, lanes = await served(fake, Lanes(), 10)
    (job_id,) = await sent_by(fake, 2, 1)
    order, _ = await served(fake, lanes, 2 * WINDOW_MIN)
    assert order.index(job_id) <= WINDOW_MIN + 1
    assert set(order) - {job_id} < set(flood)


async def test_users_are_served_in_turn(fake: FakeNode) -> None:
    of = {user: await sent_by(fake, user, count) for user, count in ((1, 12), (2, 12), (3, 3))}
    order, _ = await served(fake, Lanes(), 27)
    who = [next(user for user, jobs in of.items() if job_id in jobs) for job_id in order]
    for start in range(0, 9, 3):
        assert {who.count(user) for user in (1, 2, 3)} and set(who[start + 1 : start + 4]) <= {1, 2, 3}
    assert max(abs(who[:n].count(1) - who[:n].count(2)) for n in range(1, 25)) <= 2
    assert who.index(3) <= 4
    assert [job_id for job_id in order if job_id in of[1]] == of[1], "a user's own keep their order"


@pytest.mark.parametrize("at_once", [1, 3, 20])
async def test_lanes_go_in_their_order_and_leave_their_share(fake: FakeNode, at_once: int) -> None:
    owner: dict[str, Priority] = {}
    for user, lane in enumerate(reversed(LANES)):
        owner |= dict.fromkeys(await sent_by(fake, user, 500, lane), lane)
    order, _ = await served(fake, Lanes(), 512, at_once=at_once)
    lanes = [owner[job_id] for job_id in order]
    share = SETTINGS.lower_share
    expected = {lane: (1 - 1 / share) / share**place for place, lane in enumerate(LANES[:-1])}
    expected[Priority.REJUDGE] = 1 / share ** (len(LANES) - 1)
    for lane, part in expected.items():
        assert lanes.count(lane) / len(lanes) == pytest.approx(part, abs=4 / len(lanes)), lane


async def test_a_batch_alone_has_one_unread_job(fake: FakeNode) -> None:
    """Also the first jobs of one, which come while nothing waits."""
    batch = await sent_by(fake, 1, 50, Priority.BATCH)
    lanes = Lanes()
    for _ in range(5):  # nothing is read
        lanes = (await one_round(fake, lanes)).lanes
    assert (await fake.stream.undelivered(99)).of_lane == {Priority.BATCH: 1}
    people = await sent_by(fake, 2, 1)
    for _ in range(5):
        lanes = (await one_round(fake, lanes)).lanes
    assert await read_all(fake, 99) == [batch[0], *people], "no more of the batch beside the submission either"


async def test_without_a_reader_all_but_the_window_stays_in_the_database(fake: FakeNode) -> None:
    await sent_by(fake, 1, 50)
    lanes, moved = Lanes(), 0
    for _ in range(20):
        done = await one_round(fake, lanes)
        lanes, moved = done.lanes, moved + done.moved
        assert done.is_waiting
    assert moved == WINDOW_MIN


async def test_an_event_that_is_not_due_takes_no_place(fake: FakeNode) -> None:
    (late,) = await sent_by(fake, 1, 1, Priority.CONTEST)
    (event,) = fake.store.outbox.values()
    event.next_attempt_at = fake.store.clock() + 30
    jobs = await sent_by(fake, 2, 8)
    order, _ = await served(fake, Lanes(), 8)
    assert order == jobs
    assert late not in order


@pytest.mark.parametrize("lane", [Priority.INTERACTIVE, Priority.BATCH])
async def test_the_window_holds_what_readers_take_in_a_fifth_of_a_second(fake: FakeNode, lane: Priority) -> None:
    await sent_by(fake, 1, 3000, lane)
    smallest = WINDOW_MIN if lane is Priority.INTERACTIVE else 1
    lanes, round_s = Lanes(), 0.02

    async def rounds(count: int, reads: int) -> int:
        nonlocal lanes
        for _ in range(count):
            done = await dispatch(
                fake.store, fake.stream, SETTINGS, fake.metrics, lanes, now_s=lanes.looked_at_s + round_s
            )
            lanes = done.lanes
            await read_all(fake, reads)
        return lanes.window([lane], SETTINGS.batch_size)

    assert await rounds(20, 0) == smallest
    assert await rounds(300, 3) == pytest.approx(AHEAD_S * 3 / round_s, abs=2)
    assert await rounds(20, 5000) == SETTINGS.batch_size
    assert await rounds(500, 0) == smallest


UNREAD = st.dictionaries(st.sampled_from([*map(int, LANES), RUN_PRIORITY]), st.integers(1, 130))
DUE = st.dictionaries(st.sampled_from(LANES), st.integers(1, 130))


@given(st.lists(st.tuples(UNREAD, DUE, st.floats(0.001, 5.0)), max_size=30), st.integers(1, 150))
def test_share_keeps_to_the_window_and_leaves_no_empty_stream_empty(
    looks: list[tuple[dict[int, int], dict[Priority, int], float]], batch: int
) -> None:
    lanes, settings = Lanes(), replace(SETTINGS, batch_size=batch)
    for of_lane, due, pause_s in looks:
        unread = Unread(of_lane, is_all=True)
        lanes = lanes.seen(unread, OutboxWaiting(due, bool(due)), lanes.looked_at_s + pause_s)
        going, lanes = lanes.share(due, unread, settings)
        window, others = lanes.window(due, batch), unread.jobs - unread.contests
        contests_then = unread.contests + going[Priority.CONTEST]
        assert going.total() <= batch
        assert all(going[lane] <= due[lane] for lane in going)
        assert contests_then <= max(window, WINDOW_MIN, unread.contests)
        assert unread.jobs + going.total() - contests_then <= max(window, others)
        if due and not unread.jobs:
            assert going
        if Priority.CONTEST in due and unread.contests < WINDOW_MIN:
            assert going[Priority.CONTEST] > 0 or going.total() == batch
        assert 0 <= lanes.room <= WINDOW_MIN
        lanes = lanes.moved(going.total())


ARRIVALS = st.lists(
    st.tuples(st.integers(1, 6), st.sampled_from(LANES), st.integers(1, 12), st.integers(0, 3)),
    min_size=1,
    max_size=25,
)


@given(ARRIVALS)
def test_flood_delays_other_users_by_a_bounded_number_of_places(arrivals: list[tuple[int, Priority, int, int]]) -> None:
    """With any user flooding any lane, the first waiting event of another user goes within a bound of places.

    In its lane at most two events of each other user go before it (the rest of the round being served, and the next
    one). A lane has three places of four, one below it three of four of what that leaves, and so on."""

    async def play() -> None:
        fake = FakeNode(store=MemoryStore(), stream=MemoryStream(), metrics=Metrics())
        users = {user for user, *_ in arrivals}
        lanes, order = Lanes(), list[str]()
        #: job → its lane and how many had gone when it came to the head of its user's own in that lane
        head: dict[str, tuple[Priority, int]] = {}
        queues: dict[tuple[int, Priority], list[str]] = {}

        def count() -> None:
            for (_, lane), queue in queues.items():
                while queue and queue[0] in gone:
                    job_id = queue.pop(0)
                    of_lane, since = head.pop(job_id, (lane, len(order)))
                    cycle = SETTINGS.lower_share ** (LANES.index(of_lane) + 1)
                    bound = WINDOW_MIN + cycle + 2 * (len(users) + 1) * cycle / (SETTINGS.lower_share - 1)
                    assert order.index(job_id) - since <= bound, (of_lane, order.index(job_id), since, bound)
                if queue:
                    head.setdefault(queue[0], (lane, len(order)))

        gone: set[str] = set()
        for step, (user, lane, number, reads) in enumerate(arrivals):
            queues.setdefault((user, lane), []).extend(await sent_by(fake, user, number, lane, mark=str(step)))
            count()
            for _ in range(reads):
                lanes = (await one_round(fake, lanes)).lanes
                order += (read := await read_all(fake, 1))
                gone |= set(read)
                count()
        total = sum(number for _, _, number, _ in arrivals)
        while len(order) < total:
            lanes = (await one_round(fake, lanes)).lanes
            read = await read_all(fake, 1)
            assert read, "something waits and the stream is dry"
            order += read
            gone |= set(read)
            count()
        assert len(set(order)) == total

    trio.run(play)


async def test_a_node_judges_a_second_user_next_however_many_wait(autojump_clock: object, fake: FakeNode) -> None:
    """The whole node: two slots, two seconds a job, so the submission is in hand after the few that were under way."""
    flood = set(await sent_by(fake, 1, 400))
    async with running(fake):
        await trio.sleep(30)
        before = len(fake.judged)
        assert before > 20  # the flood kept both slots busy
        (job_id,) = await sent_by(fake, 2, 1)
        await until_done(fake.store, job_id)
        overtaking = [one for one, _ in fake.judged[before:] if one in flood]
        # in hand, read ahead and in the window
        assert len(overtaking) <= 2 * fake.slots + WINDOW_MIN + 1


@pytest.mark.parametrize("lane", [Priority.INTERACTIVE, Priority.BATCH])
@pytest.mark.parametrize("slots", [2, 20, pytest.param(200, marks=pytest.mark.full)])
async def test_slots_stay_busy_under_a_backlog(
    autojump_clock: object, fake: FakeNode, slots: int, lane: Priority
) -> None:
    """A window that ran dry between rounds would leave slots idle; a job takes half a second."""
    fake.slots, fake.judge_s = slots, 0.5
    jobs = [job for user in range(20) for job in await sent_by(fake, user, slots, lane)]
    async with running(fake):
        started = trio.current_time()
        took_s = await until_done(fake.store, *jobs) - started
    best_s = len(jobs) / slots * fake.judge_s
    assert took_s <= best_s * 1.1 + 0.5, (took_s, best_s)


async def test_a_submission_beside_a_batch_waits_for_the_next_slot_or_two(
    autojump_clock: object, fake: FakeNode
) -> None:
    """Each arrives at another phase of the running jobs."""
    fake.slots, fake.judge_s = 2, 2.0
    await sent_by(fake, 1, 200, Priority.BATCH)
    waits_s: list[float] = []
    async with running(fake):
        for number in range(12):
            await trio.sleep(4.3)
            sent_at = trio.current_time()
            await until_done(fake.store, *await sent_by(fake, 2 + number, 1))
            waits_s.append(trio.current_time() - sent_at - fake.judge_s)
    assert max(waits_s) <= 2 * fake.judge_s, waits_s
    assert sum(waits_s) / len(waits_s) <= fake.judge_s, waits_s


async def test_rejudges_progress_under_a_steady_flood(autojump_clock: object, fake: FakeNode) -> None:
    """Twice as many submissions as the node can judge, for two and a half minutes."""
    fake.judge_s = 1.0
    rejudges = set(await sent_by(fake, 1, 200, Priority.REJUDGE))

    async def flood() -> None:
        for number in range(650):
            await sent_by(fake, 2 + number % 7, 1, mark=str(number))
            await trio.sleep(0.25)

    async with running(fake), trio.open_nursery() as nursery:
        nursery.start_soon(flood)
        await trio.sleep(150)
        done = [one for one, _ in fake.judged]
        nursery.cancel_scope.cancel()
    assert len(done) > 250
    share = sum(one in rejudges for one in done[50:]) / len(done[50:])
    assert 0.2 <= share <= 0.35, share


async def test_a_round_that_breaks_after_the_first_event_loses_nothing(autojump_clock: object, fake: FakeNode) -> None:
    job_id = await submitted(fake.store, fake.metrics, "// a contestant's")
    rejudge, *_ = await sent_by(fake, 1, 1, Priority.REJUDGE)
    fake.store.break_next("outbox_waiting", applied=False)
    with pytest.raises(StoreUnavailable):
        await one_round(fake, Lanes())
    for due in (job_id, rejudge):
        await one_round(fake, Lanes())
        assert await read_all(fake, 10) == [due]
