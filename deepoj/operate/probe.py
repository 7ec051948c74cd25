"""The checks of ``deepoj probe``: the stream, the tables and the metrics of a deployment."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import httpx

from deepoj.operate.verify.deployment import Running
from deepoj.words.errors import Breakage
from deepoj.words.exits import CheckFailed

#: role → metrics that its node must have
CORE = {
    "api": ("http_requests_total", "http_request_duration_seconds", "submission_total"),
    "scheduler": ("control_plane_only", "legacy_loops_started", "scheduler_active_workers", "scheduler_repair_total"),
    "worker": ("worker_task_total", "worker_stream_consume_total", "worker_claim_total", "judge_verdict_total"),
}
TABLE = "submissions"


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """The result of one check: lines for people, and the fault, if any."""

    name: str
    lines: tuple[str, ...]
    fault: str | None = None


async def run_check(name: str, check: Callable[[Running], Awaitable[ProbeResult]], running: Running) -> ProbeResult:
    """Run a check. If its part of the deployment is unreachable, that is the fault of the result."""
    try:
        return await check(running)
    except Breakage as error:
        return ProbeResult(name, (), str(error))


async def stream(running: Running) -> ProbeResult:
    """``[1/3]``: the length of the stream. A missing stream is not a fault: it has no entries yet."""
    key = running.deployment.cfg.stream_key
    kind = await running.redis.kind(key)
    if kind not in ("stream", "none"):
        return ProbeResult("stream", (), f"{key} is not a stream but a {kind}")
    return ProbeResult("stream", (f"XLEN {key} = {await running.redis.length(key)}",))


async def tables(running: Running) -> ProbeResult:
    """``[2/3]``: the tables, and the columns of ``TABLE``."""
    names = await running.store.schema.tables()
    columns = await running.store.schema.columns(TABLE)
    lines = (f"tables: {', '.join(names) or 'none'}", *(f"{TABLE}.{name} {kind}" for name, kind in columns.items()))
    return ProbeResult("tables", lines, None if columns else f"there is no table {TABLE}")


async def metrics(running: Running) -> ProbeResult:
    """``[3/3]``: the core metrics of each role."""
    urls = {
        "api": running.deployment.api_metrics,
        "scheduler": running.deployment.scheduler_metrics,
        "worker": running.deployment.worker_metrics,
    }
    lines, faults = [], []
    for role, url in urls.items():
        try:
            values = await running.metrics(url)
        except (CheckFailed, httpx.HTTPError) as error:
            faults.append(f"{role} at {url}: {error or type(error).__name__}")
            continue
        missing = [name for name in CORE[role] if name not in values]
        present = ", ".join(name for name in CORE[role] if name in values)
        lines.append(f"{role} {url}: {len(values)} metrics, {present or 'none of ours'}")
        if missing:
            faults.append(f"{role} at {url} has no {', '.join(missing)}")
    return ProbeResult("metrics", tuple(lines), "; ".join(faults) or None)


STEPS: Sequence[tuple[str, Callable[[Running], Awaitable[ProbeResult]]]] = (
    ("stream", stream),
    ("tables", tables),
    ("metrics", metrics),
)
