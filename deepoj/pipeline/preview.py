"""Previews of rejudges: submissions that have a verdict are judged again, and the new verdicts wait beside the old ones
until a person applies or cancels them. This module is the end of an attempt at one, and the sweeper's round.

What if we die?

* while a submission is judged, or before its outcome is written: its lease runs out, and another node judges it again.
* after the outcome is written: it is there; a repeated finish of the same attempt is answered as the first.
* in Apply: it is one transaction. Before its commit nothing has changed; after it, all submissions have their new
  judging, and a repeated Apply changes nothing.
* in Cancel: as in Apply. A node that still judges for it is refused the outcome and hears so at its next heartbeat.

Apply compares, for each submission, the judging and the attempt that the preview began from. One that a rejudge has
opened meanwhile is left out, so it keeps one verdict a judging, whichever comes first.
"""

from __future__ import annotations

from deepoj import observe
from deepoj.judging.result import result_of
from deepoj.ports.previews import PreviewLeases
from deepoj.words.background import MAX_ATTEMPTS, MAX_WAIT_S
from deepoj.words.previews import KEEP_S, PreviewClaim, PreviewOutcome
from deepoj.words.results import Infra, Report

_WHY_CHARS = 1_000


async def settle_preview_job(
    store: PreviewLeases, metrics: observe.Metrics, claim: PreviewClaim, judged: Report | Infra
) -> None:
    """Write the outcome of the last attempt.

    Raises:
      StoreUnavailable: the outcome may or may not be written; the lease runs out.
    """
    is_written = await store.finish(claim, outcome_of(claim, judged))
    result = "refused" if not is_written else "judged" if isinstance(judged, Report) else "failed"
    metrics.preview_jobs.labels(result=result).inc()
    observe.log("preview_judged", job_id=claim.job_id, problem_id=claim.problem_id, result=result)


def outcome_of(claim: PreviewClaim, judged: Report | Infra) -> PreviewOutcome:
    """Return the outcome as it is stored: the result is that of the submission's next attempt."""
    if isinstance(judged, Infra):
        return PreviewOutcome(why=f"{judged.code}: {judged.message}"[:_WHY_CHARS])
    result = result_of(judged, job_id=claim.job_id, attempt_id=claim.base_attempt_id + 1, trace_id=claim.trace_id)
    return PreviewOutcome(
        status=judged.status.value, score=judged.score, isolation=judged.isolation.value, result=result
    )


async def sweep_previews(store: PreviewLeases, metrics: observe.Metrics) -> None:
    """Do one round: end previews that have been judged, or whose problem was changed, and delete old ones. Raises
    StoreUnavailable."""
    swept = await store.sweep_previews(MAX_ATTEMPTS, MAX_WAIT_S, KEEP_S)
    metrics.previews_running.set(swept.running)
