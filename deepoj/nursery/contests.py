"""The loop that lets contests start, freeze, end and thaw at their times.

It asks once a second, which costs an idle node one statement of a third of a millisecond. So a change of times, on any
node, is followed within a second, without a notification that could be lost.
"""

from __future__ import annotations

from dataclasses import dataclass

from deepoj import observe
from deepoj.ports.contests import Contests
from deepoj.words.errors import Breakage, StoreUnavailable

PERIOD_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvanceContests:
    """One round lets happen what is due, and shows how many contests run.

    What is not due in the database is not decided here, so several nodes may do it at once. A contest that cannot be
    advanced is counted, and tried again a second later; it stops neither the node nor the other contests."""

    contests: Contests
    metrics: observe.Metrics

    async def once(self) -> None:
        try:
            standing = await self.contests.standing()
            self.metrics.contests_running.set(standing.running)
            self.metrics.contest_events.set(standing.events)
            if standing.due:
                changed = await self.contests.advance()
                self.metrics.contest_advance.labels(result="changed").inc(len(changed))
        except Breakage as breakage:
            self.metrics.contest_advance.labels(result="error").inc()
            if isinstance(breakage, StoreUnavailable):
                raise
            observe.log("contest_advance_failed", level="error", reason=str(breakage))
