"""Reruns: one test of a submission, run once more to show the jury or a setter what the program prints.

The judging of submissions keeps no output: it would fill the disks for the few tests that a person looks at. A rerun is
another run, compiled and judged in the same way; its verdict may differ from the one that counts, and never replaces
it. It is run with the slots that submissions leave (``nursery.background``).

What if we die here? The lease runs out, and the next node claims the rerun as attempt+1.
"""

from __future__ import annotations

from deepoj import observe
from deepoj.execution.attempt import attempted
from deepoj.execution.context import AttemptContext
from deepoj.ports.reruns import RerunLeases
from deepoj.ports.testdata import TestData
from deepoj.words.background import MAX_ATTEMPTS
from deepoj.words.jobs import Claim
from deepoj.words.reruns import MAX_WAIT_S, SWEEP_LIMIT, RerunClaim, RerunFailure, RerunOutcome
from deepoj.words.results import Infra

_WHY_CHARS = 1_000


async def run_test_again(context: AttemptContext, data: TestData, job: Claim, test: str) -> RerunOutcome | Infra:
    """Run one test of a submission. ``job``: the submission as a claim that is in no database.

    Raises:
      BoxBroken, BlobsUnavailable, BlobMissing: from the ports; they say nothing about the program.
    """
    return await attempted(context, job, lambda attempt: attempt.rerun(data, test))


async def settle_rerun(
    store: RerunLeases, metrics: observe.Metrics, claim: RerunClaim, done: RerunOutcome | Infra
) -> None:
    """Write the outcome of the last attempt.

    Raises:
      StoreUnavailable: the outcome may or may not be written; the lease runs out.
    """
    if isinstance(done, Infra):
        done = RerunOutcome(failure=RerunFailure.TROUBLE, message=f"{done.code}: {done.message}"[:_WHY_CHARS])
    is_written = await store.finish(claim, done)
    result = "refused" if not is_written else "shown" if done.failure is None else "failed"
    metrics.reruns.labels(result=result).inc()
    observe.log("rerun_ended", problem_id=claim.problem_id, attempt_id=claim.attempt_id, result=result)


async def sweep_reruns(store: RerunLeases, metrics: observe.Metrics, keep_s: float) -> None:
    """Do one round: end reruns that no node finishes, and delete those that ended ``keep_s`` ago. Raises
    StoreUnavailable."""
    ended = await store.sweep_reruns(MAX_ATTEMPTS, MAX_WAIT_S, keep_s, SWEEP_LIMIT)
    if ended:
        metrics.reruns.labels(result="unfinished").inc(ended)
        observe.log("rerun_ended", level="warning", count=ended, result="unfinished", reason="no node finished them")
