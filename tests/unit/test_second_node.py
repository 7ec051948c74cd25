"""System Error is reported only after a second node has failed, too; a stop leaves nothing behind; repair in pages.

Over fakes, on a clock that jumps; ``tests/fault/test_second_node_real.py`` has the same on real servers.
"""

from __future__ import annotations

import itertools
import signal
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
import trio

from deepoj.nursery import loops
from deepoj.nursery.gate import Gate
from deepoj.nursery.hand_over import LocalHandOver
from deepoj.nursery.leases import Lease, Leases
from deepoj.nursery.scopes import STOP_S, StopDeadline
from deepoj.nursery.work import AVOID_S, GIVE_BACK_MAX_S, JobIntake
from deepoj.observe import Metrics
from deepoj.pipeline.claim import LeaseSettings
from deepoj.pipeline.dlq import decide, measure
from deepoj.pipeline.outbox import OutboxSettings
from deepoj.pipeline.reclaim import ReclaimSettings, forget_consumers
from deepoj.pipeline.repair import RepairSettings, repair
from deepoj.words.errors import StoreUnavailable, StreamUnavailable
from deepoj.words.jobs import Claim, State
from deepoj.words.ledger import Decision
from deepoj.words.outbox import OutboxEvent
from deepoj.words.results import Infra, Report, Verdict
from deepoj.words.stream import Entry
from tests.fakes.node import STREAM_KEY, FakeNode, submitted, until_done
from tests.fakes.store import MemoryStore
from tests.fakes.stream import MemoryStream
from tests.unit.makers import a_report
from tests.unit.test_pipeline import settled, verdicts
from tests.unit.test_tree import running


@pytest.fixture
def fake(metrics: Metrics) -> FakeNode:
    return FakeNode(store=MemoryStore(), stream=MemoryStream(), metrics=metrics)


def beside(fake: FakeNode, owner: str) -> FakeNode:
    """Return another node on the same servers."""
    return replace(fake, owner=owner, stream=fake.stream.beside(owner), judged=[], cut=[])


def broken(seen: list[str], owner: str) -> object:
    async def judge(claim: Claim) -> Report | Infra:
        seen.append(owner)
        await trio.lowlevel.checkpoint()
        return Infra("sandbox", "this node is sick")

    return judge


def sound(seen: list[str], owner: str) -> object:
    async def judge(claim: Claim) -> Report | Infra:
        seen.append(owner)
        await trio.lowlevel.checkpoint()
        return a_report()

    return judge


def claimers(store: MemoryStore, job_id: str) -> list[str | None]:
    return [row.owner for row in store.ledger if row.job_id == job_id and row.event == "claimed"]


@pytest.mark.parametrize("jobs", [1, 8])
async def test_the_second_attempt_is_another_nodes(autojump_clock: object, fake: FakeNode, jobs: int) -> None:
    seen: list[str] = []
    sick, well = fake, beside(fake, "node-b")
    sick.judge, well.judge = broken(seen, "sick"), sound(seen, "well")  # type: ignore[assignment]
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running(sick))
        await stack.enter_async_context(running(well))
        await trio.sleep(1)
        ids = [await submitted(fake.store, fake.metrics, f"code {n}") for n in range(jobs)]
        began = trio.current_time()
        assert await until_done(fake.store, *ids) - began < AVOID_S
        await settled(fake)
    for job_id in ids:
        assert claimers(fake.store, job_id) in (["node-b"], ["node-a", "node-b"])
        assert verdicts(fake.store, job_id) == ["finalized"]


async def test_all_nodes_are_asked_in_turn_and_only_then_is_the_job_dead(
    autojump_clock: object, fake: FakeNode
) -> None:
    seen: list[str] = []
    one, two = fake, beside(fake, "node-b")
    one.judge, two.judge = broken(seen, "one"), broken(seen, "two")  # type: ignore[assignment]
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running(one))
        await stack.enter_async_context(running(two))
        await trio.sleep(1)
        job_id = await submitted(fake.store, fake.metrics)
        with trio.fail_after(600):
            while fake.store.rows[job_id].state is not State.DEAD:
                await trio.sleep(0.1)
    took = claimers(fake.store, job_id)
    assert len(took) == 5
    assert all(before != after for before, after in itertools.pairwise(took))


