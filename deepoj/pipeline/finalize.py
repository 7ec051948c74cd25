"""Step 6: write the verdict, fenced by attempt, owner and lease. One statement updates the row or explains the refusal.

What if we die before it? The lease runs out and the job is judged again as attempt+1. After it, before the ack? The
row is done and the entry pending: reclaim brings it to the claim, which answers ``already_done``, and it is acked.
"""

from __future__ import annotations

import time
from typing import Any

from deepoj import observe
from deepoj.judging.result import as_result
from deepoj.ports.leases import JobLeases
from deepoj.words.errors import StoreUnavailable
from deepoj.words.jobs import Claim, FinalizeRefusal
from deepoj.words.results import Infra, Report

_EVENT = {
    FinalizeRefusal.STALE_ATTEMPT: "db_finalize_stale",
    FinalizeRefusal.ALREADY_FINISHED: "db_finalize_rejected",
    FinalizeRefusal.NOT_IN_EXPECTED_STATE: "db_finalize_rejected",
    FinalizeRefusal.LEASE_LOST: "db_finalize_rejected",
}


async def finalize(jobs: JobLeases, claim: Claim, report: Report, metrics: observe.Metrics) -> FinalizeRefusal | None:
    """Write the verdict. Return None if it holds, or the reason of the refusal.

    Raises:
      StoreUnavailable: the verdict may or may not be written; repeating is safe (``already_finished`` then).
    """
    started = time.monotonic()
    try:
        refusal = await jobs.finalize(claim, report, as_result(claim, report))
    except StoreUnavailable as away:
        metrics.finalize_errors.inc()
        observe.log(
            "db_finalize_error",
            level="warning",
            job_id=claim.job_id,
            attempt_id=claim.attempt_id,
            stream_entry_id=claim.entry_id,
            trace_id=claim.trace_id,
            reason=str(away),
        )
        raise
    took_s = time.monotonic() - started
    metrics.finalize_latency_ms.observe(took_s * 1000)
    if refusal is None:
        metrics.stage_seconds.labels(stage="finalize").observe(took_s)
        metrics.finalize.labels(status="ok").inc()
        metrics.judge_verdict.labels(verdict=claim.verdict_label(report.status)).inc()
        _log_attempt("db_finalize_ok", claim, "")
    else:
        metrics.finalize.labels(status="rejected").inc()
        metrics.finalize_rejected.labels(reason=refusal.value).inc()
        if refusal is FinalizeRefusal.STALE_ATTEMPT:
            metrics.stale_attempt.inc()
        _log_attempt(_EVENT[refusal], claim, refusal.value)
    return refusal


async def give_back(
    jobs: JobLeases,
    claim: Claim,
    why: Infra,
    *,
    counts: bool,
    delay_s: float,
    metrics: observe.Metrics,
    avoid_s: float = 0.0,
) -> FinalizeRefusal | None:
    """Release the claim for another try: lease, outbox event and ledger row in one transaction. For ``avoid_s`` after
    the job is due, this node leaves it to other nodes.

    Raises:
      StoreUnavailable: not given back; the lease runs out and reclaim takes the job.
    """
    reason = f"{why.code}: {why.message}"
    refusal = await jobs.give_back(claim, reason=reason, counts=counts, delay_s=delay_s, avoid_s=avoid_s)
    metrics.finalize.labels(status="given_back" if refusal is None else "rejected").inc()
    _log_attempt("give_back", claim, why.code if refusal is None else refusal.value, error=why.message)
    return refusal


def _log_attempt(event: str, claim: Claim, reason: str, *, error: str = "") -> None:
    about: dict[str, Any] = {"error": error} if error else {}
    observe.log(
        event,
        level="warning" if error else "info",
        **about,
        job_id=claim.job_id,
        attempt_id=claim.attempt_id,
        stream_entry_id=claim.entry_id,
        trace_id=claim.trace_id,
        reason=reason,
    )
