"""Counters of requests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from deepoj.words.limits import Overdrawn, Quota


class Counters(Protocol):
    """Counts requests in windows of time. Raises StreamUnavailable where they are counted for all nodes. Implemented by
    ``adapters.redis.counters``, for one process by ``api.counters``."""

    async def take(self, quotas: Sequence[Quota]) -> Overdrawn | None:
        """Count one request against all of ``quotas``, in one step, or against none of them if one is used up. Then the
        used-up quota whose window ends last is returned. A window begins with the first request counted in it."""
        ...

    async def give_back(self, quotas: Sequence[Quota]) -> None:
        """Count one request less against each of ``quotas``, unless its window has ended."""
        ...

    async def waits(self, quotas: Sequence[Quota]) -> Sequence[int]:
        """Return the milliseconds until each quota's window ends, 0 unless it is used up. Counts nothing."""
        ...
