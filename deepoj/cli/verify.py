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
from deepoj.operate.verify.deployment import Deployment, opened, told
from deepoj.words.errors import Breakage
from deepoj.words.exits import GOOD, CheckFailed


@click.command()
@click.argument("check", type=click.Choice(list(CHECKS)))
@click.option("--problem", "problem_id", envvar="PROBLEM_ID", type=int, help="What c1 and d1 submit to (PROBLEM_ID).")
@click.option("--token", envvar="TOKEN", help="Submit with this token (TOKEN) instead of a new account's.")
@click.option("--api-metrics", envvar="API_METRICS_URL", help="(API_METRICS_URL)")
@click.option("--scheduler-metrics", envvar="SCHEDULER_METRICS_URL", help="(SCHEDULER_METRICS_URL)")
@click.option("--worker-metrics", envvar="WORKER_METRICS_URL", help="(WORKER_METRICS_URL)")
@click.option("--within", "within_s", type=click.FloatRange(min=0), help="How long something may take, in seconds.")
@click.option("--tree", type=click.Path(path_type=Path), help="The sources to look through (default: these).")
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
    """Verify that a running deployment is what the runbook says it is.

    \b
    b1  nothing needs etcd
    b2  jobs travel by the stream alone
    b3  the scheduler is the control plane, and its loops go round
    c1  a submission becomes an entry of the stream, with its payload
    d1  a submission and its outbox event are one, and the event reaches the stream
    """
    cfg = settings()
    deployment = told(
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
        raise click.UsageError(f"{check} submits a program: say to which problem (PROBLEM_ID or --problem).")
    verified: list[str] = []

    def say(what: str) -> None:
        verified.append(what)
        if not as_json:
            click.echo(f"ok  {what}")

    fault = None
    try:
        trio.run(_go, check, deployment, say)
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


async def _go(check: str, deployment: Deployment, say: Callable[[str], None]) -> None:
    async with opened(deployment) as running:
        for step in CHECKS[check].steps:
            say(await step(running))


def _first(found: Sequence[BaseException]) -> BaseException:
    return next(errors.leaves_of(BaseExceptionGroup("", found)))
