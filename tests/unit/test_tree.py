"""The nursery tree: order of starts, stop and drain."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from deepoj.nursery.supervise import Child, ChildStatus
from deepoj.nursery.tree import Node, run
from deepoj.observe import Metrics
from deepoj.words.errors import StartRefused, StoreUnavailable
from deepoj.words.jobs import Claim, State
from deepoj.words.results import Report, Verdict
from tests.fakes.node import FakeNode, submitted, until_done
from tests.fakes.store import MemoryStore
from tests.fakes.stream import MemoryStream
from tests.unit.makers import a_report


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def fake(store: MemoryStore, metrics: Metrics) -> FakeNode:
    return FakeNode(store=store, stream=MemoryStream(), metrics=metrics)


@asynccontextmanager
async def running(fake: FakeNode) -> AsyncIterator[trio.Event]:
    """Run the node within the block, then stop it and wait for its end."""
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(fake.run, stop)
        yield stop
        stop.set()


class Recorder:
    """Children that record their starts and ends."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def child(self, name: str, *, falls: Exception | None = None) -> Child:
        async def lives(*, task_status: trio.TaskStatus[None]) -> None:
            if falls is not None:
                raise falls
            self.seen.append(f"{name} up")
            task_status.started()
            try:
                await trio.sleep_forever()
            finally:
                self.seen.append(f"{name} down")

        return Child(name=name, run=lives)

    def step(self, name: str) -> Callable[[], object]:
        async def prepare() -> None:
            self.seen.append(name)

        return prepare

    def node(self, metrics: Metrics, **changes: object) -> Node:
        parts: dict[str, object] = {
            "servers": [self.child("postgres")],
            "prepare": [self.step("schema")],
            "keepers": [self.child("gc")],
            "intake": [self.child("api"), self.child("consumer")],
            "child_status": ChildStatus(),
            "metrics": metrics,
            "drain_s": 5.0,
        }
        return Node(**(parts | changes))  # type: ignore[arg-type]


async def test_life_order_is_nesting_order(autojump_clock: object, metrics: Metrics) -> None:
    notes, stop = Recorder(), trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(run, notes.node(metrics), stop)
        assert notes.seen == ["postgres up", "schema", "gc up", "api up", "consumer up"]
        stop.set()
    downs = notes.seen[5:]
    assert set(downs[:2]) == {"api down", "consumer down"}
    assert downs[2:] == ["gc down", "postgres down"]


async def test_a_failed_start_leaves_nothing_up(autojump_clock: object, metrics: Metrics) -> None:
    notes = Recorder()
    refused = StartRefused("cannot listen on 127.0.0.1:18080: the port is taken", 2)
    node = notes.node(metrics, intake=[notes.child("consumer"), notes.child("api", falls=refused)])
    with pytest.RaisesGroup(StartRefused, flatten_subgroups=True):
        await run(node, trio.Event())
    assert sorted(notes.seen[4:]) == ["consumer down", "gc down", "postgres down"]


async def test_a_failed_preparation_starts_no_keeper(autojump_clock: object, metrics: Metrics) -> None:
    notes = Recorder()

    async def refuses() -> None:
        raise StartRefused("the schema is too old", 3)

    with pytest.RaisesGroup(StartRefused, flatten_subgroups=True):
        await run(notes.node(metrics, prepare=[refuses]), trio.Event())
    assert notes.seen == ["postgres up", "postgres down"]


async def test_a_guest_runs_when_all_is_up_and_may_stop_the_node(autojump_clock: object, metrics: Metrics) -> None:
    notes = Recorder()

    async def guest(stop: Callable[[], None]) -> None:
        notes.seen.append("guest")
        stop()

    await run(notes.node(metrics, guests=[guest]), trio.Event())
    assert notes.seen[5] == "guest"
    assert notes.seen[-1] == "postgres down"


async def test_task_of_the_node_goes_on_after_the_jobs_and_before_the_servers_stop(
    autojump_clock: object, metrics: Metrics
) -> None:
    notes, stop = Recorder(), trio.Event()
    node = notes.node(metrics)

    async def tidy() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(1)
        notes.seen.append("tidied")

    async with trio.open_nursery() as nursery:
        await nursery.start(run, node, stop)
        node.tasks.start(tidy)
        stop.set()
    assert notes.seen[-3:] == ["gc down", "tidied", "postgres down"]


