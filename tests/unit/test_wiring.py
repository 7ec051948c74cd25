"""What the wiring gives to the children that it makes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any, cast

import pytest
import trio

from deepoj.adapters.blobs.directory import DirectoryBlobs
from deepoj.adapters.pg import PgStore
from deepoj.capacity.pressure import LatestPressure
from deepoj.capacity.roster import PERIOD_S
from deepoj.config.loader import load
from deepoj.nursery.background import BackgroundJudge
from deepoj.nursery.gate import Gate
from deepoj.nursery.leases import Leases
from deepoj.nursery.loops import Periodic
from deepoj.nursery.playground import TakeRuns
from deepoj.nursery.supervise import Child
from deepoj.nursery.waiting import WorkSignal
from deepoj.nursery.webhooks import Deliver
from deepoj.observe import Metrics
from deepoj.wiring.adapters import Adapters
from deepoj.wiring.children.intake import intake
from deepoj.wiring.children.jobs import EarlyRoom
from deepoj.wiring.children.keepers import health_check, keepers
from deepoj.wiring.children.parts import Parts, furnish
from deepoj.words.playground import RUN_ID_PREFIX
from deepoj.words.readiness import PartState
from deepoj.words.waiting import WorkKind
from tests.fakes.box import ScriptedBox
from tests.fakes.stream import MemoryStream
from tests.unit.makers import a_claim, a_custom_claim

JOB_ID = "0190c0de-0000-7000-8000-000000000001"
RUN_ID = f"{RUN_ID_PREFIX}0190c0de-0000-7000-8000-000000000002"


class RecordingPool:
    """A ``PgPool`` that records each query with its first argument and answers no rows."""

    def __init__(self) -> None:
        self.queries: list[tuple[str, object]] = []
        self.arguments: list[list[Any]] = []

    async def rows(self, query: str, *args: object, repeatable: bool) -> list[object]:
        del repeatable
        await trio.lowlevel.checkpoint()
        self.queries.append((query, args[0]))
        self.arguments.append(list(args))
        return []


def a_worker(
    metrics: Metrics,
    tmp_path: Path,
    pool: RecordingPool,
    roles: str = "worker",
    options: Mapping[str, object] = MappingProxyType({}),
) -> Parts:
    cfg = load({"roles": roles, "worker.workspace": str(tmp_path), **options}, {})
    unused = cast(Any, None)
    notifications = cast(Any, SimpleNamespace(serve=None))
    adapters = Adapters(
        home=None, store=PgStore(cast(Any, pool)), notifications=notifications, live_notifications=notifications,
        migrator=unused, stream=cast(Any, MemoryStream()), counters=unused, blobs=DirectoryBlobs(tmp_path),
        box=ScriptedBox(), isolation_reasons=(), data=cast(Any, object()), compiled=None, hooks=cast(Any, object()),
    )  # fmt: skip
    return furnish(cfg, adapters, metrics, on_step=lambda _: None)


async def test_wired_heartbeat_extends_jobs_and_custom_runs_each_in_its_own_table(
    autojump_clock: object, metrics: Metrics, tmp_path: Path
) -> None:
    pool = RecordingPool()
    parts = a_worker(metrics, tmp_path, pool)
    assert parts.jobs is not None
    [heartbeat] = [child for child in keepers(parts) if child.name == "heartbeat"]
    leases = parts.jobs.job_intake.leases
    leases.add(a_claim(JOB_ID), trio.current_time())
    leases.add(replace(a_custom_claim(), run_id=RUN_ID), trio.current_time())
    async with trio.open_nursery() as nursery:
        await nursery.start(heartbeat.run)
        await trio.sleep(parts.cfg.worker.stream.heartbeat_sec / 2)
        nursery.cancel_scope.cancel()
    assert pool.queries == [("extend", [JOB_ID]), ("extend_runs", [RUN_ID.removeprefix(RUN_ID_PREFIX)])]


@pytest.mark.parametrize(("is_asked", "queries"), [(True, ["announce", "withdraw_node"]), (False, ["announce"])])
async def test_a_node_that_is_stopped_withdraws_its_announcement_and_one_that_breaks_does_not(
    metrics: Metrics, tmp_path: Path, *, is_asked: bool, queries: list[str]
) -> None:
    pool = RecordingPool()
    parts = a_worker(metrics, tmp_path, pool)
    assert parts.jobs is not None
    parts.jobs.gate.open()
    async with announced(parts, pool):
        if is_asked:
            parts.stopping.set()
    assert [query for query, _ in pool.queries] == queries


@asynccontextmanager
async def announced(parts: Parts, pool: RecordingPool) -> AsyncIterator[list[Any]]:
    """Run the node's announcing; yields the arguments of its first announcement."""
    [roster] = [child for child in keepers(parts) if child.name == "roster"]
    async with trio.open_nursery() as nursery:
        await nursery.start(roster.run)
        with trio.fail_after(60):
            while not pool.queries:  # the disks are read in a thread
                await trio.sleep(0.01)
        yield pool.arguments[0]
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("roles", ["api", "scheduler", "gc", "worker", "all"])
async def test_every_node_announces_its_roles_and_only_one_that_judges_takes_work(
    metrics: Metrics, tmp_path: Path, roles: str
) -> None:
    pool = RecordingPool()
    parts = a_worker(metrics, tmp_path, pool, roles, {"worker.stream.consumer": "of-a-worker"})
    parts.languages["cpp17"] = "g++"
    if parts.jobs is not None:
        parts.jobs.gate.open()
    metrics.canary_failures.labels(case="abort").inc(2)
    async with announced(parts, pool) as (name, languages, _, facts, takes_work):
        judges = parts.jobs is not None
        assert (name == "of-a-worker", takes_work, json.loads(languages)) == (
            judges, judges, {"cpp17": "g++"} if judges else {},
        )  # fmt: skip
        assert json.loads(facts)["roles"] == sorted(parts.cfg.roles)
        assert json.loads(facts)["upkeep"] == {"canary_failures_total: abort": 2}


