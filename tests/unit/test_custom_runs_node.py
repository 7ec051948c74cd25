"""Custom runs on a whole node over fakes: who gets the slots, and what becomes of a run when something dies."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import trio

from deepoj.nursery.playground import POLL_S
from deepoj.nursery.work import JobIntake
from deepoj.observe import Metrics
from deepoj.playground.order import order_run
from deepoj.words.errors import BoxAway, BoxBroken, Breakage
from deepoj.words.jobs import State
from deepoj.words.playground import CustomClaim, CustomDraft, CustomReceipt, CustomReport, CustomStatus
from deepoj.words.results import Infra
from deepoj.words.sandbox import Isolation, RunLimits
from tests.fakes.node import FakeNode, submitted, until_done
from tests.fakes.store import MemoryStore
from tests.fakes.stream import MemoryStream
from tests.unit.test_tree import running


def a_custom_report() -> CustomReport:
    return CustomReport(
        status=CustomStatus.FINISHED,
        isolation=Isolation.NAMESPACES,
        compile=None,
        limits=RunLimits(cpu_ms=1, wall_ms=1, memory_bytes=1, output_bytes=1),
        outcome=None,
    )


class Runner:
    """What a node does with custom runs: it takes ``run_s`` for each, or does what it is told to."""

    def __init__(self) -> None:
        self.run_s = 2.0
        #: what the next ones come to instead
        self.next: Iterator[Infra | Breakage] = iter(())
        self.ran: list[tuple[str, int]] = []
        self.at_once = self.most = 0

    async def __call__(self, claim: CustomClaim) -> CustomReport | Infra:
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            await trio.sleep(self.run_s)
        finally:
            self.at_once -= 1
        self.ran.append((claim.run_id, claim.attempt_id))
        fate = next(self.next, None)
        if isinstance(fate, Breakage):
            raise fate
        return fate or a_custom_report()


@pytest.fixture
def runner() -> Runner:
    return Runner()


@pytest.fixture
def fake(metrics: Metrics, runner: Runner) -> FakeNode:
    return FakeNode(store=MemoryStore(), stream=MemoryStream(), metrics=metrics, run_custom=runner)


def another(fake: FakeNode, runner: Runner, owner: str = "node-b") -> FakeNode:
    """A second node of the same deployment."""
    stream = MemoryStream(fake.stream.server, consumer=owner)
    return FakeNode(store=fake.store, stream=stream, metrics=Metrics(), run_custom=runner, owner=owner)


async def ordered(fake: FakeNode, user_id: int = 1001, language: str = "python3") -> str:
    draft = CustomDraft(
        user_id=user_id, language=language, code="x", stdin=b"", time_limit_ms=1, memory_limit_kb=1, trace_id="t"
    )
    taken = await order_run(fake.store, fake.stream, draft, per_user=100, metrics=fake.metrics)
    assert isinstance(taken, CustomReceipt)
    return taken.run_id


async def until_ended(fake: FakeNode, *run_ids: str, within_s: float = 600.0) -> float:
    with trio.fail_after(within_s):
        while any(fake.store.runs[run_id].unfinished for run_id in run_ids):
            await trio.sleep(0.05)
    return trio.current_time()


def pending(fake: FakeNode) -> int:
    return len(fake.stream.server.ready_group().pending)


async def test_a_run_begins_without_waiting_for_a_look(autojump_clock: object, fake: FakeNode, runner: Runner) -> None:
    runner.run_s = 0.0
    async with running(fake):
        await trio.sleep(60)  # everything idles
        began = trio.current_time()
        run_id = await ordered(fake)
        assert await until_ended(fake, run_id) - began < 0.2
        assert pending(fake) == 0
    assert fake.store.runs[run_id].status == "Finished"
    assert fake.store.ledger == []


async def test_no_more_runs_at_once_than_the_share(autojump_clock: object, fake: FakeNode, runner: Runner) -> None:
    fake.slots, fake.run_share = 4, 2
    async with running(fake):
        runs = [await ordered(fake) for _ in range(9)]
        await until_ended(fake, *runs)
    assert runner.most == 2
    assert sorted(runner.ran) == sorted((run_id, 1) for run_id in runs)


async def test_a_flood_of_runs_leaves_submissions_their_slots(
    autojump_clock: object, fake: FakeNode, runner: Runner
) -> None:
    fake.slots, fake.run_share, runner.run_s, fake.judge_s = 4, 2, 10.0, 1.0
    async with running(fake):
        runs = [await ordered(fake) for _ in range(40)]
        await trio.sleep(1)
        began = trio.current_time()
        jobs = [await submitted(fake.store, fake.metrics, f"code {n}") for n in range(4)]
        assert await until_done(fake.store, *jobs) - began < 5
        assert sum(fake.store.runs[run_id].unfinished for run_id in runs) > 30


async def test_under_a_backlog_runs_go_on_one_at_a_time(autojump_clock: object, fake: FakeNode, runner: Runner) -> None:
    fake.slots, fake.run_share, runner.run_s, fake.judge_s = 4, 2, 3.0, 1.0
    async with running(fake):
        jobs = [await submitted(fake.store, fake.metrics, f"code {n}") for n in range(120)]
        await trio.sleep(2)
        runs = [await ordered(fake) for _ in range(4)]
        await until_ended(fake, *runs, within_s=60)
        assert any(fake.store.rows[job_id].state is State.PENDING for job_id in jobs)  # the backlog was there all along
        await until_done(fake.store, *jobs)
    assert runner.most <= 2


async def test_one_slot_is_shared_by_turns(autojump_clock: object, fake: FakeNode, runner: Runner) -> None:
    fake.slots, fake.run_share, runner.run_s, fake.judge_s = 1, 1, 1.0, 1.0
    async with running(fake):
        jobs = [await submitted(fake.store, fake.metrics, f"code {n}") for n in range(30)]
        runs = [await ordered(fake) for _ in range(30)]
        await trio.sleep(25)
        done = sum(fake.store.rows[job_id].state is State.DONE for job_id in jobs)
        ended = sum(not fake.store.runs[run_id].unfinished for run_id in runs)
    assert done >= 3
    assert ended >= 3


async def test_a_lost_entry_costs_a_moment(autojump_clock: object, fake: FakeNode, runner: Runner) -> None:
    runner.run_s = 0.0
    async with running(fake):
        await trio.sleep(5)
        draft = CustomDraft(
            user_id=1001, language="python3", code="x", stdin=b"", time_limit_ms=1, memory_limit_kb=1, trace_id="t"
        )
        taken = await fake.store.take_run(draft, per_user=1)  # and we die before any node is notified
        assert isinstance(taken, CustomReceipt)
        began = trio.current_time()
        assert await until_ended(fake, taken.run_id) - began < POLL_S + 0.5


async def test_an_entry_that_a_dead_node_left_pending_goes_with_the_next_look_at_it(
    autojump_clock: object, fake: FakeNode
) -> None:
    run_id = await ordered(fake)
    dead = MemoryStream(fake.stream.server, consumer="dead")
    assert len(await dead.read(10, 0)) == 1
    async with running(fake):
        assert await until_ended(fake, run_id) < POLL_S + 4
        with trio.fail_after(100):
            while pending(fake):
                await trio.sleep(1)
    assert fake.store.runs[run_id].attempt_id == 1


async def test_a_node_that_leaves_sends_no_run_through_the_outbox(autojump_clock: object, fake: FakeNode) -> None:
    await ordered(fake)
    job_intake = fake.node().work[0].intake
    assert isinstance(job_intake, JobIntake)
    fake.store.break_next("hand_over", applied=False)  # it is not asked
    await job_intake.hand_over(await fake.stream.read(10, 0))
    assert pending(fake) == 0
    assert fake.store.outbox == {}


async def test_redis_wiped_costs_no_run(autojump_clock: object, fake: FakeNode) -> None:
    async with running(fake):
        runs = [await ordered(fake) for _ in range(5)]
        fake.stream.server.wipe()
        assert await until_ended(fake, *runs) < 60
    assert all(fake.store.runs[run_id].status == "Finished" for run_id in runs)


async def test_redis_away_in_the_middle_of_a_run(autojump_clock: object, fake: FakeNode) -> None:
    async with running(fake):
        run_id = await ordered(fake)
        await trio.sleep(1)
        fake.stream.server.down = True
        await until_ended(fake, run_id)
        fake.stream.server.down = False
    assert fake.store.runs[run_id].status == "Finished"


async def test_a_node_that_lacks_the_language_leaves_it_to_one_that_has_it(
    autojump_clock: object, fake: FakeNode, runner: Runner
) -> None:
    fake.languages = frozenset({"cpp17"})
    other = Runner()
    async with running(fake):
        run_id = await ordered(fake)
        await trio.sleep(30)
        assert fake.store.runs[run_id].state is State.PENDING
        async with running(another(fake, other)):
            await until_ended(fake, run_id)
    assert (runner.ran, other.ran) == ([], [(run_id, 1)])


async def test_a_node_that_drains_gives_it_back_and_another_begins_at_once(
    autojump_clock: object, fake: FakeNode, runner: Runner
) -> None:
    runner.run_s, fake.drain_s = 20.0, 1.0
    other = Runner()
    async with running(fake) as stop:
        run_id = await ordered(fake)
        await trio.sleep(1)
        assert fake.store.runs[run_id].lease_owner == fake.owner
        async with running(another(fake, other)):
            stop.set()
            began = trio.current_time()
            assert await until_ended(fake, run_id) - began < fake.drain_s + other.run_s + 0.5
    row = fake.store.runs[run_id]
    assert (row.status, row.attempt_id, row.attempts) == ("Finished", 2, 1)
    assert runner.ran == []


async def test_a_run_whose_node_died_is_run_once_more(autojump_clock: object, fake: FakeNode, runner: Runner) -> None:
    run_id = await ordered(fake)
    dead = await fake.store.claim_run("node-dead", 60.0, 2, {"python3"})
    assert dead is not None
    async with running(fake):
        assert 60 < await until_ended(fake, run_id) < 65
    assert runner.ran == [(run_id, 2)]


async def test_custom_run_whose_attempts_are_used_up_is_a_system_error(
    autojump_clock: object, fake: FakeNode, runner: Runner
) -> None:
    run_id = await ordered(fake)
    for node in ("dead-1", "dead-2"):
        assert await fake.store.claim_run(node, 60.0, 2, {"python3"}) is not None
        await trio.sleep(60)
    async with running(fake):
        await until_ended(fake, run_id, within_s=10)
    row = fake.store.runs[run_id]
    assert (row.status, row.error_code) == ("System Error", "ATTEMPTS_EXHAUSTED")
    assert runner.ran == []


@pytest.mark.parametrize("fate", [BoxBroken("fell"), Infra("sandbox", "EINVAL")])
async def test_trouble_of_ours_is_tried_twice(
    autojump_clock: object, fake: FakeNode, runner: Runner, fate: Infra | Breakage
) -> None:
    runner.next = iter([fate])
    async with running(fake):
        once = await ordered(fake)
        await until_ended(fake, once)
        runner.next = iter([fate, fate])
        twice = await ordered(fake)
        await until_ended(fake, twice)
    assert fake.store.runs[once].status == "Finished"
    assert (fake.store.runs[twice].status, fake.store.runs[twice].error_code) == ("System Error", "ATTEMPTS_EXHAUSTED")


async def test_an_outage_is_waited_out(autojump_clock: object, fake: FakeNode, runner: Runner) -> None:
    runner.next = iter([BoxAway("no launcher") for _ in range(5)])
    async with running(fake):
        run_id = await ordered(fake)
        await until_ended(fake, run_id)
    assert fake.store.runs[run_id].status == "Finished"
    assert runner.ran[-1] == (run_id, 6)


async def test_run_in_a_language_of_no_node_expires(autojump_clock: object, fake: FakeNode) -> None:
    async with running(fake):
        run_id = await ordered(fake, language="cobol")
        assert 119 < await until_ended(fake, run_id) < 125
    assert fake.store.runs[run_id].error_code == "RUN_EXPIRED"


async def test_a_long_run_keeps_its_lease(autojump_clock: object, fake: FakeNode, runner: Runner) -> None:
    runner.run_s = 300.0
    async with running(fake):
        run_id = await ordered(fake)
        await until_ended(fake, run_id)
    assert runner.ran == [(run_id, 1)]


async def test_a_run_that_was_taken_back_is_stopped(autojump_clock: object, fake: FakeNode, runner: Runner) -> None:
    runner.run_s = 300.0
    async with running(fake):
        run_id = await ordered(fake)
        await trio.sleep(1)
        assert runner.at_once == 1
        await fake.store.drop_run(run_id)
        await trio.sleep(fake.heartbeat_s + 1)
        assert runner.at_once == 0
    assert runner.ran == []


@pytest.mark.parametrize(
    ("method", "applied"),
    [("claim_run", False), ("claim_run", True), ("finish_run", False), ("finish_run", True), ("extend_runs", True)],
)
async def test_a_database_call_that_fails_or_whose_answer_is_lost(
    autojump_clock: object, fake: FakeNode, runner: Runner, method: str, applied: bool
) -> None:
    runner.run_s = 15.0  # long enough for a heartbeat
    async with running(fake):
        await trio.sleep(1)
        run_id = await ordered(fake)
        fake.store.break_next(method, applied=applied)
        await until_ended(fake, run_id)
    assert fake.store.runs[run_id].status == "Finished"


async def test_it_is_counted(autojump_clock: object, fake: FakeNode) -> None:
    async with running(fake):
        run_id = await ordered(fake)
        await trio.sleep(1)
        assert b"worker_custom_runs_inflight{" in fake.metrics.render()
        assert fake.metrics.custom_runs_inflight._value.get() == 1
        await until_ended(fake, run_id)
        assert fake.metrics.custom_runs_inflight._value.get() == 0
        assert fake.metrics.stream_inflight._value.get() == 0
    assert fake.metrics.custom_run_end.labels(status="Finished")._value.get() == 1
