"""``deepoj verify``: checks a running deployment against the runbook; prints one line and exits with 1 on failure.

``deploy/scripts/verify_*.sh`` run these checks under the names in the runbook.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import click
import httpx
import trio

import deepoj
from deepoj.cli import errors
from deepoj.cli.common import print_json, settings
from deepoj.operate.verify.checks import CHECKS
from deepoj.operate.verify.deployment import Deployment, deployment_of, open_deployment
from deepoj.words.errors import Breakage
from deepoj.words.exits import GOOD, CheckFailed


@click.command()
@click.argument("check", type=click.Choice(list(CHECKS)))
@click.option(
    "--problem",
    "problem_id",
    envvar="PROBLEM_ID",
    type=int,
    help="The problem of the submissions of c1 and d1 (PROBLEM_ID).",
)
@click.option("--token", envvar="TOKEN", help="Submit with this token (TOKEN) instead of a new account's.")
@click.option("--api-metrics", envvar="API_METRICS_URL", help="(API_METRICS_URL)")
@click.option("--scheduler-metrics", envvar="SCHEDULER_METRICS_URL", help="(SCHEDULER_METRICS_URL)")
@click.option("--worker-metrics", envvar="WORKER_METRICS_URL", help="(WORKER_METRICS_URL)")
@click.option("--within", "within_s", type=click.FloatRange(min=0), help="Timeout of each wait, in seconds.")
@click.option(
    "--tree", type=click.Path(path_type=Path), help="The source tree to search (default: that of this program)."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON line: {check, ok, verified[], fault?}.")
def verify(
    check: str,
    *,
    problem_id: int | None,
    token: str | None,
    api_metrics: str | None,
    scheduler_metrics: str | None,
    worker_metrics: str | None,
    within_s: float | None,
    tree: Path | None,
    as_json: bool,
) -> int:
    """Check a running deployment against the runbook.

    \b
    b1  nothing needs etcd
    b2  jobs reach the workers only through the stream
    b3  the scheduler is the control plane, and its loops run
    c1  a submission becomes a stream entry with its payload
    d1  a submission is written with its outbox event, which reaches the stream
    """
    cfg = settings()
    deployment = deployment_of(
        cfg,
        api_metrics=api_metrics,
        scheduler_metrics=scheduler_metrics,
        worker_metrics=worker_metrics,
        problem_id=problem_id,
        token=token,
        within_s=within_s,
        tree=tree or Path(deepoj.__file__).parents[1],
    )
    if CHECKS[check].submits and problem_id is None:
        raise click.UsageError(f"{check} submits a program: give the problem (PROBLEM_ID or --problem).")
    verified: list[str] = []

    def report(fact: str) -> None:
        verified.append(fact)
        if not as_json:
            click.echo(f"ok  {fact}")

    fault = None
    try:
        trio.run(_go, check, deployment, report)
    except* CheckFailed as failed:
        fault = str(_first(failed.exceptions))
    except* httpx.HTTPError as failed:
        error = _first(failed.exceptions)
        where = error.request.url if isinstance(error, httpx.RequestError) else "the node"
        raise Breakage(f"{where} cannot be reached: {error or type(error).__name__}") from None
    if as_json:
        print_json({"check": check, "ok": fault is None, "verified": verified} | ({"fault": fault} if fault else {}))
    if fault is not None:
        raise CheckFailed(f"{check}: {fault}")
    return GOOD


async def _go(check: str, deployment: Deployment, report: Callable[[str], None]) -> None:
    async with open_deployment(deployment) as running:
        for step in CHECKS[check].steps:
            report(await step(running))


def _first(exceptions: Sequence[BaseException]) -> BaseException:
    return next(errors.leaves_of(BaseExceptionGroup("", exceptions)))
