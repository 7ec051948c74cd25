"""The loops of contests: their times, and the slots that are kept for their submissions.

``AdvanceContests`` lets contests start, freeze, end and thaw. It asks once a second while a contest is not over, which
costs one statement of a third of a millisecond. So a change of times, on any node, is followed within a second, without
a notification that could be lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

import trio

from deepoj import observe
from deepoj.nursery.leases import Leases
from deepoj.nursery.scopes import StopDeadline
from deepoj.nursery.work import JobIntake
from deepoj.pipeline.outbox import LOOKED_AT
from deepoj.ports.contests import Contests
from deepoj.ports.stream import JobStream
from deepoj.words.errors import Breakage, StoreUnavailable
from deepoj.words.outbox import Priority

PERIOD_S = 1.0
#: pause of ``TakeContestJobs`` while it finds nothing to take
LOOK_PERIOD_S = 0.1


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


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepContestSlots:
    """One round keeps slots of a node for contests while one runs."""

    contests: Contests
    leases: Leases
    count: int

    async def once(self) -> None:
        self.leases.keep(self.count if (await self.contests.standing()).running else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeContestJobs:
    """Takes jobs of contests from between the unread entries of practice, while only kept slots are free.

    It reads nothing as a consumer: entries before them stay unread, for the first slot that may take them.
    """

    stream: JobStream
    job_intake: JobIntake
    stop_deadline: StopDeadline

    async def __call__(self, *, task_status: trio.TaskStatus[None]) -> NoReturn:
        task_status.started()
        refused: set[str] = set()
        while True:
            await self.job_intake.wait_contest_room()
            unread = await self.stream.unread(Priority.CONTEST, LOOKED_AT)
            refused &= {entry.entry_id for entry in unread}
            # other work may have taken slots during the look
            free = self.job_intake.contest_room()
            tried = [entry for entry in unread if entry.entry_id not in refused][:free]
            started = 0
            if tried:
                # a stop does not cut it, as in the consumer
                started = await self.stop_deadline.finish_despite_stop("a claim", self.job_intake.admit_ahead, tried)
                refused |= {entry.entry_id for entry in tried}
            if not started:
                await trio.sleep(LOOK_PERIOD_S)