async def test_single_node_retries_without_avoid_delay(autojump_clock: object, fake: FakeNode) -> None:
    tries: list[int] = []

    async def judge(claim: Claim) -> Report | Infra:
        tries.append(claim.attempt_id)
        await trio.lowlevel.checkpoint()
        return Infra("sandbox", "once") if len(tries) == 1 else a_report()

    fake.judge = judge
    async with running(fake):
        job_id = await submitted(fake.store, fake.metrics)
        assert await until_done(fake.store, job_id) < 2.0 + 1.0
    assert tries == [1, 2]


async def test_node_that_failed_retries_when_no_other_node_does(autojump_clock: object, fake: FakeNode) -> None:
    """The other node lives but never has room: the wait ends."""
    seen: list[str] = []

    async def judge(claim: Claim) -> Report | Infra:
        seen.append("one")
        await trio.lowlevel.checkpoint()
        return Infra("sandbox", "once") if len(seen) == 1 else a_report()

    fake.judge = judge
    other = fake.stream.beside("node-b")
    async with running(fake):
        job_id = await submitted(fake.store, fake.metrics)
        with trio.fail_after(600):
            while fake.store.rows[job_id].state is not State.DONE:
                fake.stream.server.seen_ms[other.consumer] = fake.stream.server.clock_ms()
                await trio.sleep(0.5)
        took = trio.current_time()
        await settled(fake)
    assert AVOID_S <= took < 2.0 + AVOID_S + 6.0
    assert seen == ["one", "one"]
    offers = [event for event in fake.store.outbox.values() if event.event_type == "hand_over"]
    assert 5 <= len(offers) <= 25
    assert GIVE_BACK_MAX_S <= AVOID_S  # a refused node never waits longer than it would have paused


# -- dead letters, through the whole walk


async def dead_job(fake: FakeNode) -> str:
    async def judge(claim: Claim) -> Report | Infra:
        await trio.lowlevel.checkpoint()
        return Infra("sandbox", "sick")

    fake.judge = judge
    job_id = await submitted(fake.store, fake.metrics)
    with trio.fail_after(600):
        while fake.store.rows[job_id].state is not State.DEAD:
            await trio.sleep(0.1)
    return job_id


async def sound_judge(claim: Claim) -> Report | Infra:
    await trio.lowlevel.checkpoint()
    return a_report()


async def test_a_requeued_letter_is_judged(autojump_clock: object, fake: FakeNode) -> None:
    async with running(fake):
        job_id = await dead_job(fake)
        assert await measure(fake.store, fake.metrics) == 1
        fake.judge = sound_judge
        await decide(fake.store, Decision.REQUEUE, job_id, by="root", stream_key=STREAM_KEY)
        await until_done(fake.store, job_id)
        await settled(fake)
        assert await measure(fake.store, fake.metrics) == 0
    assert fake.store.rows[job_id].status == Verdict.ACCEPTED
    assert fake.store.rows[job_id].attempt_id == 6


@pytest.mark.parametrize(
    ("method", "applied"),
    [("decide", False), ("decide", True), ("take_outbox", True), ("mark_delivered", False), ("mark_delivered", True)],
)
async def test_a_death_between_requeue_and_verdict_loses_and_doubles_nothing(
    autojump_clock: object, fake: FakeNode, method: str, applied: bool
) -> None:
    async with running(fake):
        job_id = await dead_job(fake)
        fake.judge = sound_judge
        fake.store.break_next(method, applied=applied)
        for _ in range(2):  # repeated by a caller that got no answer
            try:
                await decide(
                    fake.store, Decision.REQUEUE, job_id, attempt_id=5, by="root", stream_key=STREAM_KEY
                )  # fmt: skip
            except StoreUnavailable as lost:
                assert "in memory" in str(lost)
        await until_done(fake.store, job_id)
        await settled(fake)
    assert verdicts(fake.store, job_id) == ["finalized"]
    assert [row.event for row in fake.store.ledger].count("requeued") == 1


async def test_a_requeue_while_no_node_is_there_waits_for_one(autojump_clock: object, fake: FakeNode) -> None:
    async with running(fake):
        job_id = await dead_job(fake)
    await decide(fake.store, Decision.REQUEUE, job_id, by="root", stream_key=STREAM_KEY)
    await trio.sleep(100)
    fake.judge = sound_judge
    async with running(fake):
        await until_done(fake.store, job_id)
    assert verdicts(fake.store, job_id) == ["finalized"]