async def test_a_node_whose_canaries_fail_announces_that_it_takes_no_work(metrics: Metrics, tmp_path: Path) -> None:
    pool = RecordingPool()
    parts = a_worker(metrics, tmp_path, pool)
    assert parts.jobs is not None
    parts.jobs.gate.shut()
    for reason in ("abort: found Accepted", "abort: found Accepted once more"):
        parts.child_status.set("canary", PartState.DOWN, reason)
    since = parts.child_status.since("canary")
    assert since is not None
    async with announced(parts, pool) as (_, _, _, facts, takes_work):
        assert takes_work is False
        assert json.loads(facts)["canaries"] == {
            "state": "down", "since": since.isoformat(timespec="seconds"), "reason": "abort: found Accepted once more",
        }  # fmt: skip


async def test_judge_announces_at_once_that_it_takes_work_when_its_gate_opens(metrics: Metrics, tmp_path: Path) -> None:
    pool = RecordingPool()
    parts = a_worker(metrics, tmp_path, pool)
    assert parts.jobs is not None
    parts.jobs.gate.shut()
    async with announced(parts, pool):
        parts.jobs.gate.open()
        with trio.fail_after(PERIOD_S * 3 / 4):
            while len(pool.arguments) == 1:  # the disks are read in a thread
                await trio.sleep(0.01)
        assert [takes_work for *_, takes_work in pool.arguments] == [False, True]


async def test_judge_whose_sandbox_is_away_announces_it_and_no_part_that_others_name(
    metrics: Metrics, tmp_path: Path
) -> None:
    pool = RecordingPool()
    parts = a_worker(metrics, tmp_path, pool)
    parts.child_status.set("sandbox", PartState.RESTARTING, "the sandbox launcher fell 5 times")
    parts.child_status.set("objects", PartState.STARTING, "at once")
    parts.child_status.set("webhooks", PartState.DOWN, "no route")
    async with announced(parts, pool) as (_, _, _, facts, _):
        assert json.loads(facts)["not_up"] == {"sandbox": "the sandbox launcher fell 5 times"}