async def test_drain_lets_a_job_end_and_keepers_go_last(autojump_clock: object, fake: FakeNode) -> None:
    fake.judge_s = 25.0
    async with running(fake):
        job_id = await submitted(fake.store, fake.metrics)
        await trio.sleep(1)
    assert fake.store.rows[job_id].status == Verdict.ACCEPTED
    assert fake.stream.server.ready_group().pending == {}


async def test_drain_keeps_the_lease_alive(autojump_clock: object, fake: FakeNode) -> None:
    """The heartbeat is a keeper: a drain longer than the lease does not lose it."""
    fake.lease_s, fake.heartbeat_s, fake.judge_s = 4.0, 1.0, 25.0
    async with running(fake):
        job_id = await submitted(fake.store, fake.metrics)
        await trio.sleep(1)
    assert fake.store.rows[job_id].status == Verdict.ACCEPTED
    assert fake.judged == [(job_id, 1)]


async def test_the_drain_deadline_gives_a_long_job_back_at_once(autojump_clock: object, fake: FakeNode) -> None:
    fake.judge_s = 9999.0
    async with running(fake):
        job_id = await submitted(fake.store, fake.metrics)
        await trio.sleep(1)
        began = trio.current_time()
    assert trio.current_time() - began == pytest.approx(fake.drain_s, abs=0.1)
    row = fake.store.rows[job_id]
    assert (row.state, row.lease_owner, row.judging_attempts) == (State.PENDING, None, 0)
    assert fake.cut == [job_id]
    # its outbox event waits or was sent in this node's last round, and the old entry is acked: the next node need not
    # wait for a lease
    event = list(fake.store.outbox.values())[-1]
    assert event.event_type == "give_back"
    group = fake.stream.server.ready_group()
    assert group.pending == {}
    assert (event.status, event.attempts) == ("pending", 0) or max(fake.stream.server.entries) > group.last_delivered


