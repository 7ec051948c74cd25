"""Way back 1: entries that somebody took and did not finish.

They are only taken over here. Whether the job may be judged is the claim's to say, so an entry whose row was never
claimed is judged, one whose row is done is acked, and one whose holder is alive is left.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from deepoj import observe
from deepoj.ports import JobStream
from deepoj.words import BadEntry, Entry


@dataclass(frozen=True, slots=True)
class ReclaimSettings:
    """``min_idle_ms`` is at least lease + grace: a holder that still beats is never robbed (runbook 4.1)."""

    min_idle_ms: int
    count: int


async def reclaim(
    stream: JobStream, cursor: str, settings: ReclaimSettings, metrics: observe.Metrics
) -> tuple[str, Sequence[Entry | BadEntry]]:
    """One XAUTOCLAIM from ``cursor``; returns the cursor for the next round and what was taken over.

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
    """Consumers that are gone for good leave the group; returns how many.

    What if we die here? Looking and taking out is one step at the server. A consumer that comes back joins again by
    its next read, so taking out one that was only silent costs nothing; one with pending entries stays, and reclaim
    empties it first.

    Raises:
      StreamUnavailable
    """
    gone = await stream.forget_consumers(idle_ms)
    for name in gone:
        metrics.reclaim.labels(status="forgotten", reason="idle_consumer").inc()
        observe.log("consumer_forgotten", consumer=name)
    return len(gone)
