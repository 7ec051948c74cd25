"""The broom: the stream is trimmed above its ceiling, and never past the oldest unfinished entry."""

from __future__ import annotations

from deepoj import observe
from deepoj.ports import JobStream


async def trim(stream: JobStream, max_len: int, metrics: observe.Metrics) -> int:
    """One round; returns how many entries went.

    Raises:
      StreamUnavailable
    """
    gone = await stream.trim(max_len)
    metrics.stream_trim.labels(result="trimmed" if gone else "nothing").inc()
    if gone:
        observe.log("stream_trim", count=gone)
    return gone
