"""What the wiring gives to the children that it makes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import trio

from deepoj.adapters.blobs.directory import DirectoryBlobs
from deepoj.adapters.pg import PgStore
from deepoj.config.loader import load
from deepoj.observe import Metrics
from deepoj.wiring.adapters import Adapters
from deepoj.wiring.children.keepers import keepers
from deepoj.wiring.children.parts import furnish
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


async def test_wired_heartbeat_extends_jobs_and_custom_runs_each_in_its_own_table(
    autojump_clock: object, metrics: Metrics, tmp_path: Path
) -> None:
    pool = RecordingPool()
    cfg = load({"roles": "worker", "worker.workspace": str(tmp_path)}, {})
    unused = cast(Any, None)
    adapters = Adapters(
        home=None, store=PgStore(cast(Any, pool)), notifications=unused, live_notifications=unused, migrator=unused,
        stream=cast(Any, MemoryStream()), counters=unused, blobs=DirectoryBlobs(tmp_path), box=ScriptedBox(),
        isolation_reasons=(), data=cast(Any, object()), compiled=None, hooks=None,
    )  # fmt: skip
    parts = furnish(cfg, adapters, metrics, on_step=lambda _: None)
    assert parts.jobs is not None
    [heartbeat] = [child for child in keepers(parts) if child.name == "heartbeat"]
    leases = parts.jobs.job_intake.leases
    leases.add(a_claim(JOB_ID), trio.current_time())
    leases.add(replace(a_custom_claim(), run_id=RUN_ID), trio.current_time())
    async with trio.open_nursery() as nursery:
        await nursery.start(heartbeat.run)
        await trio.sleep(cfg.worker.stream.heartbeat_sec / 2)
        nursery.cancel_scope.cancel()
    assert pool.queries == [("extend", [JOB_ID]), ("extend_runs", [RUN_ID.removeprefix(RUN_ID_PREFIX)])]
