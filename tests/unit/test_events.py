"""Events that the runbook greps for, and the metrics beside them, where nothing else would show them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import trio

from deepoj.nursery.loops import Gc, RepairCycle
from deepoj.observe import Metrics
from deepoj.pipeline.finalize import finalize
from deepoj.pipeline.retention import RetentionSettings
from deepoj.words.errors import StoreUnavailable, StreamUnavailable
from deepoj.words.jobs import Claim, State
from tests.fakes.node import FakeNode, submitted, until_done
from tests.fakes.store import MemoryStore
from tests.fakes.stream import MemoryStream
from tests.logs import Lines, captured_logs
from tests.unit.makers import a_report, an_entry
from tests.unit.test_observe import contract_events
from tests.unit.test_tree import running


@pytest.fixture
def fake(metrics: Metrics) -> FakeNode:
    return FakeNode(store=MemoryStore(), stream=MemoryStream(), metrics=metrics)


@pytest.fixture
def lines() -> Iterator[Lines]:
    with captured_logs(throttle_s=10.0, clock=trio.current_time) as captured:
        yield captured


def events(lines: Lines, name: str) -> Lines:
    return [line for line in lines if line["event"] == name]


def counted(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    """A counter's values, by its labels' values in their names' order."""
    return {
        tuple(value for label, value in sorted(sample.labels.items()) if label not in {"service", "instance"}): (
            sample.value
        )
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == name
    }


async def test_a_round_of_repair_is_counted_and_one_that_breaks_is_told(
    autojump_clock: object, metrics: Metrics, lines: Lines
) -> None:
    away = False

    async def once() -> None:
        await trio.lowlevel.checkpoint()
        if away:
            raise StreamUnavailable("Redis at r:1 cannot be used")

    cycle = RepairCycle(once=once, metrics=metrics)
    await cycle()
    assert events(lines, "repair_cycle_error") == []
    assert counted(metrics, "scheduler_repair_total") == {("", "round"): 1}
    away = True
    with pytest.raises(StreamUnavailable):
        await cycle()
    (line,) = events(lines, "repair_cycle_error")
    assert (line["level"], line["reason"]) == ("warning", "Redis at r:1 cannot be used")
    assert counted(metrics, "scheduler_repair_total")["StreamUnavailable", "error"] == 1


async def finished(store: MemoryStore, metrics: Metrics, count: int) -> None:
    for number in range(count):
        job_id = await submitted(store, metrics, f"// {number}")
        store.rows[job_id].state = State.DONE


def broom(store: MemoryStore, metrics: Metrics, *, delete: bool) -> Gc:
    retention = RetentionSettings(100.0, 2, delete)
    return Gc(rows=store, stream=MemoryStream(), max_len=10, retention=retention, metrics=metrics)


async def test_the_database_is_swept_dry_unless_it_is_asked_for(
    autojump_clock: object, metrics: Metrics, lines: Lines
) -> None:
    store = MemoryStore()
    await finished(store, metrics, 5)
    await trio.sleep(50)
    await broom(store, metrics, delete=False).once()
    assert events(lines, "db_gc_plan") == []  # nothing is that old
    await trio.sleep(60)
    await broom(store, metrics, delete=False).once()
    assert [(line["count"], line["reason"]) for line in events(lines, "db_gc_plan")] == [(5, "dry_run")]
    assert events(lines, "db_gc_delete") == []
    assert len(store.rows) == 5
    await broom(store, metrics, delete=True).once()
    assert [(line["count"], line["reason"]) for line in events(lines, "db_gc_plan")][1:] == [(5, "delete")]
    assert [line["count"] for line in events(lines, "db_gc_delete")] == [2, 2, 1]
    assert not store.rows
    assert counted(metrics, "scheduler_db_gc_total") == {
        ("dry_run", "nothing"): 1,
        ("dry_run", "planned"): 5,
        ("delete", "planned"): 5,
        ("retention", "deleted"): 5,
    }


