"""The pipeline of a submission over fakes, with a crash or an outage at every step: one verdict, no entry left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import trio

from deepoj.nursery.work import ACK_S
from deepoj.observe import Metrics
from deepoj.pipeline.submit import submit
from deepoj.words.errors import BlobsUnavailable, BoxAway, Breakage
from deepoj.words.jobs import Claim, State
from deepoj.words.results import Infra, Report, Verdict
from deepoj.words.submissions import Draft, Receipt
from tests.fakes.node import FakeNode, submitted, until_done
from tests.fakes.store import MemoryStore
from tests.fakes.stream import MemoryStream
from tests.unit.makers import a_report
from tests.unit.test_tree import running


@pytest.fixture
def fake(metrics: Metrics) -> FakeNode:
    return FakeNode(store=MemoryStore(), stream=MemoryStream(), metrics=metrics)


def verdicts(store: MemoryStore, job_id: str) -> list[str]:
    """Return the finalize events of a job in the ledger."""
    return [row.event for row in store.ledger if row.job_id == job_id and row.event == "finalized"]


def nothing_pending(fake: FakeNode) -> bool:
    return not fake.stream.server.ready_group().pending


async def settled(fake: FakeNode, within_s: float = 600) -> None:
    """Wait until no entry is pending."""
    with trio.fail_after(within_s):
        while not nothing_pending(fake):
            await trio.sleep(0.1)


async def test_a_submission_gets_its_verdict_without_waiting_for_a_poll(autojump_clock: object, fake: FakeNode) -> None:
    fake.judge_s = 0.0
    async with running(fake):
        await trio.sleep(60)  # everything idles
        began = trio.current_time()
        job_id = await submitted(fake.store, fake.metrics)
        assert await until_done(fake.store, job_id) - began < 0.2
        await settled(fake)
    assert fake.judged == [(job_id, 1)]
    assert verdicts(fake.store, job_id) == ["finalized"]


class SlowAcks(MemoryStream):
    """A stream that acks nothing for a minute, or until ``gate`` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = trio.Event()

    async def ack(self, entry_ids: Sequence[str]) -> int:
        with trio.move_on_after(60):
            await self.gate.wait()
        return await super().ack(entry_ids)


async def test_ack_does_not_hold_the_slot(autojump_clock: object, fake: FakeNode) -> None:
    fake.stream = acks = SlowAcks()
    fake.slots, fake.judge_s = 1, 0.0
    async with running(fake):
        jobs = [await submitted(fake.store, fake.metrics, f"code {n}") for n in range(3)]
        assert await until_done(fake.store, *jobs) < ACK_S
        assert not nothing_pending(fake)
        acks.gate.set()
        await trio.sleep(1)
        assert nothing_pending(fake)


async def test_stop_waits_for_an_ack_and_not_for_long(autojump_clock: object, fake: FakeNode) -> None:
    fake.stream = acks = SlowAcks()
    fake.judge_s = 0.0
    async with running(fake):
        job_id = await submitted(fake.store, fake.metrics)
        stopped_at = await until_done(fake.store, job_id)
    assert trio.current_time() - stopped_at < ACK_S + 1
    assert not nothing_pending(fake)
    acks.gate.set()
    async with running(fake):
        await settled(fake)
    assert verdicts(fake.store, job_id) == ["finalized"]


