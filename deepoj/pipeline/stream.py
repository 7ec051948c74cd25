"""Step 3: read entries while slots are free.

What if we die after the read? The entry is pending in the group under this node's name. A restart under the same name
reads its own pending entries first. Otherwise reclaim takes them once they have been idle for longer than a lease.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from deepoj import observe
from deepoj.ports.stream import JobStream
from deepoj.words.stream import BadEntry, Entry


async def read(stream: JobStream, count: int, block_ms: int, metrics: observe.Metrics) -> Sequence[Entry | BadEntry]:
    """Read at most ``count`` new entries; wait at most ``block_ms`` for the first.

    Raises:
      StreamUnavailable
    """
    started = time.monotonic()
    entries = await stream.read(count, block_ms)
    if entries:
        metrics.stream_consume_latency_ms.observe((time.monotonic() - started) * 1000)
        metrics.stream_consume.labels(status="ok", reason="new").inc(len(entries))
    return entries


async def left_behind(stream: JobStream, count: int, metrics: observe.Metrics) -> Sequence[Entry | BadEntry]:
    """Read the entries that were delivered to this consumer before and not acked. All of them go through the claim.

    Raises:
      StreamUnavailable
    """
    entries = await stream.own_pending(count)
    if entries:
        metrics.stream_consume.labels(status="ok", reason="own_pending").inc(len(entries))
        observe.log("own_pending", count=len(entries))
    return entries
