"""Events that requests hand to the dispatcher of their process: none is taken by a statement, lost or judged twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import pytest
import trio

from deepoj.nursery import loops
from deepoj.nursery.hand_over import LocalHandOver
from deepoj.nursery.scopes import StopDeadline
from deepoj.observe import Metrics
from deepoj.pipeline.outbox import WINDOW_MIN, OutboxSettings
from deepoj.pipeline.submit import submit
from deepoj.words.errors import StoreUnavailable, StreamUnavailable
from deepoj.words.outbox import OutboxEvent, OutboxWaiting, Priority
from deepoj.words.submissions import Draft, Receipt, SubmitRefusal
from tests.fakes.node import STREAM_KEY
from tests.fakes.store import MemoryStore
from tests.fakes.stream import MemoryStream
from tests.unit.makers import a_problem

HIDDEN_S = 0.5


def test_places_of_events_on_their_way_are_not_given_twice() -> None:
    hand_over = LocalHandOver(notifications=MemoryStore(clock=lambda: 0.0), hidden_s=HIDDEN_S)
    hand_over.open(2)
    assert hand_over.reserve() == HIDDEN_S
    hand_over.open(2)
    assert [hand_over.reserve(), hand_over.reserve()] == [HIDDEN_S, None]


class CountingStore(MemoryStore):
    """Counts the events that statements took and marked."""

    taken = 0

    def __init__(self) -> None:
        super().__init__(clock=trio.current_time)
        #: how many events each statement marked
        self.mark_counts: list[int] = []

    async def mark_delivered(self, delivered: Sequence[tuple[int, str]]) -> None:
        self.mark_counts.append(len(delivered))
        await super().mark_delivered(delivered)

    async def take_outbox(
        self, limit: int, retry_base_s: float, retry_max_s: float, *, lanes: Mapping[Priority, int] | None = None
    ) -> list[OutboxEvent]:
        events = await super().take_outbox(limit, retry_base_s, retry_max_s, lanes=lanes)
        self.taken += len(events)
        return events


@dataclass
class Compiling:
    """``ports.EarlyCompiler``, which notes what became of each draft, and how many rows there were then."""

    store: MemoryStore
    said: list[tuple[bool, int]] = field(default_factory=list)

    async def begin(self, draft: Draft) -> Self:
        del draft
        await trio.lowlevel.checkpoint()
        return self

    def settle(self, *, is_stored: bool) -> None:
        self.said.append((is_stored, len(self.store.rows)))


@dataclass
class Dispatching:
    """A database, a stream, and the dispatcher of the process that takes submissions."""

    metrics: Metrics
    store: CountingStore = field(default_factory=CountingStore)
    stream: MemoryStream = field(default_factory=MemoryStream)
    cap: int = 500

    def __post_init__(self) -> None:
        self.hand_over = LocalHandOver(notifications=self.store, hidden_s=HIDDEN_S)
        self.compiling: Compiling | None = None

    def dispatcher(self, poll_s: float = 0.2) -> loops.Dispatch:
        return loops.Dispatch(
            outbox=self.store,
            stream=self.stream,
            notifications=self.store,
            settings=OutboxSettings(100, HIDDEN_S, 10.0),
            metrics=self.metrics,
            stop_deadline=StopDeadline(),
            hand_over=self.hand_over,
            poll_s=poll_s,
        )

    async def submit(self, code: str = "") -> Receipt | SubmitRefusal:
        problem = a_problem()
        if await self.store.problem(problem.id) is None:
            await self.store.insert_problem(problem)
        one = Draft(user_id=1001, problem_id=problem.id, language="cpp17", code=code, trace_id="trace-1")
        return await submit(
            self.store,
            one,
            inflight_cap=self.cap,
            dedup_window_s=600,
            stream_key=STREAM_KEY,
            metrics=self.metrics,
            hand_over=self.hand_over,
            early_compiler=self.compiling,
        )

    async def until_delivered(self, count: int) -> None:
        with trio.fail_after(60):
            while [event.status for event in self.store.outbox.values()] != ["delivered"] * count:
                await trio.sleep(0.01)


@pytest.fixture
def place(metrics: Metrics) -> Dispatching:
    return Dispatching(metrics)


async def test_a_submission_of_an_idle_node_is_dispatched_without_being_taken(
    place: Dispatching, autojump_clock: object
) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(place.dispatcher())
        await trio.sleep(1)
        for number in range(3 * WINDOW_MIN):
            await place.submit(f"// {number}")
            await place.until_delivered(number + 1)
            await trio.sleep(1)
            await place.stream.read(9, 0)
        nursery.cancel_scope.cancel()
    assert place.store.taken == 0
    assert len(place.stream.server.entries) == 3 * WINDOW_MIN


async def test_an_event_is_on_its_way_before_the_request_is_answered(
    place: Dispatching, autojump_clock: object
) -> None:
    began: list[OutboxEvent] = []
    publish = place.stream.publish

    async def slow(events: Sequence[OutboxEvent]) -> list[str]:
        began.extend(events)
        await trio.sleep(0.3)  # the request does not wait for the stream
        return await publish(events)

    place.stream.publish = slow  # type: ignore[method-assign]
    async with trio.open_nursery() as nursery:
        await nursery.start(place.dispatcher())
        await trio.sleep(1)
        at = trio.current_time()
        receipt = await place.submit()
        assert isinstance(receipt, Receipt)
        assert [event.job_id for event in began] == [receipt.job_id]
        assert trio.current_time() - at < 0.3
        await place.until_delivered(1)
        nursery.cancel_scope.cancel()
    assert place.store.taken == 0


async def test_the_compilation_of_a_draft_that_is_not_stored_is_ended(
    place: Dispatching, autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hung(*_: object, **__: object) -> None:
        await trio.sleep_forever()

    place.compiling = compiling = Compiling(place.store)
    async with trio.open_nursery() as nursery:
        await place.submit("// no dispatcher runs, which will take it in its turn")
        assert compiling.said == []
        await nursery.start(place.dispatcher())
        await place.until_delivered(1)
        await trio.sleep(1)
        await place.submit("// new")
        await place.submit("// new")
        place.cap = 2
        assert await place.submit("// too many") is SubmitRefusal.INFLIGHT_CAP_REACHED
        place.store.break_next("submit", applied=True)
        with pytest.raises(StoreUnavailable):
            await place.submit("// is it stored?")
        monkeypatch.setattr(place.store, "submit", hung)
        with trio.move_on_after(1):
            await place.submit("// its client leaves")
        nursery.cancel_scope.cancel()
    assert compiling.said == [(True, 2), (False, 2), (False, 2), (False, 2), (False, 2)]


async def test_published_events_are_marked_in_one_group(place: Dispatching, autojump_clock: object) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(place.dispatcher())
        await trio.sleep(1)
        for number in range(WINDOW_MIN - 1):
            await place.submit(f"// {number}")
        await place.until_delivered(WINDOW_MIN - 1)
        nursery.cancel_scope.cancel()
    assert place.store.mark_counts == [WINDOW_MIN - 1]
    assert place.store.taken == 0


async def test_a_stop_lets_an_event_be_published_and_marks_it(place: Dispatching, autojump_clock: object) -> None:
    """Otherwise it would be hidden from other nodes for its backoff, or be published twice."""
    publish = place.stream.publish

    async def slow(events: Sequence[OutboxEvent]) -> list[str]:
        await trio.sleep(0.3)
        return await publish(events)

    place.stream.publish = slow  # type: ignore[method-assign]
    async with trio.open_nursery() as nursery:
        await nursery.start(place.dispatcher())
        await trio.sleep(1)
        await place.submit()
        nursery.cancel_scope.cancel()
    assert [event.status for event in place.store.outbox.values()] == ["delivered"]
    assert place.hand_over.reserve() is None


async def test_events_whose_marks_failed_are_marked_at_the_next_start(
    place: Dispatching, autojump_clock: object
) -> None:
    with pytest.RaisesGroup(StoreUnavailable):
        async with trio.open_nursery() as nursery:
            await nursery.start(place.dispatcher())
            await trio.sleep(1)
            await place.submit()
            await trio.sleep(place.hand_over.mark_after_s / 2)
            place.store.down = True
            await trio.sleep(60)
    place.store.down = False
    async with trio.open_nursery() as nursery:
        await nursery.start(place.dispatcher())
        await place.until_delivered(1)
        nursery.cancel_scope.cancel()
    assert place.store.taken == 0
    assert len(place.stream.server.entries) == 1


def counting_rounds(place: Dispatching) -> list[float]:
    """Return a list that each round of the dispatcher adds its time to."""
    rounds: list[float] = []
    look = place.store.outbox_waiting

    async def counted(limit: int) -> OutboxWaiting:
        rounds.append(trio.current_time())
        return await look(limit)

    place.store.outbox_waiting = counted  # type: ignore[method-assign]
    return rounds


@pytest.mark.parametrize("poll_s", [0.2, 5.0])
@pytest.mark.parametrize("read_every_s", [0.005, 0.03, 0.1])
async def test_a_queue_is_looked_at_as_often_as_readers_need_it(
    place: Dispatching, autojump_clock: object, read_every_s: float, poll_s: float
) -> None:
    jobs, rounds, empty = 200, counting_rounds(place), 0
    for number in range(jobs):
        await place.submit(f"// {number}")
    async with trio.open_nursery() as nursery:
        await nursery.start(place.dispatcher(poll_s))
        while len(place.stream.server.entries) < jobs:
            await trio.sleep(read_every_s)
            empty += not await place.stream.read(1, 0)
        nursery.cancel_scope.cancel()
    assert len(rounds) < 0.7 * jobs
    assert empty < 0.1 * jobs


async def test_notifications_begin_no_round_after_round_while_the_stream_has_no_room(
    place: Dispatching, autojump_clock: object
) -> None:
    rounds = counting_rounds(place)
    async with trio.open_nursery() as nursery:
        dispatcher = place.dispatcher()
        await nursery.start(dispatcher)
        for number in range(2 * WINDOW_MIN):
            await place.submit(f"// {number}")
        await trio.sleep(1)
        rounds.clear()
        began = trio.current_time()
        for number in range(100):
            await place.submit(f"// later {number}")
            await trio.sleep(0.001)
        assert len(rounds) <= (trio.current_time() - began) / dispatcher.quick_poll_s + 1
        await place.stream.read(100, 0)
        entries = len(place.stream.server.entries)
        await trio.sleep(2 * dispatcher.poll_s)  # a pause may begin as late as now
        assert len(place.stream.server.entries) > entries, "the next round finds the room"
        nursery.cancel_scope.cancel()


async def test_no_more_are_handed_over_than_the_stream_has_room_for(place: Dispatching, autojump_clock: object) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(place.dispatcher())
        await trio.sleep(1)
        async with trio.open_nursery() as requests:
            for number in range(5 * WINDOW_MIN):
                requests.start_soon(place.submit, f"// {number}")
        assert sum(event.attempts for event in place.store.outbox.values() if event.status == "pending") <= WINDOW_MIN
        await trio.sleep(1)
        waiting = [event for event in place.store.outbox.values() if event.status == "pending"]
        assert len(waiting) == 4 * WINDOW_MIN, "those wait in the database for the readers"
        assert place.hand_over.reserve() is None, "a later one must not pass them"
        nursery.cancel_scope.cancel()


async def test_an_event_whose_process_died_is_dispatched_by_another_after_its_backoff(
    place: Dispatching, autojump_clock: object
) -> None:
    place.hand_over.open(1)
    await place.submit()  # its dispatcher never runs
    other = Dispatching(place.metrics, place.store, place.stream)
    async with trio.open_nursery() as nursery:
        await nursery.start(other.dispatcher())
        began = trio.current_time()
        await place.until_delivered(1)
        assert HIDDEN_S <= trio.current_time() - began + 0.01 <= HIDDEN_S + 1
        nursery.cancel_scope.cancel()
    assert place.store.taken == 1


async def test_an_event_that_the_stream_did_not_take_is_dispatched_after_its_backoff(
    place: Dispatching, autojump_clock: object
) -> None:
    with pytest.RaisesGroup(StreamUnavailable):
        async with trio.open_nursery() as nursery:
            await nursery.start(place.dispatcher())
            await trio.sleep(1)
            place.stream.server.down = True
            await place.submit()
            await trio.sleep(60)
    (event,) = place.store.outbox.values()
    assert event.last_error
    assert place.hand_over.reserve() is None, "while no dispatcher runs"
    place.stream.server.down = False
    async with trio.open_nursery() as nursery:
        await nursery.start(place.dispatcher())
        await place.until_delivered(1)
        nursery.cancel_scope.cancel()
    assert place.store.taken == 1


async def test_a_submit_whose_answer_was_lost_is_looked_for(place: Dispatching, autojump_clock: object) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(place.dispatcher())
        await trio.sleep(1)
        await place.submit("// so that the problem is there")
        await place.until_delivered(1)
        await trio.sleep(0.1)
        place.store.break_next("submit", applied=True)
        with pytest.raises(StoreUnavailable):
            await place.submit("// lost")
        began = trio.current_time()
        await place.until_delivered(2)
        assert trio.current_time() - began < place.dispatcher().idle_poll_s / 2
        nursery.cancel_scope.cancel()


async def test_a_refused_submit_gives_its_place_back(place: Dispatching, autojump_clock: object) -> None:
    place.hand_over.open(1)
    place.cap = 0
    assert await place.submit() is SubmitRefusal.INFLIGHT_CAP_REACHED
    assert place.hand_over.reserve() == HIDDEN_S
    assert place.hand_over.reserve() is None
    place.hand_over.open(0)  # the dispatcher ends before the submit is refused
    place.hand_over.settle(None, is_stored=False)
    assert place.hand_over.reserve() is None