async def test_stop_right_after_the_verdict_leaves_no_entry(
    autojump_clock: object, fake: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = trio.Event()
    finalize = fake.store.finalize

    async def finalize_and_stop(*args: Any) -> Any:
        stop.set()
        await trio.sleep(1)  # the consumer hands over what no job of this node has, and ends
        return await finalize(*args)

    monkeypatch.setattr(fake.store, "finalize", finalize_and_stop)
    async with trio.open_nursery() as nursery:
        await nursery.start(fake.run, stop)
        await submitted(fake.store, fake.metrics)
    assert fake.judged
    assert nothing_pending(fake)


async def test_no_more_jobs_than_slots_are_in_hand(autojump_clock: object, fake: FakeNode) -> None:
    at_once = most = 0

    async def judge(claim: Claim) -> Report:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await trio.sleep(1)
        at_once -= 1
        return a_report()

    fake.judge = judge
    async with running(fake):
        jobs = [await submitted(fake.store, fake.metrics, f"code {n}") for n in range(9)]
        await until_done(fake.store, *jobs)
    assert most == fake.slots


@pytest.mark.parametrize(
    ("method", "applied"),
    [
        ("take_outbox", False),
        ("take_outbox", True),
        ("mark_delivered", False),
        ("mark_delivered", True),
        ("claim", False),
        ("claim", True),
        ("finalize", False),
        ("finalize", True),
        ("extend", True),
    ],
)
async def test_a_database_call_that_fails_or_whose_answer_is_lost(
    autojump_clock: object, fake: FakeNode, method: str, applied: bool
) -> None:
    fake.judge_s = 15.0  # long enough for a heartbeat
    async with running(fake):
        await trio.sleep(1)
        fake.store.break_next(method, applied=applied)
        job_id = await submitted(fake.store, fake.metrics)
        await until_done(fake.store, job_id)
        await settled(fake)
    assert verdicts(fake.store, job_id) == ["finalized"]
    assert fake.store.rows[job_id].status == Verdict.ACCEPTED


async def test_redis_away_while_submitting(autojump_clock: object, fake: FakeNode) -> None:
    async with running(fake):
        await trio.sleep(1)
        fake.stream.server.down = True
        job_id = await submitted(fake.store, fake.metrics)
        await trio.sleep(120)
        assert fake.store.rows[job_id].state is State.PENDING
        assert [event.status for event in fake.store.outbox.values()] == ["pending"]
        assert all(event.last_error for event in fake.store.outbox.values())
        fake.stream.server.down = False
        began = trio.current_time()
        assert await until_done(fake.store, job_id) - began < 20
    assert verdicts(fake.store, job_id) == ["finalized"]


async def test_redis_wiped_with_jobs_in_it(autojump_clock: object, fake: FakeNode) -> None:
    fake.judge_s = 5.0
    async with running(fake):
        jobs = [await submitted(fake.store, fake.metrics, f"code {n}") for n in range(6)]
        await trio.sleep(1)
        fake.stream.server.wipe()
        await until_done(fake.store, *jobs)
    assert all(verdicts(fake.store, job_id) == ["finalized"] for job_id in jobs)


async def test_an_answer_of_publish_that_is_lost_doubles_the_entry_and_not_the_verdict(
    autojump_clock: object, fake: FakeNode
) -> None:
    async with running(fake):
        await trio.sleep(1)
        fake.stream.server.lose_next_publish_answer = True
        job_id = await submitted(fake.store, fake.metrics)
        await until_done(fake.store, job_id)
        await trio.sleep(120)
        await settled(fake)
    assert fake.judged == [(job_id, 1)]
    assert len(fake.stream.server.entries) == 2


async def test_redis_away_at_the_ack_costs_only_the_ack(autojump_clock: object, fake: FakeNode) -> None:
    write = fake.store.finalize

    async def finalize_then_silence(claim: Claim, report: Report, result: dict[str, object]) -> object:
        fake.stream.server.down = True
        return await write(claim, report, result)

    fake.store.finalize = finalize_then_silence  # type: ignore[method-assign, assignment]
    async with running(fake):
        job_id = await submitted(fake.store, fake.metrics)
        await until_done(fake.store, job_id)
        await trio.sleep(10)
        fake.stream.server.down = False
        await settled(fake)
    assert fake.judged == [(job_id, 1)]


async def test_a_node_that_vanishes_is_followed_by_another(
    autojump_clock: object, fake: FakeNode, metrics: Metrics
) -> None:
    """The node is cancelled without its stop sequence, as by SIGKILL."""
    fake.judge_s = 9999.0
    fake.store.give_back = None  # type: ignore[method-assign, assignment]
    with trio.move_on_after(5), pytest.raises(BaseExceptionGroup):
        async with running(fake):
            job_id = await submitted(fake.store, metrics)
            await trio.sleep(9999)
    del fake.store.give_back
    other = FakeNode(store=fake.store, stream=fake.stream.beside("worker-2"), metrics=metrics, owner="node-b")
    async with running(other):
        began = trio.current_time()
        took = await until_done(fake.store, job_id) - began
        await settled(other)
    assert other.judged == [(job_id, 2)]
    assert took < fake.lease_s + fake.grace_s + 20


async def test_infra_trouble_is_tried_again_and_never_the_contestants(autojump_clock: object, fake: FakeNode) -> None:
    tries = 0

    async def judge(claim: Claim) -> Report | Infra:
        nonlocal tries
        tries += 1
        return Infra("BlobMissing", "problems/2001.zip is not there") if tries < 3 else a_report()

    fake.judge = judge
    async with running(fake):
        job_id = await submitted(fake.store, fake.metrics)
        await until_done(fake.store, job_id)
        await settled(fake)
    assert fake.store.rows[job_id].attempt_id == 3
    assert fake.store.rows[job_id].status == Verdict.ACCEPTED


@pytest.mark.parametrize(
    ("away", "for_s"),
    [
        (BlobsUnavailable("the object store is away"), 600),
        (BoxAway("no launcher can be had"), 600),
        pytest.param(BoxAway("no launcher can be had"), 3600, marks=pytest.mark.full),
    ],
)
async def test_long_outage_uses_up_no_attempts(
    autojump_clock: object, fake: FakeNode, away: Breakage, for_s: float
) -> None:
    back_at = trio.current_time() + for_s

    async def judge(claim: Claim) -> Report:
        if trio.current_time() < back_at:
            raise away
        return a_report()

    fake.judge = judge
    async with running(fake):
        job_id = await submitted(fake.store, fake.metrics)
        assert await until_done(fake.store, job_id, within_s=4000) - back_at < 60
    assert fake.store.rows[job_id].status == Verdict.ACCEPTED


async def test_attempts_are_bounded_then_the_job_is_dead(autojump_clock: object, fake: FakeNode) -> None:
    async def judge(claim: Claim) -> Infra:
        return Infra("BoxBroken", "the launcher is gone")

    fake.judge = judge
    async with running(fake):
        job_id = await submitted(fake.store, fake.metrics)
        with trio.fail_after(3600):
            while fake.store.rows[job_id].state is not State.DEAD:
                await trio.sleep(1)
        await settled(fake)
    row = fake.store.rows[job_id]
    assert (row.status, row.error_code) == ("System Error", "ATTEMPTS_EXHAUSTED")
    assert row.attempt_id == 5


async def test_the_database_away_for_ten_minutes(autojump_clock: object, fake: FakeNode) -> None:
    async with running(fake):
        job_id = await submitted(fake.store, fake.metrics)
        await trio.sleep(1)
        fake.store.down = True
        await trio.sleep(600)
        fake.store.down = False
        began = trio.current_time()
        assert await until_done(fake.store, job_id) - began < 120
        await settled(fake)
    assert verdicts(fake.store, job_id) == ["finalized"]


@pytest.mark.parametrize(("user_cap", "counted_to"), [(None, None), (20, 20), (499, 499), (500, None), (10**7, None)])
async def test_submit_counts_per_user_only_below_the_common_cap(
    fake: FakeNode, monkeypatch: pytest.MonkeyPatch, user_cap: int | None, counted_to: int | None
) -> None:
    """The exact count reads as many rows as the user's cap: a cap that cannot be reached must cost nothing."""
    caps: list[object] = []

    async def note(_draft: Draft, **options: object) -> Receipt:
        caps.append(options["user_inflight_cap"])
        return Receipt("job-1")

    monkeypatch.setattr(fake.store, "submit", note)
    one = Draft(user_id=1, problem_id=2, language="cpp17", code="int main(){}", trace_id="t")
    await submit(
        fake.store, one, inflight_cap=500, user_inflight_cap=user_cap, dedup_window_s=600, stream_key="s",
        metrics=fake.metrics,
    )  # fmt: skip
    assert caps == [counted_to]
