"""The number of statements that jobs cost, and a node whose statement gets no answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import trio

from deepoj.nursery.leases import MARGIN
from deepoj.nursery.loops import LOOKS, Reclaim
from deepoj.nursery.work import JobIntake
from deepoj.observe import Metrics
from deepoj.pipeline.reclaim import ReclaimSettings
from deepoj.words.errors import StreamUnavailable
from deepoj.words.jobs import Claim, ClaimRefusal, Held
from deepoj.words.results import Report
from deepoj.words.stream import Entry
from tests.fakes.node import FakeNode, submitted, until_done
from tests.fakes.store import MemoryStore
from tests.fakes.stream import MemoryStream
from tests.unit.test_tree import running


@pytest.fixture
def fake(metrics: Metrics) -> FakeNode:
    return FakeNode(store=MemoryStore(), stream=MemoryStream(), metrics=metrics, slots=8, judge_s=25.0)


async def test_free_slots_are_filled_by_one_claim_and_kept_by_one_heartbeat(
    autojump_clock: object, fake: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims: list[int] = []
    beats: list[int] = []
    claim, extend = fake.store.claim, fake.store.extend

    async def counted_claim(entries: Sequence[Entry], *rest: Any, **more: Any) -> dict[str, Claim | ClaimRefusal]:
        claims.append(len(entries))
        return await claim(entries, *rest, **more)

    async def counted_extend(held: Sequence[Held], *rest: Any) -> set[str]:
        beats.append(len(held))
        return await extend(held, *rest)

    monkeypatch.setattr(fake.store, "claim", counted_claim)
    monkeypatch.setattr(fake.store, "extend", counted_extend)
    jobs = [await submitted(fake.store, fake.metrics, f"code {n}") for n in range(20)]
    events = await fake.store.take_outbox(100, 0.5, 10.0)
    entry_ids = await fake.stream.publish(events)
    await fake.store.mark_delivered([(event.id, one) for event, one in zip(events, entry_ids, strict=True)])
    async with running(fake):
        await until_done(fake.store, *jobs)
    assert claims[0] == 8
    # all jobs take the same time; two that end in the same instant may be followed one by one
    assert sum(claims) == 20
    # one every ten seconds, for all jobs in hand; 20 jobs of 25 s on 8 slots are some 75 s
    assert max(beats) == 8
    assert len(beats) <= 9


async def test_reclaim_goes_on_where_it_was(autojump_clock: object, fake: FakeNode) -> None:
    """The cursor survives a round, and the breakage that ended one: the same object is run again."""
    asked: list[str] = []

    class Long(MemoryStream):
        async def reclaim(self, min_idle_ms: int, cursor: str, count: int) -> tuple[str, list[Any]]:
            asked.append(cursor)
            if len(asked) == 3:
                raise StreamUnavailable("away for a moment")
            return "0-0" if len(asked) in (5, 7) else f"{len(asked)}-0", []

    job_intake = fake.node().work[0].intake
    assert isinstance(job_intake, JobIntake)
    job_intake.open(lambda lease: None)
    loop = Reclaim(
        stream=Long(), job_intake=job_intake, settings=ReclaimSettings(75_000, 16), metrics=fake.metrics,
        stop_deadline=fake.stop_deadline,
    )  # fmt: skip
    with pytest.raises(StreamUnavailable):
        await loop.once()
    await loop.once()  # to the end of the list, then once through all of it
    assert asked == ["0-0", "1-0", "2-0", "2-0", "4-0", "0-0", "6-0"]
    await loop.once()
    assert asked[7:9] == ["0-0", "8-0"]
    assert len(asked) == 7 + LOOKS  # no end was reached: the next round goes on
    await loop.once()
    assert asked[7 + LOOKS] == f"{7 + LOOKS}-0"


@pytest.mark.parametrize("silent", [True, False], ids=["no answer", "refused"])
async def test_a_node_without_its_database_stops_every_judge_before_the_lease_ends(
    autojump_clock: object, fake: FakeNode, monkeypatch: pytest.MonkeyPatch, silent: bool
) -> None:
    """Also when the heartbeat's statement hangs: the node's clock decides, not an answer."""
    stopped: list[float] = []

    async def judge(_claim: Claim) -> Report:
        try:
            await trio.sleep_forever()
        finally:
            stopped.append(trio.current_time())
        raise AssertionError("sleep_forever returned")

    async def hangs(*_args: Any) -> set[str]:
        await trio.sleep_forever()
        raise AssertionError("sleep_forever returned")

    fake.judge = judge
    jobs = [await submitted(fake.store, fake.metrics, f"code {n}") for n in range(3)]
    async with running(fake):
        with trio.fail_after(60):
            while any(fake.store.rows[job_id].lease_until is None for job_id in jobs):
                await trio.sleep(0.1)
        await trio.sleep(15)  # a heartbeat or two
        if silent:
            monkeypatch.setattr(fake.store, "extend", hangs)
        else:
            fake.store.down = True
        ends = sorted(fake.store.rows[job_id].lease_until or 0.0 for job_id in jobs)
        with trio.fail_after(120):
            while len(stopped) < len(jobs):
                await trio.sleep(0.1)
        assert all(at < end for at, end in zip(sorted(stopped), ends, strict=True))
        assert min(stopped) >= ends[0] - fake.lease_s * MARGIN - 0.2, "given up long before it had to be"


async def test_a_database_away_for_moments_costs_no_lease(autojump_clock: object, fake: FakeNode) -> None:
    """Restarts of the heartbeat pause at most one period, after any number of failures."""
    fake.lease_s, fake.heartbeat_s, fake.judge_s = 0.9, 0.2, 30.0
    job_id = await submitted(fake.store, fake.metrics)
    async with running(fake):
        with trio.fail_after(60):
            while fake.store.rows[job_id].lease_until is None:
                await trio.sleep(0.01)
        for _ in range(12):
            fake.store.down = True
            await trio.sleep(0.25)
            fake.store.down = False
            await trio.sleep(1.0)
        await until_done(fake.store, job_id)
    assert fake.store.rows[job_id].attempt_id == 1


@pytest.mark.parametrize("period_s", [0.05, 0.2, 10.0])
def test_the_heartbeats_budget_has_room_for_an_outage_at_its_pace(fake: FakeNode, period_s: float) -> None:
    fake.heartbeat_s = period_s
    (heartbeat,) = [child for child in fake.node().keepers if child.name == "heartbeat"]
    assert heartbeat.backoff_max_s <= period_s
    assert heartbeat.budget > heartbeat.window_s / (heartbeat.backoff_max_s * 0.75)