async def test_a_sweep_that_breaks_is_counted(autojump_clock: object, metrics: Metrics) -> None:
    store = MemoryStore(down=True)
    gc = broom(store, metrics, delete=False)
    with pytest.raises(StoreUnavailable):
        await gc.once()
    assert counted(metrics, "scheduler_db_gc_total") == {("StoreUnavailable", "error"): 1}
    assert isinstance(gc.stream, MemoryStream)
    gc.stream.server.down = True
    with pytest.raises(StreamUnavailable):
        await gc.once()
    assert counted(metrics, "scheduler_stream_trim_total")["error",] == 1


async def test_a_pause_for_want_of_slots_is_told_once_in_a_while(
    autojump_clock: object, fake: FakeNode, lines: Lines
) -> None:
    fake.judge_s = 1.0
    async with running(fake):
        await until_done(fake.store, await submitted(fake.store, fake.metrics, "// alone"))
        await trio.sleep(5)
        assert events(lines, "backpressure_pause") == []
        jobs = [await submitted(fake.store, fake.metrics, f"// {number}") for number in range(50)]
        await until_done(fake.store, *jobs)  # twenty-five seconds with every slot taken
    told = events(lines, "backpressure_pause")
    assert 2 <= len(told) <= 4
    assert {(line["in_hand"], line["reason"]) for line in told} == {(fake.slots, "no_free_slot")}
    assert told[-1]["count"] > 1  # of the pauses between


async def test_reclaimed_entry_of_a_finished_job_is_logged_and_counted(
    autojump_clock: object, fake: FakeNode, lines: Lines
) -> None:
    job_id = await submitted(fake.store, fake.metrics)
    taken = await fake.store.take_outbox(10, 1, 1)
    dead = fake.stream.beside("dead")
    await dead.publish(taken)
    await dead.read(1, 0)  # its reader died between the verdict and the ack
    await fake.store.mark_delivered([(event.id, "1-0") for event in taken])
    fake.store.rows[job_id].state = State.DONE
    async with running(fake):
        with trio.fail_after(600):
            while not events(lines, "reclaim_skipped"):
                await trio.sleep(1)
    (line,) = events(lines, "reclaim_skipped")
    assert (line["job_id"], line["reason"]) == (job_id, "already_done")
    assert counted(fake.metrics, "worker_reclaim_total")["already_done", "skipped"] == 1


def lacks(lines: Lines) -> list[str]:
    """What the contract's events should say and do not, as ``event: field``."""
    return sorted(
        {
            f"{line['event']}: {field}"
            for line in lines
            for field in contract_events().get(str(line["event"]), ())
            if field not in line
        }
    )


async def test_the_events_of_a_walk_carry_the_contracts_fields(
    autojump_clock: object, fake: FakeNode, lines: Lines
) -> None:
    async with running(fake):
        await until_done(fake.store, await submitted(fake.store, fake.metrics))
        await trio.sleep(1)
    seen = {line["event"] for line in lines}
    assert {"enqueue", "claim", "db_finalize_ok", "xack_ok"} <= seen
    assert not lacks(lines)


async def claimed(store: MemoryStore, metrics: Metrics) -> Claim:
    await submitted(store, metrics)
    (event,) = await store.take_outbox(10, 1, 1)
    answers = await store.claim([an_entry(event.job_id)], "node-a", 60.0, 5)
    claim = answers["1-0"]
    assert isinstance(claim, Claim)
    return claim


async def test_verdicts_that_do_not_stand_say_whose_they_are(
    autojump_clock: object, metrics: Metrics, lines: Lines
) -> None:
    store = MemoryStore()
    claim = await claimed(store, metrics)
    report = a_report()
    store.down = True
    with pytest.raises(StoreUnavailable):
        await finalize(store, claim, report, metrics)
    store.down = False
    await finalize(store, replace(claim, attempt_id=claim.attempt_id - 1), report, metrics)
    assert await finalize(store, claim, report, metrics) is None
    await finalize(store, claim, report, metrics)
    names = [line["event"] for line in lines if line["event"].startswith("db_finalize")]
    assert names == ["db_finalize_error", "db_finalize_stale", "db_finalize_ok", "db_finalize_rejected"]
    assert {line["trace_id"] for line in lines if line["event"] in names} == {claim.trace_id}
    assert not lacks(lines)
