"""Estimates the number of unfinished jobs, for the cap on them.

Counting them reads one index entry per job. With 100,000 waiting jobs, a submit over HTTP takes 1.8 to 2.2 times as
long as with empty tables if its statement counts (20.9 and 10.3 ms), and 1.1 times without (``deepoj bench queue``,
three alternating runs of each on a loaded host). So submits do not count. A background loop counts a few times a second
while there are submits, and this node adds the jobs it has accepted since. Jobs finished since the last count disappear
with the next count. So the estimate is too small only by the jobs that other nodes have accepted since the last count;
while counting fails, it only grows.
"""

from __future__ import annotations

import trio


class InflightEstimate:
    """The last count, plus the jobs accepted since."""

    def __init__(self) -> None:
        self._counted = 0
        #: jobs accepted that may not be in the count
        self._since = 0
        #: submits whose transaction is in progress
        self._entering = 0
        self._was_asked = True
        self._entered = trio.Event()

    @property
    def inflight(self) -> int:
        return self._counted + self._since + self._entering

    def enter(self) -> int:
        """Register the start of a submit; returns the estimate without it."""
        before = self.inflight
        self._entering += 1
        self._was_asked = True
        self._entered.set()
        return before

    def leave(self, *, was_taken: bool) -> None:
        """Register the end of a submit and its transaction."""
        self._entering -= 1
        self._since += was_taken

    def needs_count(self, cap: int) -> bool:
        """Return whether to count now: after a submit since the last count, or near or above the cap."""
        return self._was_asked or self.inflight >= cap - cap // 10

    async def wait_needs_count(self, cap: int) -> None:
        """Park until ``needs_count``: only a submit changes its answer to yes."""
        while not self.needs_count(cap):
            self._entered = trio.Event()
            await self._entered.wait()

    def begin_count(self) -> int:
        """Start a count. Returns the number to pass to ``counted``: jobs accepted so far, which the count includes."""
        self._was_asked = False
        return self._since

    def counted(self, inflight: int, begun: int) -> None:
        self._counted = inflight
        self._since -= begun
