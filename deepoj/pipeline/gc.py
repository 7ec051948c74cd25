"""Trim the stream to its maximum length, but never past the oldest unfinished entry."""

from __future__ import annotations

from deepoj import observe
from deepoj.ports.stream import JobStream


async def trim(stream: JobStream, max_len: int, metrics: observe.Metrics) -> int:
    """Do one round. Return how many entries were removed.

    Raises:
      StreamUnavailable
    """
    removed = await stream.trim(max_len)
    metrics.stream_trim.labels(result="trimmed" if removed else "nothing").inc()
    if removed:
        observe.log("stream_trim", count=removed)
    return removed
