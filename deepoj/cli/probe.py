"""``deepoj probe``: checks the stream, the tables and the metrics of a deployment once (runbook 6).

All three are checked even if one of them fails, because the operator must know which of them is unreachable.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click
import trio

from deepoj.cli.common import print_json, settings
from deepoj.operate.probe import STEPS, Look, looked_at
from deepoj.operate.verify.deployment import opened, told
from deepoj.words.errors import Breakage
from deepoj.words.exits import GOOD, CheckFailed

_HELP = {
    "stream": "check REDIS_URL, its password, and that Redis is reachable from here",
    "tables": "check DATABASE_URL, its user and database, and run `deepoj migrate`",
    "metrics": "check that the ports are reachable from here, and METRICS_TOKEN",
}


@click.command()
@click.option("--api-metrics", envvar="API_METRICS_URL", help="(API_METRICS_URL)")
@click.option("--scheduler-metrics", envvar="SCHEDULER_METRICS_URL", help="(SCHEDULER_METRICS_URL)")
@click.option("--worker-metrics", envvar="WORKER_METRICS_URL", help="(WORKER_METRICS_URL)")
@click.option("--json", "as_json", is_flag=True, help="One JSON line: {ok, looks: [{name, lines[], fault}]}.")
def probe(*, api_metrics: str | None, scheduler_metrics: str | None, worker_metrics: str | None, as_json: bool) -> int:
    """Check the stream, the tables and the metrics of a deployment once.

    \b
    [1/3]  the length of the stream
    [2/3]  the tables, and the columns of submissions
    [3/3]  the core metrics of the API, the scheduler and the worker

    Redis and the database: REDIS_URL, REDIS_PASSWORD and DATABASE_URL, or the embedded servers of this home. Exit code
    1 if a check fails, 3 if nothing can be reached.
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
                looks.append(await looked_at(name, look, running))
                if not as_json:
                    _print(number, looks[-1])

    trio.run(go)
    failed = [look for look in looks if look.fault is not None]
    if as_json:
        print_json({"ok": not failed, "looks": [asdict(look) for look in looks]})
    if len(failed) == len(STEPS) and not any(look.lines for look in looks):
        raise Breakage(f"nothing of the deployment can be reached: {failed[0].fault}")
    if failed:
        raise CheckFailed("; ".join(f"{look.name}: {look.fault} ({_HELP[look.name]})" for look in failed))
    return GOOD


def _print(number: int, look: Look) -> None:
    click.echo(f"[{number}/{len(STEPS)}] {look.name}")
    for line in look.lines:
        click.echo(f"      {line}")
    if look.fault is not None:
        click.echo(f"      FAILED: {look.fault}")