def test_gc_node_removes_erased_sources_and_old_addresses_while_garbage_collection_is_off(
    metrics: Metrics, tmp_path: Path
) -> None:
    parts = a_worker(metrics, tmp_path, RecordingPool(), "worker,gc")
    assert not parts.cfg.scheduler.control_plane.gc_enabled
    names = {child.name for child in keepers(parts)}
    assert {"erasures", "sessions"} <= names
    assert "gc" not in names


#: kind of work → the children that it wakes, on a node with all roles and slots for contests
WOKEN = {
    WorkKind.SUBMISSIONS: {"pressure", "lost notifications"},
    WorkKind.CONTESTS: {"contests", "contest slots"},
    WorkKind.REJUDGES: {"rejudges"},
    WorkKind.WEBHOOKS: {"webhooks"},
    WorkKind.CONTEST_WEBHOOKS: {"contest webhooks"},
    WorkKind.RUNS: {"runs", "runs kept"},
    WorkKind.OLD_RUNS: {"runs kept"},
    WorkKind.RERUNS: {"reruns", "reruns kept"},
    WorkKind.OLD_RERUNS: {"reruns kept"},
    WorkKind.EXAMPLES: {"verify"},
    WorkKind.VERIFICATIONS: {"verifications"},
    WorkKind.PREVIEW_JOBS: {"previews"},
    WorkKind.PREVIEWS: {"previews kept"},
    WorkKind.UNCHECKED: {"revet"},
    WorkKind.UNRENDERED: {"statements"},
    WorkKind.ERASURES: {"erasures"},
}


def due_of(child: Child) -> WorkSignal | None:
    match child.run:
        case Periodic() | BackgroundJudge() | Deliver() as run:
            return run.due
        case TakeRuns(run_intake=run_intake):
            return run_intake.due
        case _:
            return None


def test_sign_of_life_is_of_the_server_that_is_pinged_without_one(metrics: Metrics, tmp_path: Path) -> None:
    parts = a_worker(metrics, tmp_path, RecordingPool(), "all", {})
    health, store, stream = health_check(parts), parts.adapters.store, parts.adapters.stream
    assert (health.pings["database"], health.pings["redis"]) == (store.ping, stream.ping)
    assert health.signs == {"database": store.has_just_answered, "redis": stream.has_just_answered}


async def test_each_kind_of_work_wakes_its_loops_and_no_other(
    autojump_clock: object, metrics: Metrics, tmp_path: Path
) -> None:
    parts = a_worker(metrics, tmp_path, RecordingPool(), "all", {"worker.contest_slots": 1})
    signals = {child.name: due for child in (*keepers(parts), *intake(parts)) if (due := due_of(child)) is not None}
    found: frozenset[WorkKind] = frozenset()

    async def look(*, for_s: float) -> frozenset[WorkKind]:
        await trio.lowlevel.checkpoint()
        return found

    async def woken() -> set[str]:
        names = set()
        for name, due in signals.items():
            with trio.move_on_after(1) as parked:
                await due.wait(0.0)
            if not parked.cancelled_caught:
                names.add(name)
        return names

    parts.watch.look = look
    told = {}
    for kind in WorkKind:
        found = frozenset({kind})
        await parts.watch.once()
        told[kind] = await woken()
        found = frozenset()
        await parts.watch.once()
        assert await woken() == told[kind], "it is told once more that there is none"
    assert told == WOKEN


@pytest.mark.parametrize(
    ("is_open", "consumers", "taken", "ahead", "has_room"),
    [
        (True, 1, 0, 0, True),
        (True, 1, 0, 1, True),
        (True, 1, 0, 2, False),
        (True, 1, 1, 1, False),
        (False, 1, 0, 0, False),
        # another node may claim the job
        (True, 2, 0, 0, False),
        (True, None, 0, 0, False),
    ],
)
def test_compilation_ahead_needs_an_idle_slot_and_no_other_node(
    is_open: bool, consumers: int | None, taken: int, ahead: int, has_room: bool
) -> None:
    leases = Leases(lease_s=10, slots=2)
    for number in range(taken):
        leases.add(a_claim(str(number)), 0)
    room = EarlyRoom(leases=leases, gate=Gate(is_open=is_open), pressure=LatestPressure(consumers=consumers))
    assert room.has_room(ahead) is has_room
