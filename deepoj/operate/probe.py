"""The looks of ``deepoj probe``: at the stream, the tables and the metrics of a deployment."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import httpx

from deepoj.operate.verify.deployment import Running
from deepoj.words.errors import Breakage
from deepoj.words.exits import CheckFailed

#: of each role, the metrics that its node cannot be without
CORE = {
    "api": ("http_requests_total", "http_request_duration_seconds", "submission_total"),
    "scheduler": ("control_plane_only", "legacy_loops_started", "scheduler_active_workers", "scheduler_repair_total"),
    "worker": ("worker_task_total", "worker_stream_consume_total", "worker_claim_total", "judge_verdict_total"),
}
TABLE = "submissions"


@dataclass(frozen=True, slots=True)
class Look:
    """What one of the three came to: the lines to read, and what is wrong (None: nothing)."""

    name: str
    lines: tuple[str, ...]
    fault: str | None = None


async def looked_at(name: str, look: Callable[[Running], Awaitable[Look]], running: Running) -> Look:
    try:
        return await look(running)
    except Breakage as error:
        return Look(name, (), str(error))


async def stream(running: Running) -> Look:
    """``[1/3]``: a stream that is not there yet has no entries, which is no fault."""
    key = running.told.cfg.stream_key
    kind = await running.redis.kind(key)
    if kind not in ("stream", "none"):
        return Look("stream", (), f"{key} is no stream but a {kind}")
    return Look("stream", (f"XLEN {key} = {await running.redis.length(key)}",))


async def tables(running: Running) -> Look:
    """``[2/3]``"""
    names = await running.store.schema.tables()
    columns = await running.store.schema.columns(TABLE)
    lines = (f"tables: {', '.join(names) or 'none'}", *(f"{TABLE}.{name} {kind}" for name, kind in columns.items()))
    return Look("tables", lines, None if columns else f"there is no table {TABLE}")


async def metrics(running: Running) -> Look:
    """``[3/3]``"""
    where = {
        "api": running.told.api_metrics,
        "scheduler": running.told.scheduler_metrics,
        "worker": running.told.worker_metrics,
    }
    lines, faults = [], []
    for role, url in where.items():
        try:
            seen = await running.metrics(url)
        except (CheckFailed, httpx.HTTPError) as error:
            faults.append(f"{role} at {url}: {error or type(error).__name__}")
            continue
        missing = [name for name in CORE[role] if name not in seen]
        lines.append(
            f"{role} {url}: {len(seen)} metrics, {', '.join(n for n in CORE[role] if n in seen) or 'none of ours'}"
        )
        if missing:
            faults.append(f"{role} at {url} does not tell {', '.join(missing)}")
    return Look("metrics", tuple(lines), "; ".join(faults) or None)


STEPS: Sequence[tuple[str, Callable[[Running], Awaitable[Look]]]] = (
    ("stream", stream),
    ("tables", tables),
    ("metrics", metrics),
)
