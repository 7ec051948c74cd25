"""What the wiring gives to the children that it makes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import trio

from deepoj.adapters.blobs.directory import DirectoryBlobs
from deepoj.adapters.pg import PgStore
from deepoj.config.loader import load
from deepoj.observe import Metrics
from deepoj.wiring.adapters import Adapters
from deepoj.wiring.children.keepers import keepers
from deepoj.wiring.children.parts import Parts, furnish
from deepoj.words.playground import RUN_ID_PREFIX
from tests.fakes.box import ScriptedBox
from tests.fakes.stream import MemoryStream
from tests.unit.makers import a_claim, a_custom_claim

JOB_ID = "0190c0de-0000-7000-8000-000000000001"
RUN_ID = f"{RUN_ID_PREFIX}0190c0de-0000-7000-8000-000000000002"


class RecordingPool:
    """A ``PgPool`` that records each query with its first argument and answers no rows."""

    def __init__(self) -> None:
        self.queries: list[tuple[str, object]] = []

    async def rows(self, query: str, *args: object, repeatable: bool) -> list[object]:
        del repeatable
        await trio.lowlevel.checkpoint()
        self.queries.append((query, args[0]))
        return []


def a_worker(metrics: Metrics, tmp_path: Path, pool: RecordingPool, roles: str = "worker") -> Parts:
    cfg = load({"roles": roles, "worker.workspace": str(tmp_path)}, {})
    unused = cast(Any, None)
    adapters = Adapters(
        home=None, store=PgStore(cast(Any, pool)), notifications=unused, live_notifications=unused, migrator=unused,
        stream=cast(Any, MemoryStream()), counters=unused, blobs=DirectoryBlobs(tmp_path), box=ScriptedBox(),
        isolation_reasons=(), data=cast(Any, object()), compiled=None, hooks=None,
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
    [languages] = [child for child in keepers(parts) if child.name == "languages"]
    async with trio.open_nursery() as nursery:
        await nursery.start(languages.run)
        with trio.fail_after(60):
            while not pool.queries:  # the disks are read in a thread
                await trio.sleep(0.01)
        if is_asked:
            parts.stopping.set()
        nursery.cancel_scope.cancel()
    assert [query for query, _ in pool.queries] == queries


def test_gc_node_removes_erased_sources_and_old_addresses_while_garbage_collection_is_off(
    metrics: Metrics, tmp_path: Path
) -> None:
    parts = a_worker(metrics, tmp_path, RecordingPool(), "worker,gc")
    assert not parts.cfg.scheduler.control_plane.gc_enabled
    names = {child.name for child in keepers(parts)}
    assert {"erasures", "sessions"} <= names
    assert "gc" not in names