async def test_jobs_do_not_wait_for_connections_that_are_slow_to_end(autojump_clock: object, fake: FakeNode) -> None:
    """While the API drains for a minute, another node gets the job at once."""

    async def slow(*, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(60)

    fake.judge_s, fake.drain_s = 9999.0, 1.0
    fake.intake_extra = (Child(name="api", run=slow),)
    given_back_at: list[float] = []
    give_back = fake.store.give_back

    async def noted(*args: Any, **named: Any) -> object:
        given_back_at.append(trio.current_time())
        return await give_back(*args, **named)

    fake.store.give_back = noted  # type: ignore[method-assign, assignment]
    async with running(fake):
        await submitted(fake.store, fake.metrics)
        await trio.sleep(1)
        began = trio.current_time()
    assert [at - began for at in given_back_at] == [pytest.approx(1.0, abs=0.1)]


async def test_the_next_node_judges_what_was_given_back(
    autojump_clock: object, fake: FakeNode, metrics: Metrics
) -> None:
    fake.judge_s, fake.drain_s = 9999.0, 0.0
    async with running(fake):
        job_id = await submitted(fake.store, metrics)
        await trio.sleep(1)
    other = FakeNode(store=fake.store, stream=fake.stream.beside("worker-2"), metrics=metrics, owner="node-b")
    began = trio.current_time()
    async with running(other):
        assert await until_done(fake.store, job_id) - began < 10
    assert other.judged == [(job_id, 2)]


async def test_a_stop_during_finalize_still_writes_and_acks(autojump_clock: object, fake: FakeNode) -> None:
    fake.drain_s = 0.0
    reached = trio.Event()
    write = fake.store.finalize

    async def slow_finalize(claim: Claim, report: Report, result: dict[str, object]) -> object:
        reached.set()
        await trio.sleep(1)
        return await write(claim, report, result)

    fake.store.finalize = slow_finalize  # type: ignore[method-assign, assignment]
    async with running(fake):
        job_id = await submitted(fake.store, fake.metrics)
        await reached.wait()
    assert fake.store.rows[job_id].status == Verdict.ACCEPTED
    assert fake.stream.server.ready_group().pending == {}


async def test_a_stop_does_not_wait_a_lease_for_a_database_that_is_away(autojump_clock: object, fake: FakeNode) -> None:
    """The verdict cannot be written: the job is judged again once its lease has ended."""
    fake.drain_s = 5.0
    async with running(fake):
        job_id = await submitted(fake.store, fake.metrics)
        await trio.sleep(1)
        fake.store.down = True
        await trio.sleep(5)
        assert fake.judged == [(job_id, 1)]
        began = trio.current_time()
    assert trio.current_time() - began == pytest.approx(fake.drain_s + 3.0, abs=0.5)
    fake.store.down = False
    assert fake.store.rows[job_id].state is State.PROCESSING


async def test_the_next_job_begins_while_a_verdict_is_being_written(autojump_clock: object, fake: FakeNode) -> None:
    fake.slots = 1
    write = fake.store.finalize

    async def slow_finalize(claim: Claim, report: Report, result: dict[str, object]) -> object:
        await trio.sleep(fake.judge_s / 2)
        return await write(claim, report, result)

    fake.store.finalize = slow_finalize  # type: ignore[method-assign, assignment]
    async with running(fake):
        began = trio.current_time()
        jobs = [await submitted(fake.store, fake.metrics, name) for name in ("one", "two", "three")]
        while any(fake.store.rows[job].state is not State.DONE for job in jobs):
            await trio.sleep(0.1)
        assert trio.current_time() - began == pytest.approx(3.5 * fake.judge_s, abs=0.5)
    assert fake.judged == [(job, 1) for job in jobs]


async def test_no_more_jobs_are_claimed_than_two_for_a_slot_where_no_verdict_can_be_written(
    autojump_clock: object, fake: FakeNode
) -> None:
    fake.slots = 1
    written = trio.Event()
    write = fake.store.finalize

    async def hung_finalize(claim: Claim, report: Report, result: dict[str, object]) -> object:
        await written.wait()
        return await write(claim, report, result)

    fake.store.finalize = hung_finalize  # type: ignore[method-assign, assignment]
    async with running(fake):
        jobs = [await submitted(fake.store, fake.metrics, name) for name in ("one", "two", "three")]
        await trio.sleep(10 * fake.judge_s)
        assert fake.judged == [(job, 1) for job in jobs[:2]]
        written.set()
        await trio.sleep(2 * fake.judge_s)
    assert fake.judged == [(job, 1) for job in jobs]


async def test_a_lost_lease_stops_its_judge_and_only_that(autojump_clock: object, fake: FakeNode) -> None:
    fake.judge_s = 40.0
    async with running(fake):
        lost = await submitted(fake.store, fake.metrics, "one")
        kept = await submitted(fake.store, fake.metrics, "two")
        await trio.sleep(1)
        fake.store.rows[lost].lease_owner = "node-b"  # as if another node had taken it over
        fake.store.rows[lost].attempt_id += 1
        await until_done(fake.store, kept)
        assert fake.cut == [lost]
        assert fake.store.rows[lost].state is State.PROCESSING
        assert fake.store.rows[lost].lease_owner == "node-b"


async def test_without_the_database_a_judge_stops_before_its_lease_ends(autojump_clock: object, fake: FakeNode) -> None:
    fake.judge_s = 9999.0
    async with running(fake):
        job_id = await submitted(fake.store, fake.metrics)
        await trio.sleep(1)
        until = fake.store.rows[job_id].lease_until
        fake.store.down = True
        assert until is not None
        while not fake.cut:
            await trio.sleep(0.1)
        assert trio.current_time() < until
        fake.store.down = False


async def test_an_undeclared_bug_ends_the_process_and_gives_other_jobs_back(
    autojump_clock: object, fake: FakeNode
) -> None:
    async def judge(claim: Claim) -> Report:
        if claim.code == "bug":
            raise ZeroDivisionError
        await trio.sleep(9999)
        return a_report()

    fake.judge = judge
    ids: list[str] = []
    with pytest.RaisesGroup(ZeroDivisionError, flatten_subgroups=True):
        async with running(fake):
            ids.append(await submitted(fake.store, fake.metrics, "fine"))
            await trio.sleep(1)
            ids.append(await submitted(fake.store, fake.metrics, "bug"))
            await trio.sleep(9999)
    fine, bug = (fake.store.rows[job_id] for job_id in ids)
    assert fine.state is State.PENDING
    assert bug.state is State.PROCESSING  # its lease ends: a bounded number of statements


async def test_declared_breakage_of_a_keeper_does_not_touch_jobs(autojump_clock: object, fake: FakeNode) -> None:
    fake.judge_s = 20.0
    async with running(fake):
        job_id = await submitted(fake.store, fake.metrics)
        await trio.sleep(1)
        fake.store.break_next("extend", applied=False)
        fake.store.break_next("take_outbox", applied=False)
        await until_done(fake.store, job_id)
    assert fake.judged == [(job_id, 1)]


async def test_a_breakage_that_no_child_declared_is_let_out(autojump_clock: object, metrics: Metrics) -> None:
    notes, node_stop = Recorder(), trio.Event()

    async def falls(*, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        await trio.sleep(3)
        raise StoreUnavailable("not declared by the child")

    node = notes.node(metrics, keepers=[Child(name="gc", run=falls)])
    with pytest.RaisesGroup(StoreUnavailable, flatten_subgroups=True):
        await run(node, node_stop)
    assert "postgres down" in notes.seen


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_a_signal_asks_for_the_drain(fake: FakeNode, number: signal.Signals) -> None:
    fake.judge_s = 0.2
    before = signal.signal(number, signal.SIG_DFL)  # a suite that runs under nohup ignores SIGHUP
    try:
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                await nursery.start(fake.run, trio.Event())
                job_id = await submitted(fake.store, fake.metrics)
                while fake.store.rows[job_id].state is State.PENDING:
                    await trio.sleep(0.01)
                os.kill(os.getpid(), number)
    finally:
        signal.signal(number, before)
    assert fake.store.rows[job_id].status == Verdict.ACCEPTED


async def test_nohup_is_respected(fake: FakeNode) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                stop = trio.Event()
                await nursery.start(fake.run, stop)
                os.kill(os.getpid(), signal.SIGHUP)
                job_id = await submitted(fake.store, fake.metrics)
                while fake.store.rows[job_id].state is not State.DONE:
                    await trio.sleep(0.01)
                assert not stop.is_set()
                stop.set()
    finally:
        signal.signal(signal.SIGHUP, before)


async def test_stop_beside_a_silent_database_ends_within_5_s(autojump_clock: object, fake: FakeNode) -> None:
    """A claim and a round of the dispatcher hang one after the other: one deadline holds for both."""
    hung = 0

    async def hang(*_: object, **__: object) -> Any:
        nonlocal hung
        hung += 1
        await trio.sleep_forever()

    async with running(fake) as stop:
        await trio.sleep(1)
        fake.store.claim = hang  # type: ignore[method-assign]
        await submitted(fake.store, fake.metrics)
        await trio.sleep(1)
        fake.store.take_outbox = hang  # type: ignore[method-assign]
        await submitted(fake.store, fake.metrics, code="// another")
        await trio.sleep(10)
        assert hung == 2
        stop.set()
        stopped_at = trio.current_time()
    assert trio.current_time() - stopped_at <= 5.0


async def test_keepers_have_a_second_after_a_drain_that_outlasted_the_deadline(
    autojump_clock: object, fake: FakeNode
) -> None:
    """The database answers again while jobs drain: the last round of the dispatcher ends."""
    fake.judge_s = 20.0

    async def hang(*_: object, **__: object) -> Any:
        await trio.sleep_forever()

    mark = fake.store.mark_delivered

    async def slow_mark(delivered: Any) -> None:
        await trio.sleep(0.5)
        await mark(delivered)

    async with running(fake) as stop:
        drained = await submitted(fake.store, fake.metrics)
        await trio.sleep(1)
        claim, fake.store.claim = fake.store.claim, hang  # type: ignore[method-assign]
        await submitted(fake.store, fake.metrics, code="// claimed by none")
        await trio.sleep(1)
        stop.set()
        await trio.sleep(17.8)
        fake.store.claim, fake.store.mark_delivered = claim, slow_mark  # type: ignore[method-assign]
        late = await submitted(fake.store, fake.metrics, code="// sent in the last moment")
    assert fake.store.rows[drained].status == Verdict.ACCEPTED
    [event] = [one for one in fake.store.outbox.values() if one.job_id == late]
    assert event.status == "delivered"