# -- a clean stop


async def left_waiting(fake: FakeNode, count: int) -> list[str]:
    """Submit jobs whose entries are read as ``fake`` and not claimed."""
    jobs = [await submitted(fake.store, fake.metrics, f"left {n}") for n in range(count)]
    events = await fake.store.take_outbox(100, 0.5, 10.0)
    ids = await fake.stream.publish(events)
    await fake.store.mark_delivered([(event.id, entry_id) for event, entry_id in zip(events, ids, strict=True)])
    assert len(await fake.stream.read(100, 0)) == count
    return jobs


async def test_unclaimed_entries_of_a_stopped_node_are_claimed_elsewhere_at_once(
    autojump_clock: object, fake: FakeNode
) -> None:
    """Recovery after a clean stop within 2 s."""
    fake.judge_s, fake.drain_s = 1000.0, 0.0
    jobs = await left_waiting(fake, 12)
    other = beside(fake, "node-b")
    other.judge_s, other.slots = 0.0, 20
    async with running(other):
        async with running(fake):
            await trio.sleep(1)
            assert sum(row.state is State.PROCESSING for row in fake.store.rows.values()) == fake.slots
            assert other.judged == []
            began = trio.current_time()
        assert await until_done(fake.store, *jobs) - began < 2.0
        await settled(fake)
    assert sorted(job_id for job_id, _ in other.judged) == sorted(jobs)
    assert all(verdicts(fake.store, job_id) == ["finalized"] for job_id in jobs)


@pytest.mark.parametrize("applied", [False, True], ids=["nothing was sent", "its answer was lost"])
async def test_a_hand_over_that_breaks_leaves_one_verdict_each(
    autojump_clock: object, fake: FakeNode, applied: bool
) -> None:
    """Whether it was sent or not, reclaim takes the entries; a doubled entry gives one verdict."""
    fake.judge_s, fake.drain_s = 1000.0, 0.0
    jobs = await left_waiting(fake, 6)
    async with running(fake):
        await trio.sleep(1)
        fake.store.break_next("hand_over", applied=applied)
    other = beside(fake, "node-b")
    other.judge_s = 0.0
    async with running(other):
        began = trio.current_time()
        took_s = await until_done(fake.store, *jobs) - began
        await settled(fake)
    assert applied or took_s > 30, "there was nothing but reclaim to find them"
    assert all(verdicts(fake.store, job_id) == ["finalized"] for job_id in jobs)


async def test_a_claim_that_a_stop_meets_is_given_back_and_not_left_to_its_lease(
    autojump_clock: object, fake: FakeNode
) -> None:
    write = fake.store.claim
    asked = trio.Event()

    async def slow_claim(*args: object, **more: object) -> object:
        answer = await write(*args, **more)  # type: ignore[arg-type]
        asked.set()
        await trio.sleep(0.5)
        return answer

    fake.store.claim = slow_claim  # type: ignore[method-assign, assignment]
    fake.judge_s, fake.drain_s = 1000.0, 0.0
    async with running(fake):
        job_id = await submitted(fake.store, fake.metrics)
        await asked.wait()
    fake.store.claim = write  # type: ignore[method-assign]
    assert fake.store.rows[job_id].state is State.PENDING
    other = beside(fake, "node-b")
    other.judge_s = 0.0
    async with running(other):
        began = trio.current_time()
        assert await until_done(fake.store, job_id) - began < 2.0


async def test_a_claim_of_reclaim_that_a_stop_meets_is_given_back_too(autojump_clock: object, fake: FakeNode) -> None:
    [job_id] = await left_waiting(fake, 1)  # by a node that is gone
    write = fake.store.claim
    asked = trio.Event()

    async def slow_claim(*args: object, **more: object) -> object:
        answer = await write(*args, **more)  # type: ignore[arg-type]
        asked.set()
        await trio.sleep(0.5)
        return answer

    fake.store.claim = slow_claim  # type: ignore[method-assign, assignment]
    async with running(beside(fake, "node-b")):
        await asked.wait()
    fake.store.claim = write  # type: ignore[method-assign]
    row = fake.store.rows[job_id]
    assert (row.state, row.attempt_id, row.judging_attempts) == (State.PENDING, 1, 0)
    assert [event.event_type for event in fake.store.outbox.values()] == ["submit", "give_back"]
    other = beside(fake, "node-c")
    other.judge_s = 0.0
    async with running(other):
        began = trio.current_time()
        assert await until_done(fake.store, job_id) - began < 2.0


