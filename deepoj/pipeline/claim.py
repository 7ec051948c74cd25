"""Step 4: claim entries. Each becomes a claim or a refusal; nothing is executed without a won claim.

What if we die before the claim? The entry is pending in the group, the row still ``pending``. Reclaim brings the entry
to the claim again; it never acks it. After the claim? The lease runs out and the next claim is attempt+1. Every later
statement of the dead attempt is refused because of its attempt number.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from deepoj import observe
from deepoj.ports.leases import JobLeases
from deepoj.words.jobs import Claim, ClaimRefusal
from deepoj.words.outbox import Priority
from deepoj.words.stream import Entry


@dataclass(frozen=True, slots=True)
class LeaseSettings:
    """The node that claims, the length of its leases, and how often a job may be tried."""

    owner: str
    lease_s: float
    max_attempts: int
    #: the languages this node can judge, as known at the time of a claim; None: all
    languages: Collection[str] | None = None


async def claim(
    jobs: JobLeases,
    entries: Sequence[Entry],
    settings: LeaseSettings,
    metrics: observe.Metrics,
    *,
    yields: bool = False,
) -> Mapping[str, Claim | ClaimRefusal]:
    """Claim a batch by one statement; the answer is keyed by entry id.

    A job that this node has just failed at is refused with ``yields`` (AVOIDED). A job in a language that this node
    does not have, or of a problem that its contest has paused, is always refused (UNFIT).

    Raises:
      StoreUnavailable: the outcome is unknown, and no entry may be acked.
    """
    answers = await jobs.claim(
        entries,
        settings.owner,
        settings.lease_s,
        settings.max_attempts,
        yields=yields,
        languages=settings.languages,
    )
    answers = {entry.entry_id: _with_dispatch(answers[entry.entry_id], entry) for entry in entries}
    for entry in entries:
        answer = answers[entry.entry_id]
        if isinstance(answer, Claim):
            metrics.claim.labels(status="won", reason="").inc()
            metrics.queue_wait_seconds.observe(answer.waited_ms / 1000)
            metrics.stage_seconds.labels(stage="dispatch").observe(answer.dispatch_ms / 1000)
            metrics.stage_seconds.labels(stage="claim").observe((answer.waited_ms - answer.dispatch_ms) / 1000)
            if entry.priority == Priority.CONTEST:
                metrics.contest_wait_seconds.observe(answer.waited_ms / 1000)
            observe.log(
                "claim",
                job_id=answer.job_id,
                attempt_id=answer.attempt_id,
                stream_entry_id=entry.entry_id,
                trace_id=answer.trace_id,
                consumer=settings.owner,
            )
        else:
            metrics.claim.labels(status="refused", reason=answer.value).inc()
            observe.log("claim_refused", job_id=entry.job_id, stream_entry_id=entry.entry_id, reason=answer.value)
    return answers


def _with_dispatch(answer: Claim | ClaimRefusal, entry: Entry) -> Claim | ClaimRefusal:
    """Return a claim with the time until its entry was in the stream: an entry's id begins with that moment, by the
    clock of Redis. The other moments are of the database's clock, so the time is held within the whole wait."""
    if not isinstance(answer, Claim):
        return answer
    since_ms = int(entry.entry_id.partition("-")[0]) - entry.enqueue_ts_ms
    return replace(answer, dispatch_ms=min(max(0, since_ms), answer.waited_ms))
