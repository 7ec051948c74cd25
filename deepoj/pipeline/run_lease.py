"""The life of a custom run in hand: claimed, kept, finished or given back; and the broom for what nobody finishes.

What if we die with one in hand? Its lease runs out, and whoever looks next claims it as attempt+1: twice at most, then
the broom ends it and says so (``ATTEMPTS_EXHAUSTED``). A run that nobody has room for ends as ``RUN_EXPIRED``: its
author has long gone, and must not be kept from sending another.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from deepoj import observe
from deepoj.judging.custom_runs import as_result
from deepoj.ports import CustomRuns
from deepoj.words import CustomClaim, CustomReport, CustomSwept, FinalizeRefusal, Held, Infra

#: a run is cheap to send again, and may be what ended the node that made it
MAX_ATTEMPTS = 2
#: rows of each kind in one round of the broom
SWEEP_LIMIT = 500


@dataclass(frozen=True, slots=True)
class RunLeasing:
    """Who claims, for how long, and what this node can run, as known by the time of a claim."""

    owner: str
    lease_s: float
    languages: Collection[str]
    max_attempts: int = MAX_ATTEMPTS


@dataclass(frozen=True, slots=True)
class RunKeeping:
    """How long a run may wait for somebody, and how long a finished one is kept."""

    max_wait_s: float
    keep_s: float
    max_attempts: int = MAX_ATTEMPTS


async def claim_run(runs: CustomRuns, settings: RunLeasing, metrics: observe.Metrics) -> CustomClaim | None:
    """The run that is next, if one waits.

    Raises:
      StoreUnavailable: one may have been claimed; its lease runs out.
    """
    claim = await runs.claim_run(settings.owner, settings.lease_s, settings.max_attempts, settings.languages)
    if claim is not None:
        metrics.custom_run_wait_seconds.observe(claim.waited_ms / 1000)
        _tell("run_claim", claim)
    return claim


async def keep_runs(
    runs: CustomRuns, held: Sequence[Held], owner: str, lease_s: float, metrics: observe.Metrics
) -> set[Held]:
    """Extends every lease that is still ours; returns those that are not.

    Raises:
      StoreUnavailable: nothing is known; the leases run on by what was last granted.
    """
    if not held:
        return set()
    alive = await runs.extend_runs(held, owner, lease_s)
    lost = {one for one in held if one.job_id not in alive}
    metrics.lease_heartbeat.labels(status="ok", reason="custom_run").inc(len(held) - len(lost))
    if lost:
        metrics.lease_heartbeat.labels(status="lost", reason="custom_run").inc(len(lost))
    return lost


async def finish_run(
    runs: CustomRuns, claim: CustomClaim, report: CustomReport, metrics: observe.Metrics, *, user_max_bytes: int
) -> FinalizeRefusal | None:
    """None: it stands. ``user_max_bytes``: of its author's results together; older ones make room for it.

    Raises:
      StoreUnavailable: it may or may not stand; saying it again is safe.
    """
    outcome = report.outcome
    refusal = await runs.finish_run(
        claim,
        report.status,
        as_result(claim, report),
        b"" if outcome is None else outcome.stdout,
        b"" if outcome is None else outcome.stderr,
        user_max_bytes=user_max_bytes,
    )
    metrics.custom_run_end.labels(status=report.status.value if refusal is None else "refused").inc()
    _tell("run_finished", claim, status=report.status.value, reason="" if refusal is None else refusal.value)
    return refusal


async def give_back_run(
    runs: CustomRuns, claim: CustomClaim, why: Infra, *, counts: bool, delay_s: float, max_attempts: int = MAX_ATTEMPTS
) -> FinalizeRefusal | None:
    """The run is released for another try, or was tried often enough.

    Raises:
      StoreUnavailable: not given back; the lease runs out by itself.
    """
    refusal = await runs.give_back_run(claim, counts=counts, delay_s=delay_s, max_attempts=max_attempts)
    _tell("run_give_back", claim, reason=why.code if refusal is None else refusal.value, error=why.message)
    return refusal


async def sweep_runs(runs: CustomRuns, settings: RunKeeping, metrics: observe.Metrics) -> CustomSwept:
    """One round of the broom.

    Raises:
      StoreUnavailable: the next round does it.
    """
    swept = await runs.sweep_runs(settings.max_attempts, settings.max_wait_s, settings.keep_s, SWEEP_LIMIT)
    if swept.ended:
        metrics.custom_run_end.labels(status="System Error").inc(len(swept.ended))
    for run_id in swept.ended:
        observe.log("run_ended", level="warning", job_id=run_id, reason="nobody finished it")
    return swept


def _tell(event: str, claim: CustomClaim, *, status: str = "", reason: str = "", error: str = "") -> None:
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