async def test_jobs_in_hand_are_not_handed_over(fake: FakeNode) -> None:
    [job_id] = await left_waiting(fake, 1)
    leases = Leases(60.0, 2)
    job_intake = JobIntake(
        fake.store, fake.stream, leases, LeaseSettings("node-a", 60.0, 5), fake.metrics, gate=Gate(is_open=True)
    )
    job_intake.open(lambda lease: None)
    entries = await fake.stream.own_pending(10)
    await job_intake.admit(entries)
    await job_intake.hand_over(entries)
    assert [event.event_type for event in fake.store.outbox.values()] == ["submit"]
    assert len(await fake.stream.own_pending(10)) == 1
    assert fake.store.rows[job_id].state is State.PROCESSING


@pytest.mark.parametrize("breaks", ["stream", "database", "claim"])
async def test_won_claims_begin_although_the_other_claims_break(fake: FakeNode, breaks: str) -> None:
    failed, fresh = await left_waiting(fake, 2)
    settings = LeaseSettings("node-a", 60.0, 5)
    begun: list[str] = []
    job_intake = JobIntake(fake.store, fake.stream, Leases(60.0, 4), settings, fake.metrics, gate=Gate(is_open=True))
    job_intake.open(lambda lease: begun.append(lease.claim.job_id))
    entries = await fake.stream.own_pending(10)
    mine = [entry for entry in entries if isinstance(entry, Entry) and entry.job_id == failed]
    [first] = (await fake.store.claim(mine, "node-a", 60.0, 5)).values()
    assert isinstance(first, Claim)
    await fake.store.give_back(first, reason="sick", counts=True, avoid_s=AVOID_S)
    alive = fake.stream.live_consumers

    async def live_consumers(idle_ms: int) -> int:
        if breaks == "stream":
            raise StreamUnavailable("away")
        if breaks == "claim":
            fake.store.break_next("claim", applied=False)
        else:
            await fake.stream.beside("node-b").read(1, 0)
            fake.store.break_next("hand_over", applied=False)
        return await alive(idle_ms)

    fake.stream.live_consumers = live_consumers  # type: ignore[method-assign]
    with pytest.raises(StreamUnavailable if breaks == "stream" else StoreUnavailable):
        await job_intake.admit(entries)
    assert begun == [fresh]
    assert fake.store.rows[failed].state is State.PENDING
    assert len(await fake.stream.own_pending(10)) == 2


class SlowStream(MemoryStream):
    """A stream whose publish is slow."""

    publish_s = 1.0

    async def publish(self, events: Sequence[OutboxEvent]) -> list[str]:
        await trio.sleep(self.publish_s)
        return await super().publish(events)


async def dispatching(fake: FakeNode, stop_after_s: float) -> float:
    """Run a dispatcher with one event, stop it soon after, and return the time that the stop took."""
    await submitted(fake.store, fake.metrics)
    dispatcher = loops.Dispatch(
        outbox=fake.store, stream=fake.stream, notifications=fake.store, settings=OutboxSettings(100, 0.5, 10.0),
        metrics=fake.metrics, stop_deadline=fake.stop_deadline, poll_s=0.2,
        hand_over=LocalHandOver(notifications=fake.store, hidden_s=0.5),
    )  # fmt: skip
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        await nursery.start(dispatcher)
        await trio.sleep(stop_after_s)
        nursery.cancel_scope.cancel()
    return trio.current_time() - began - stop_after_s


async def test_a_stop_does_not_cut_a_round_of_dispatch(autojump_clock: object, metrics: Metrics) -> None:
    """Otherwise its taken events would be hidden from other nodes for their backoff."""
    fake = FakeNode(store=MemoryStore(), stream=SlowStream(), metrics=metrics)
    assert await dispatching(fake, 0.25) == pytest.approx(0.75)
    [event] = fake.store.outbox.values()
    assert (event.status, event.attempts) == ("delivered", 1)
    assert len(fake.stream.server.entries) == 1


