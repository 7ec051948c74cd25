"""Step 2: the dispatcher's round, from the outbox to the stream.

Two stores meet here; what if we die between the lines?

* taken, not published: the event stays ``pending`` and comes due again after its backoff. At least once.
* published, not marked: it will be published again. The claim refuses the second entry of a job.
* published, the answer lost (StreamUnavailable): the same. The payload is never deleted here: a delivered entry whose
  payload is gone would have nothing to point to.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from deepoj import observe
from deepoj.ports import Jobs, JobStream
from deepoj.words import OutboxEvent, StreamUnavailable


@dataclass(frozen=True, slots=True)
class OutboxSettings:
    """``batch_size`` events a round; backoff of an undelivered event from ``retry_base_s`` to ``retry_max_s``."""

    batch_size: int
    retry_base_s: float
    retry_max_s: float


async def dispatch(jobs: Jobs, stream: JobStream, settings: OutboxSettings, metrics: observe.Metrics) -> int:
    """One round: takes due events, publishes them in one pipeline, marks them. Returns how many it moved.

    Raises:
      StoreUnavailable: before or after publishing; the round is repeated by whoever comes next.
      StreamUnavailable: after ``last_error`` was recorded; the events come due again by themselves.
    """
    started = time.monotonic()
    events = await jobs.take_outbox(settings.batch_size, settings.retry_base_s, settings.retry_max_s)
    if not events:
        return 0
    try:
        entry_ids = await stream.publish(events)
    except StreamUnavailable as error:
        metrics.outbox_dispatch.labels(status="error", reason="stream_unavailable").inc(len(events))
        metrics.stream_enqueue.labels(status="error").inc(len(events))
        await jobs.mark_undelivered([event.id for event in events], str(error))
        raise
    await jobs.mark_delivered([(event.id, entry_id) for event, entry_id in zip(events, entry_ids, strict=True)])
    metrics.outbox_dispatch.labels(status="ok", reason="").inc(len(events))
    metrics.stream_enqueue.labels(status="ok").inc(len(events))
    metrics.outbox_dispatch_latency_seconds.observe(time.monotonic() - started)
    for event, entry_id in zip(events, entry_ids, strict=True):
        _tell(event, entry_id)
    return len(events)


def _tell(event: OutboxEvent, entry_id: str) -> None:
    # The runbook greps for repair_xadd when repair is what brought a job back.
    name = "repair_xadd" if event.event_type == "repair" else "enqueue"
    observe.log(name, job_id=event.job_id, stream_entry_id=entry_id, trace_id=event.trace_id, reason=event.event_type)
