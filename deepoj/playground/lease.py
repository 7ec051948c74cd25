"""The life of a custom run: claim, finish, give back; and the sweeper for runs that no node finishes. Its lease is
extended by the heartbeat of submissions (``pipeline.heartbeat``).

What if we die during a run? Its lease runs out, and the next node claims it as attempt+1. After at most two attempts
the sweeper ends it with ``ATTEMPTS_EXHAUSTED``. A run that no node has room for ends as ``RUN_EXPIRED``: its author is
long gone, and must not be kept from sending another.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from deepoj import observe
from deepoj.playground.rules import as_result
from deepoj.ports.playground import CustomRuns, RunLeases
from deepoj.words.jobs import FinalizeRefusal
from deepoj.words.playground import CustomClaim, CustomReport, CustomSwept
from deepoj.words.results import Infra

#: a run is cheap for its author to order again, and may have caused the death of its node
MAX_ATTEMPTS = 2
#: rows of each kind per round of the sweeper
SWEEP_LIMIT = 500


@dataclass(frozen=True, slots=True)
class RunLeasing:
    """The node that claims, the length of its leases, and the languages it can run, as known at the time of a claim."""

    owner: str
    lease_s: float
    languages: Collection[str]
    max_attempts: int = MAX_ATTEMPTS


@dataclass(frozen=True, slots=True)
class RunKeeping:
    """How long a run may wait for a node, and how long a finished one is kept."""

    max_wait_s: float
    keep_s: float
    max_attempts: int = MAX_ATTEMPTS


async def claim_run(leases: RunLeases, settings: RunLeasing, metrics: observe.Metrics) -> CustomClaim | None:
    """Claim the next run, if one waits.

    Raises:
      StoreUnavailable: a run may have been claimed; its lease runs out.
    """
    claim = await leases.claim_run(settings.owner, settings.lease_s, settings.max_attempts, settings.languages)
    if claim is not None:
        metrics.custom_run_wait_seconds.observe(claim.waited_ms / 1000)
        _log_run("run_claim", claim)
    return claim


async def finish_run(
    leases: RunLeases, claim: CustomClaim, report: CustomReport, metrics: observe.Metrics, *, user_max_bytes: int
) -> FinalizeRefusal | None:
    """Write the result. Return None if it is stored, else the reason. ``user_max_bytes``: for all results of the
    author together; older ones are deleted to make room.

    Raises:
      StoreUnavailable: the result may or may not be stored; repeating is safe.
    """
    outcome = report.outcome
    refusal = await leases.finish_run(
        claim,
        report.status,
        as_result(claim, report),
        b"" if outcome is None else outcome.stdout,
        b"" if outcome is None else outcome.stderr,
        user_max_bytes=user_max_bytes,
    )
    metrics.custom_run_end.labels(status=report.status.value if refusal is None else "refused").inc()
    _log_run("run_finished", claim, status=report.status.value, reason="" if refusal is None else refusal.value)
    return refusal


async def give_back_run(
    leases: RunLeases,
    claim: CustomClaim,
    why: Infra,
    *,
    counts: bool,
    delay_s: float,
    max_attempts: int = MAX_ATTEMPTS,
) -> FinalizeRefusal | None:
    """Release the claim for another try, or end it after its last attempt.

    Raises:
      StoreUnavailable: not given back; the lease runs out.
    """
    refusal = await leases.give_back_run(claim, counts=counts, delay_s=delay_s, max_attempts=max_attempts)
    _log_run("run_give_back", claim, reason=why.code if refusal is None else refusal.value, error=why.message)
    return refusal


async def sweep_runs(runs: CustomRuns, settings: RunKeeping, metrics: observe.Metrics) -> CustomSwept:
    """Do one round of the sweeper.

    Raises:
      StoreUnavailable: the next round does it.
    """
    swept = await runs.sweep_runs(settings.max_attempts, settings.max_wait_s, settings.keep_s, SWEEP_LIMIT)
    if swept.ended:
        metrics.custom_run_end.labels(status="System Error").inc(len(swept.ended))
    for run_id in swept.ended:
        observe.log("run_ended", level="warning", job_id=run_id, reason="no node finished it")
    return swept


def _log_run(event: str, claim: CustomClaim, *, status: str = "", reason: str = "", error: str = "") -> None:
    fields: dict[str, Any] = {"status": status, "reason": reason, "error": error}
    observe.log(
        event,
        level="warning" if error else "info",
        text="",
        job_id=claim.run_id,
        attempt_id=claim.attempt_id,
        consumer=claim.lease_owner,
        trace_id=claim.trace_id,
        **{name: value for name, value in fields.items() if value},
    )