async def test_a_stop_waits_for_no_stream_that_hangs(autojump_clock: object, metrics: Metrics) -> None:
    stream = SlowStream()
    stream.publish_s = 1_000_000.0
    fake = FakeNode(store=MemoryStore(), stream=stream, metrics=metrics)
    with pytest.raises(ExceptionGroup) as caught:
        await dispatching(fake, 0.25)
    assert caught.group_contains(StoreUnavailable, match="a round of dispatch was cut by a stop")
    assert trio.current_time() == pytest.approx(0.25 + STOP_S)
    [event] = fake.store.outbox.values()
    assert event.status == "pending"


async def test_a_round_that_is_slow_is_not_broken_off_without_a_stop(autojump_clock: object, metrics: Metrics) -> None:
    """Published and never marked, its events would be sent again without end."""
    fake = FakeNode(store=MemoryStore(), stream=SlowStream(), metrics=metrics)
    mark = fake.store.mark_delivered

    async def slow_mark(delivered: Sequence[tuple[int, str]]) -> None:
        await trio.sleep(9.0)
        await mark(delivered)

    fake.store.mark_delivered = slow_mark  # type: ignore[method-assign]
    assert await dispatching(fake, 20.0) == 0.0
    [event] = fake.store.outbox.values()
    assert (event.status, event.attempts, len(fake.stream.server.entries)) == ("delivered", 1, 1)


async def test_a_breakage_comes_out_as_it_is_and_a_stop_too(autojump_clock: object) -> None:
    async def breaks() -> None:
        await trio.sleep(1.0)
        raise StreamUnavailable("away")

    with pytest.raises(StreamUnavailable, match="away"):
        await StopDeadline().finish_despite_stop("it", breaks)
    with trio.move_on_after(0.5) as stop, pytest.raises(trio.Cancelled):
        await StopDeadline().finish_despite_stop("it", trio.sleep, 1.0)
    assert stop.cancel_called
    assert trio.current_time() == pytest.approx(2.0)


# -- repair in pages, and consumers that are gone


async def test_repair_finds_what_is_lost_among_more_than_it_looks_at_in_a_round(fake: FakeNode) -> None:
    now = 1_000_000.0
    fake.store.clock = lambda: now
    jobs = await left_waiting(fake, 40)
    entries = sorted(fake.stream.server.entries)
    lost = [jobs[n] for n in (3, 17, 39)]
    for n in (3, 17, 39):
        fake.stream.server.delete("{}-{}".format(*entries[n]))
    now += 100
    settings = RepairSettings(60.0, 200, STREAM_KEY, page_size=4, look_limit=10)
    after_id, counts = 0, []
    for _ in range(4):
        told = await repair(fake.store, fake.stream, settings, fake.metrics, after_id=after_id)
        after_id = told.after_id
        counts.append(told.count)
    assert sum(counts) == 3
    assert after_id == 0  # one full round is done
    again = [event.job_id for event in fake.store.outbox.values() if event.event_type == "repair"]
    assert again == lost
    assert (await repair(fake.store, fake.stream, settings, fake.metrics)).count == 0  # once


async def test_repair_puts_back_no_more_than_its_batch(fake: FakeNode) -> None:
    now = 1_000_000.0
    fake.store.clock = lambda: now
    await left_waiting(fake, 10)
    fake.stream.server.wipe()
    now += 100
    settings = RepairSettings(60.0, 4, STREAM_KEY, page_size=3)
    counts, after_id = [], 0
    for _ in range(4):
        told = await repair(fake.store, fake.stream, settings, fake.metrics, after_id=after_id)
        counts.append(told.count)
        after_id = told.after_id
    assert counts == [4, 4, 2, 0]


