"""The loops' rounds: what they put where people look, and when they ask again."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import trio

from deepoj.capacity.pressure import FIELDS, LatestPressure
from deepoj.nursery.loops import HealthCheck, KeepSandbox, Pressure
from deepoj.nursery.supervise import Child, ChildStatus, kept
from deepoj.observe import Metrics
from deepoj.words.errors import BoxAway, BoxBroken, StoreUnavailable, StreamUnavailable
from deepoj.words.outbox import OutboxEvent
from deepoj.words.readiness import PartState, Readiness
from deepoj.words.stream import PressureSnapshot
from tests.fakes.box import ScriptedBox
from tests.fakes.node import FakeNode, submitted, until_done
from tests.fakes.store import MemoryStore
from tests.fakes.stream import MemoryStream
from tests.unit.test_tree import running


def value(metrics: Metrics, name: str) -> float:
    """The one sample of a metric without labels of its own."""
    found = [sample.value for family in metrics.registry.collect() for sample in family.samples if sample.name == name]
    assert len(found) == 1, name
    return found[0]


def an_event(number: int) -> OutboxEvent:
    return OutboxEvent(
        id=number,
        job_id=f"job-{number}",
        stream_key="deepoj:jobs",
        enqueue_ts_ms=0,
        priority=0,
        payload="{}",
        attempts=1,
    )


def looking(stream: MemoryStream, metrics: Metrics, store: MemoryStore | None = None) -> Pressure:
    return Pressure(outbox=store or MemoryStore(), stream=stream, latest=LatestPressure(), metrics=metrics)


def fields(metrics: Metrics) -> dict[str, float]:
    (family,) = [found for found in metrics.registry.collect() if found.name == "api_pressure_snapshot"]
    return {sample.labels["field"]: sample.value for sample in family.samples}


async def test_pressure_shows_what_waits_and_who_is_there(autojump_clock: object, metrics: Metrics) -> None:
    stream, store = MemoryStream(), MemoryStore()
    await submitted(store, metrics)
    await stream.publish([an_event(number) for number in range(5)])
    await stream.read(2, 0)
    await trio.sleep(7)
    loop = looking(stream, metrics, store)
    await loop.once()
    assert value(metrics, "stream_lag") == 3
    assert value(metrics, "stream_backlog") == 5
    assert value(metrics, "scheduler_active_workers") == 1
    assert value(metrics, "oldest_age_seconds") > 6
    assert value(metrics, "api_outbox_pending") == 1
    lanes = {
        sample.labels["lane"]: sample.value
        for family in metrics.registry.collect()
        if family.name == "api_outbox_lane_pending"
        for sample in family.samples
    }
    assert lanes == {"contest": 0, "interactive": 1, "batch": 0, "rejudge": 0}
    assert fields(metrics)["waiting"] == 4
    assert set(fields(metrics)) == set(FIELDS)
    assert {name: fields(metrics)[name] for name in ("xlen", "pending", "lag", "lag_valid", "backlog", "approx")} == {
        "xlen": 5, "pending": 2, "lag": 3, "lag_valid": 1, "backlog": 5, "approx": 0,
    }  # fmt: skip
    await trio.sleep(60)
    await loop.once()
    assert value(metrics, "scheduler_active_workers") == 0


async def test_an_unknown_lag_is_not_zero(autojump_clock: object, metrics: Metrics) -> None:
    class Unknown(MemoryStream):
        async def pressure(self) -> PressureSnapshot:
            return replace(await super().pressure(), lag=None)

    stream = Unknown()
    await stream.publish([an_event(1)])
    loop = looking(stream, metrics)
    await loop.once()
    assert math.isnan(value(metrics, "stream_lag"))
    assert math.isnan(value(metrics, "stream_backlog"))
    assert (fields(metrics)["lag_valid"], fields(metrics)["pending"]) == (0, 0)
    seen = loop.latest.get(1)
    assert seen is not None
    assert (seen.lag, seen.backlog, seen.lag_valid) == (None, None, False)


async def test_without_redis_the_outbox_is_told_all_the_same(autojump_clock: object, metrics: Metrics) -> None:
    """Which is when it fills, and when somebody looks."""

    class Away(MemoryStream):
        async def pressure(self) -> PressureSnapshot:
            raise StreamUnavailable("no Redis here")

    store = MemoryStore()
    await submitted(store, metrics)
    await trio.sleep(9)
    loop = looking(Away(), metrics, store)
    with pytest.raises(StreamUnavailable):
        await loop.once()
    assert value(metrics, "api_outbox_pending") == fields(metrics)["outbox_pending"] == 1
    assert value(metrics, "oldest_age_seconds") == fields(metrics)["oldest_age_seconds"] > 8
    assert math.isnan(value(metrics, "stream_lag"))
    assert loop.latest.get(60) is None
    outage = loop.latest.outage
    assert outage is not None
    assert (outage.outbox.total, (outage.oldest_age_ms or 0) > 8000, loop.latest.consumers) == (1, True, None)
    await submitted(store, metrics, code="another")
    with pytest.raises(StreamUnavailable):
        await loop.once()
    again = loop.latest.outage
    assert again is not None
    assert (again.since, again.outbox.total) == (outage.since, 2), "it is the same outage, and the count is new"
    loop.latest.put(await MemoryStream().pressure())
    assert loop.latest.outage is None


def test_metrics_without_a_measurement_are_nan(metrics: Metrics) -> None:
    """A worker tells all metrics of the process; that nothing waits it does not know."""
    for name in ("api_outbox_pending", "stream_lag", "oldest_age_seconds", "scheduler_active_workers", "dlq_size"):
        assert math.isnan(value(metrics, name)), name


async def test_work_without_an_entry_shows_by_its_row(autojump_clock: object, metrics: Metrics) -> None:
    stream, store = MemoryStream(), MemoryStore()
    loop = looking(stream, metrics, store)
    await loop.once()
    seen = loop.latest.get(1)
    assert seen is not None
    assert (seen.oldest_age_ms, seen.oldest_age_source, seen.oldest_age_s, seen.approx) == (None, "none", 0, False)
    await submitted(store, metrics)
    await trio.sleep(9)
    await loop.once()
    seen = loop.latest.get(1)
    assert seen is not None
    assert (seen.oldest_age_ms, seen.oldest_age_source, seen.approx, seen.outbox_pending) == (9000, "outbox", False, 1)


@pytest.mark.parametrize("away", ["stream", "store"])
async def test_pressure_of_a_store_that_is_away_is_unknown_and_the_snapshot_ages(
    autojump_clock: object, metrics: Metrics, away: str
) -> None:
    stream, store = MemoryStream(), MemoryStore()
    loop = looking(stream, metrics, store)
    assert loop.latest.get(1e9) is None
    await loop.once()
    assert value(metrics, "stream_lag") == 0
    stream.server.down, store.down = away == "stream", away == "store"
    await trio.sleep(3)
    with pytest.raises((StreamUnavailable, StoreUnavailable)):
        await loop.once()
    told = {"oldest_age_seconds", "outbox_pending"} if away == "stream" else set()
    assert {name for name, number in fields(metrics).items() if not math.isnan(number)} == told
    for name, field in (
        ("stream_lag", "lag"), ("stream_backlog", "backlog"), ("oldest_age_seconds", "oldest_age_seconds"),
        ("api_outbox_pending", "outbox_pending"),
    ):  # fmt: skip
        assert math.isnan(value(metrics, name)) == (field not in told), name
    assert loop.latest.get(2) is None
    assert loop.latest.get(4) is not None


async def test_health_check_sets_the_status_of_each_dependency(autojump_clock: object) -> None:
    away = True

    async def database() -> None:
        await trio.lowlevel.checkpoint()
        if away:
            raise StoreUnavailable("PostgreSQL at db:5432 cannot be reached")

    async def redis() -> None:
        await trio.sleep_forever()

    async def objects() -> None:
        await trio.lowlevel.checkpoint()
        asked_at.append(trio.current_time())

    asked_at: list[float] = []
    child_status = ChildStatus()
    health = HealthCheck(
        child_status=child_status,
        pings={"database": database, "redis": redis, "objects": objects},
        signs={"database": lambda: False, "redis": lambda: trio.current_time() - began > 5},
        timeout_s=2,
    )
    began = trio.current_time()
    await health.once()
    assert asked_at == [began], "a part that hangs delays no other"
    seen = child_status.readiness()
    assert dict(seen.parts) == {"database": PartState.DOWN, "redis": PartState.DOWN, "objects": PartState.UP}
    assert seen.reasons["database"] == "PostgreSQL at db:5432 cannot be reached"
    assert "did not answer within 2 s" in seen.reasons["redis"]
    away = False
    await health.once()
    assert child_status.readiness().parts["database"] is PartState.UP
    await trio.sleep(5)
    asking_at = trio.current_time()
    await health.once()
    assert child_status.readiness().parts["redis"] is PartState.UP, "it has just answered"
    assert asked_at[-1] == trio.current_time() == asking_at, "so it was not asked"


@pytest.fixture
def fake(metrics: Metrics) -> FakeNode:
    return FakeNode(store=MemoryStore(), stream=MemoryStream(), metrics=metrics)


async def test_jobs_in_hand_are_counted_while_they_are(autojump_clock: object, fake: FakeNode) -> None:
    fake.judge_s = 10.0
    async with running(fake):
        job_id = await submitted(fake.store, fake.metrics)
        await trio.sleep(1)
        assert value(fake.metrics, "worker_stream_inflight") == 1
        assert value(fake.metrics, "worker_reclaim_inflight") == 0
        await until_done(fake.store, job_id)
        await trio.sleep(1)
        assert value(fake.metrics, "worker_stream_inflight") == 0


async def test_a_reclaimed_job_is_counted_as_one(autojump_clock: object, fake: FakeNode) -> None:
    fake.judge_s = 10.0
    job_id = await submitted(fake.store, fake.metrics)
    events = await fake.store.take_outbox(10, 1, 1)
    ids = await fake.stream.beside("dead").publish(events)
    await fake.stream.beside("dead").read(1, 0)  # taken, never claimed: its reader died
    await fake.store.mark_delivered([(event.id, entry_id) for event, entry_id in zip(events, ids, strict=True)])
    async with running(fake):
        with trio.fail_after(300):
            while value(fake.metrics, "worker_reclaim_inflight") == 0:
                await trio.sleep(0.5)
        await until_done(fake.store, job_id)
        await trio.sleep(1)
        assert value(fake.metrics, "worker_reclaim_inflight") == 0


async def test_an_undelivered_event_is_not_forgotten_while_others_go_through(
    autojump_clock: object, fake: FakeNode
) -> None:
    """A delayed give-back beside fresh submissions: it comes when it is due, not at the next slow poll."""
    fake.judge_s = 0.1
    async with running(fake):
        late = await submitted(fake.store, fake.metrics, "late")
        event = next(iter(fake.store.outbox.values()))
        event.next_attempt_at = trio.current_time() + 2.0
        await submitted(fake.store, fake.metrics, "now")
        began = trio.current_time()
        assert await until_done(fake.store, late) - began < 3.0


class StoppedBox(ScriptedBox):
    """A box that can be found stopped, and that is away for ``away`` starts then."""

    def __init__(self) -> None:
        super().__init__()
        self.stopped = False
        self.away = 0
        self.late = ""

    def check(self) -> str:
        if self.stopped:
            raise BoxBroken("processes of the sandbox are stopped: 7")
        return self.late

    async def restore(self) -> None:
        if self.away:
            self.away -= 1
            raise BoxAway("the sandbox launcher cannot be started again: no memory")
        self.stopped = False


async def test_sandbox_stopped_on_an_idle_node_is_not_ready_until_it_is_restored(
    autojump_clock: object, metrics: Metrics
) -> None:
    box, status = StoppedBox(), ChildStatus()
    child = Child(name="sandbox", run=KeepSandbox(box=box, child_status=status), restart_on=(BoxBroken,))
    async with trio.open_nursery() as nursery:
        await nursery.start(kept, child, status, metrics)
        await trio.sleep(60)
        assert status.readiness().parts == {"sandbox": PartState.UP}
        box.stopped, box.away = True, 3
        reasons = list[str]()
        with trio.fail_after(10):
            while box.stopped:
                await trio.sleep(0.05)
                reasons += status.readiness().reasons.values()
                assert status.readiness().ready is not bool(status.readiness().reasons)
        await trio.sleep(4.1)
        assert status.readiness().ready
        nursery.cancel_scope.cancel()
    assert list(dict.fromkeys(reasons)) == [
        "processes of the sandbox are stopped: 7",
        "the sandbox launcher cannot be started again: no memory",
    ]
    assert value(metrics, "node_child_restarts_total") == 4


async def test_sandbox_that_is_stopped_again_and_again_is_not_up_in_between(
    autojump_clock: object, metrics: Metrics
) -> None:
    class Again(StoppedBox):
        async def restore(self) -> None:
            self.stopped = False

        def check(self) -> str:
            if not (self.is_sabotaged and self.stopped):
                self.stopped = True
                return ""
            raise BoxBroken("processes of the sandbox are stopped: 7")

        is_sabotaged = False

    box, status = Again(), ChildStatus()
    child = Child(name="sandbox", run=KeepSandbox(box=box, child_status=status), restart_on=(BoxBroken,))
    async with trio.open_nursery() as nursery:
        await nursery.start(kept, child, status, metrics)
        box.is_sabotaged = True
        await trio.sleep(4.1)
        states = set[PartState]()
        for _ in range(200):
            await trio.sleep(0.1)
            states |= set(status.readiness().parts.values())
        assert states == {PartState.RESTARTING}
        nursery.cancel_scope.cancel()


async def test_sandbox_with_an_overdue_run_is_down_until_the_run_ends(autojump_clock: object, metrics: Metrics) -> None:
    box, status = StoppedBox(), ChildStatus()
    child = Child(name="sandbox", run=KeepSandbox(box=box, child_status=status), restart_on=(BoxBroken,))
    async with trio.open_nursery() as nursery:
        await nursery.start(kept, child, status, metrics)
        box.late = "a run is overdue"
        await trio.sleep(5)
        assert status.readiness().parts == {"sandbox": PartState.DOWN}
        assert status.readiness().reasons == {"sandbox": "a run is overdue"}
        box.late = ""
        await trio.sleep(5)
        assert status.readiness() == Readiness({"sandbox": PartState.UP}, {})
        nursery.cancel_scope.cancel()
