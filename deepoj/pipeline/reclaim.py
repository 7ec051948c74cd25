"""Recovery path 1: take over entries that a node read and did not finish.

This step only takes them over; the claim decides whether the job may be judged. So an entry whose row was never
claimed is judged, an entry whose row is done is acked, and an entry whose holder is alive is left.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from deepoj import observe
from deepoj.ports.stream import JobStream
from deepoj.words.stream import BadEntry, Entry


@dataclass(frozen=True, slots=True)
class ReclaimSettings:
    """``min_idle_ms`` is at least lease + grace: a holder whose heartbeat works never loses its entry (runbook 4.1)."""

    min_idle_ms: int
    count: int


async def reclaim(
    stream: JobStream, cursor: str, settings: ReclaimSettings, metrics: observe.Metrics
) -> tuple[str, Sequence[Entry | BadEntry]]:
    """Do one XAUTOCLAIM from ``cursor``. Return the cursor for the next round, and the entries taken over.

    Raises:
      StreamUnavailable
    """
    started = time.monotonic()
    cursor, entries = await stream.reclaim(settings.min_idle_ms, cursor, settings.count)
    metrics.reclaim_latency_ms.observe((time.monotonic() - started) * 1000)
    for entry in entries:
        metrics.reclaim.labels(status="claimed", reason="idle").inc()
        observe.log(
            "reclaim_claimed",
            job_id=entry.job_id if isinstance(entry, Entry) else "",
            stream_entry_id=entry.entry_id,
        )
    return cursor, entries


async def forget_consumers(stream: JobStream, idle_ms: int, metrics: observe.Metrics) -> int:
    """Remove consumers that are gone for good from the group. Return how many.

    What if we die here? The server checks and removes in one step. A consumer that comes back joins again by its next
    read, so removing one that was only silent does no harm. One with pending entries stays until reclaim has emptied
    it.

    Raises:
      StreamUnavailable
    """
    removed = await stream.forget_consumers(idle_ms)
    for name in removed:
        metrics.reclaim.labels(status="forgotten", reason="idle_consumer").inc()
        observe.log("consumer_forgotten", consumer=name)
    return len(removed)