@pytest.mark.parametrize("batch_size", [1, 2])
async def test_a_row_that_comes_of_age_while_repair_looks_at_its_page(fake: FakeNode, batch_size: int) -> None:
    """The row was not in the page, and may be the last one that is sent again, or the only one."""
    now = 1_000_000.0
    fake.store.clock = lambda: now
    jobs = await left_waiting(fake, 3)
    fake.stream.server.wipe()
    first, late, last = (fake.store.rows[job_id] for job_id in jobs)
    now += 100
    late.updated_at = now - 59.5
    look = fake.stream.live_entries

    async def slow_look(entry_ids: Sequence[str]) -> set[str]:
        nonlocal now
        live = await look(entry_ids)
        if batch_size == 1:  # another node sent this one again meanwhile
            first.updated_at = now
        now += 1
        return live

    fake.stream.live_entries = slow_look  # type: ignore[method-assign]
    settings = RepairSettings(60.0, batch_size, STREAM_KEY)
    told = await repair(fake.store, fake.stream, settings, fake.metrics)
    again = [event.job_id for event in fake.store.outbox.values() if event.event_type == "repair"]
    assert again == ([late.job_id] if batch_size == 1 else [first.job_id, late.job_id])
    assert (told.count, told.after_id) == (batch_size, 0 if batch_size == 1 else first.id)
    assert (await repair(fake.store, fake.stream, settings, fake.metrics, after_id=told.after_id)).count == 1
    assert [event.job_id for event in fake.store.outbox.values()][-1] == last.job_id


async def test_forgotten_consumers_are_counted(fake: FakeNode) -> None:
    other = fake.stream.beside("gone")
    await other.read(1, 0)
    assert await forget_consumers(fake.stream, 0, fake.metrics) == 1
    assert await forget_consumers(fake.stream, 0, fake.metrics) == 0
    assert fake.metrics.reclaim.labels(status="forgotten", reason="idle_consumer")._value.get() == 1.0


# ---------------------------------------------------------------------------------------------------------------------
# Deadline of reclaim


@pytest.fixture
def signals_put_back() -> Iterator[None]:
    """Restore what signals do: the node that began first ends first, so the other puts back the first one's handlers,
    which would raise RunFinishedError in whichever later test a signal meets."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("signals_put_back")
@pytest.mark.parametrize("held_s", [1, 10, 20, 30, 50, 70, 79, 81, 100, 140, 155, 200])
async def test_a_job_is_taken_over_in_time_however_long_it_has_been_in_hand(
    autojump_clock: object, fake: FakeNode, held_s: float
) -> None:
    """Other nodes reclaim the entry of a long job while its holder lives; that must not delay the next reclaim."""
    fake.judge_s = 9999.0
    other = beside(fake, "node-b")
    give_back = fake.store.give_back
    async with trio.open_nursery() as nursery:

        async def killed() -> None:
            with trio.move_on_after(held_s), pytest.raises(BaseExceptionGroup):
                async with running(fake):
                    await submitted(fake.store, fake.metrics)
                    await trio.sleep(0.5)
                    nursery.start_soon(followed)
                    await trio.sleep_forever()

        async def followed() -> None:
            async with running(other):
                await trio.sleep(held_s)
                with trio.fail_after(600):
                    while len(claimers(fake.store, job_of(fake.store))) < 2:
                        await trio.sleep(0.1)
                took.append(trio.current_time())
                fake.store.give_back = give_back  # type: ignore[method-assign]
                nursery.cancel_scope.cancel()

        took: list[float] = []
        fake.store.give_back = None  # type: ignore[method-assign, assignment]
        died = trio.current_time() + held_s
        nursery.start_soon(killed)
    assert claimers(fake.store, job_of(fake.store)) == ["node-a", "node-b"]
    assert took[0] - died <= fake.lease_s + fake.grace_s + fake.reclaim_s + 1


def job_of(store: MemoryStore) -> str:
    return next(iter(store.rows))


async def test_a_round_of_reclaim_goes_through_all_that_is_in_hand(fake: FakeNode) -> None:
    await left_waiting(fake, 60)  # touched just now, all of them
    job_intake, started = open_intake(fake, slots=2)
    last = (await fake.stream.own_pending(60))[-1].entry_id
    await fake.stream.set_idle([last], 3_600_000)
    back = loops.Reclaim(
        stream=fake.stream, job_intake=job_intake, settings=ReclaimSettings(75_000, 16), metrics=fake.metrics,
        stop_deadline=fake.stop_deadline,
    )  # fmt: skip
    await back.once()
    assert [lease.claim.entry_id for lease in started] == [last]


def open_intake(fake: FakeNode, *, slots: int) -> tuple[JobIntake, list[Lease]]:
    """Return a job intake that records the claims that begin."""
    started: list[Lease] = []
    job_intake = JobIntake(
        fake.store, fake.stream, Leases(60.0, slots), LeaseSettings(fake.owner, 60.0, 5), fake.metrics, gate=Gate()
    )
    job_intake.open(started.append)
    return job_intake, started
