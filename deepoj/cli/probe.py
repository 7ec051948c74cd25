"""``deepoj probe``: checks the stream, the tables and the metrics of a deployment once (runbook 6).

All three are checked even if one of them fails, because the operator must know which of them is unreachable.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click
import trio

from deepoj.cli.common import print_json, settings
from deepoj.operate.probe import STEPS, ProbeResult, run_check
from deepoj.operate.verify.deployment import deployment_of, open_deployment
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
    deployment = deployment_of(
        settings(),
        api_metrics=api_metrics,
        scheduler_metrics=scheduler_metrics,
        worker_metrics=worker_metrics,
        problem_id=None,
        token=None,
        within_s=None,
        tree=Path(),
    )
    results: list[ProbeResult] = []

    async def go() -> None:
        async with open_deployment(deployment) as running:
            for number, (name, check) in enumerate(STEPS, 1):
                results.append(await run_check(name, check, running))
                if not as_json:
                    _print(number, results[-1])

    trio.run(go)
    failed = [result for result in results if result.fault is not None]
    if as_json:
        print_json({"ok": not failed, "looks": [asdict(result) for result in results]})
    if len(failed) == len(STEPS) and not any(result.lines for result in results):
        raise Breakage(f"nothing of the deployment can be reached: {failed[0].fault}")
    if failed:
        raise CheckFailed("; ".join(f"{result.name}: {result.fault} ({_HELP[result.name]})" for result in failed))
    return GOOD


def _print(number: int, result: ProbeResult) -> None:
    click.echo(f"[{number}/{len(STEPS)}] {result.name}")
    for line in result.lines:
        click.echo(f"      {line}")
    if result.fault is not None:
        click.echo(f"      FAILED: {result.fault}")
