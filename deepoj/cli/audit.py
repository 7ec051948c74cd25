"""``deepoj audit``: proves from the ledger that each submission has exactly one final verdict by a fenced attempt."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
import sys
from collections.abc import Callable
from typing import Any

import click
import trio
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column, Table
from rich.text import Text

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.pg import PgStore
from deepoj.cli.common import print_json, settings
from deepoj.pipeline.audit import AuditReport
from deepoj.pipeline.audit import audit as audit_step
from deepoj.wiring.targets import database_url
from deepoj.words.exits import CheckFailed

_AGO = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
#: maximum of exceptions in the table; ``--json`` shows all that are kept
_SHOWN = 50


class _Since(click.ParamType[dt.datetime]):
    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> dt.datetime:
        if isinstance(value, dt.datetime):
            return value
        ago = _AGO.fullmatch(value)
        try:
            if ago is not None:
                return dt.datetime.now(dt.UTC) - dt.timedelta(seconds=float(ago[1]) * _SECONDS[ago[2]])
            return dt.datetime.fromisoformat(value).astimezone(dt.UTC)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is not a time: use 2026-01-31T12:00:00Z, or an age: 90s, 15m, 2h, 7d", param, context)


@click.command()
@click.option(
    "--since",
    type=_Since(),
    help="Only submissions and events since this time (ISO 8601) or within this age (15m, 2h, 7d).",
)
@click.option(
    "--keep",
    type=click.IntRange(1, 1_000_000),
    default=1000,
    show_default=True,
    help="Maximum number of listed exceptions; all are counted.",
)
@click.option(
    "--json", "as_json", is_flag=True,
    help="One JSON line: {clean, since, checked, verdicts, unfinished, by_code, exceptions: [{code, job_id, …}]}.",
)  # fmt: skip
def audit(since: dt.datetime | None, keep: int, as_json: bool) -> None:
    """Prove that each submission has exactly one final verdict by a fenced attempt. Exit code 1 after an exception.

    Reads the database page by page; nodes may run meanwhile. Submissions deleted by retention, whose history was
    deleted with them, are not counted. A history whose submission is missing for another reason is an exception.
    """
    console = Console(stderr=True)
    columns = SpinnerColumn(), TextColumn("audited {task.completed} submissions"), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("audit", total=None)
        outcome = trio.run(
            _go,
            database_url(settings()),
            None if since is None else since.isoformat(),
            keep,
            lambda checked: bar.update(task, completed=checked),
        )
    if as_json:
        print_json(_as_json(outcome, since))
    else:
        _print(outcome)
    if not outcome.clean:
        raise CheckFailed(f"{outcome.by_fault.total()} exceptions in {outcome.checked} submissions")


async def _go(dsn: str, since: str | None, keep: int, progress: Callable[[int], None]) -> AuditReport:
    async with AioBridge.open() as bridge, PgStore.open(bridge, dsn, min_conns=0, max_conns=1) as store:
        return await audit_step(store.audit, since=since, keep=keep, progress=progress)


def _as_json(outcome: AuditReport, since: dt.datetime | None) -> dict[str, Any]:
    return {
        "clean": outcome.clean,
        "since": None if since is None else since.isoformat(),
        "checked": outcome.checked,
        "verdicts": outcome.verdicts,
        "unfinished": dataclasses.asdict(outcome.unfinished),
        "by_code": {fault.value: count for fault, count in sorted(outcome.by_fault.items())},
        "exceptions": [
            {"code": row.fault.value, "job_id": row.job_id, "judging": row.judging, "attempt_id": row.attempt_id,
             "detail": row.detail}
            for row in outcome.found
        ],
    }  # fmt: skip


def _print(outcome: AuditReport) -> None:
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 400)
    if outcome.found:
        table = Table("code", Column("job", min_width=36), "judging", "attempt", "what", box=None, pad_edge=False)
        for row in outcome.found[:_SHOWN]:
            table.add_row(row.fault.value, row.job_id, str(row.judging), str(row.attempt_id), Text(row.detail))
        console.print(table)
        for fault, count in outcome.by_fault.most_common():
            click.echo(f"{fault.value}: {count}")
    waiting = outcome.unfinished
    oldest = "" if waiting.oldest_age_s is None else f", the oldest submitted {waiting.oldest_age_s:.0f} s ago"
    click.echo(
        f"{outcome.checked} submissions: {outcome.verdicts} with their verdict, {waiting.pending} pending,"
        f" {waiting.processing} in processing ({waiting.expired} with a lease that is over){oldest}"
    )
    if outcome.clean:
        click.echo("each has exactly one final verdict by a fenced attempt, or is under way")
