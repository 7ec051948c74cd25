"""``deepoj probe``: one look at the stream, the tables and the metrics of a deployment (runbook 6).

Each of the three is looked at whatever became of the others: at 3 a.m. the question is which of them is away.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import httpx
import trio

from deepoj.cli import errors
from deepoj.cli.common import print_json, settings
from deepoj.cli.verify.deployment import Running, opened, told
from deepoj.words import Breakage

#: of each role, the metrics that its node cannot be without (contract §7)
CORE = {
    "api": ("http_requests_total", "http_request_duration_seconds", "submission_total"),
    "scheduler": ("control_plane_only", "legacy_loops_started", "scheduler_active_workers", "scheduler_repair_total"),
    "worker": ("worker_task_total", "worker_stream_consume_total", "worker_claim_total", "judge_verdict_total"),
}
TABLE = "submissions"
_HELP = {
    "stream": "check REDIS_URL, its password, and that Redis is reachable from here",
    "tables": "check DATABASE_URL, its user and database, and run `deepoj migrate`",
    "metrics": "check that the ports are reachable from here, and METRICS_TOKEN",
}


@dataclass(frozen=True, slots=True)
class Look:
    """What one of the three came to: the lines to read, and what is wrong (None: nothing)."""

    name: str
    lines: tuple[str, ...]
    fault: str | None = None


@click.command()
@click.option("--api-metrics", envvar="API_METRICS_URL", help="(API_METRICS_URL)")
@click.option("--scheduler-metrics", envvar="SCHEDULER_METRICS_URL", help="(SCHEDULER_METRICS_URL)")
@click.option("--worker-metrics", envvar="WORKER_METRICS_URL", help="(WORKER_METRICS_URL)")
@click.option("--json", "as_json", is_flag=True, help="One JSON line: {ok, looks: [{name, lines[], fault}]}.")
def probe(*, api_metrics: str | None, scheduler_metrics: str | None, worker_metrics: str | None, as_json: bool) -> int:
    """Look once at the stream, the tables and the metrics of a deployment.

    \b
    [1/3]  how long the stream is
    [2/3]  the tables, and the columns of submissions
    [3/3]  the core metrics of the API, the scheduler and the worker

    Where Redis and the database are: REDIS_URL, REDIS_PASSWORD, DATABASE_URL, or the embedded ones of this home. Exits
    1 if something is not as it should be, 3 if nothing at all can be reached.
    """
    deployment = told(
        settings(),
        api_metrics=api_metrics,
        scheduler_metrics=scheduler_metrics,
        worker_metrics=worker_metrics,
        problem_id=None,
        token=None,
        within_s=None,
        tree=Path(),
    )
    looks: list[Look] = []

    async def go() -> None:
        async with opened(deployment) as running:
            for number, (name, look) in enumerate(STEPS, 1):
                looks.append(await _looked(name, look, running))
                if not as_json:
                    _print(number, looks[-1])

    trio.run(go)
    bad = [look for look in looks if look.fault is not None]
    if as_json:
        print_json({"ok": not bad, "looks": [asdict(look) for look in looks]})
    if len(bad) == len(STEPS) and not any(look.lines for look in looks):
        raise Breakage(f"nothing of the deployment can be reached: {bad[0].fault}")
    if bad:
        raise errors.CheckFailed("; ".join(f"{look.name}: {look.fault} ({_HELP[look.name]})" for look in bad))
    return errors.GOOD


def _print(number: int, look: Look) -> None:
    click.echo(f"[{number}/{len(STEPS)}] {look.name}")
    for line in look.lines:
        click.echo(f"      {line}")
    if look.fault is not None:
        click.echo(f"      FAILED: {look.fault}")


async def _looked(name: str, look: Callable[[Running], Awaitable[Look]], running: Running) -> Look:
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
    names = await running.store.tables()
    columns = await running.store.columns(TABLE)
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
        except (errors.CheckFailed, httpx.HTTPError) as error:
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
