"""``MemorySystem``: what operators look at of a ``MemoryStore``."""

from __future__ import annotations

import datetime as dt
import statistics
from typing import TYPE_CHECKING

from deepoj.words.admin_events import AdminAct
from deepoj.words.jobs import State
from deepoj.words.system import Interruption, LastHour, PipelineTimes, RunningJob, Standing

if TYPE_CHECKING:
    from tests.fakes.store import MemoryStore


class MemorySystem:
    """``ports.SystemView`` in memory."""

    def __init__(self, memory: MemoryStore) -> None:
        self._memory = memory
        self.database_age_s = 0.0

    async def running_jobs(self, limit: int) -> list[RunningJob]:
        memory = self._memory
        await memory._enter("running_jobs")
        found = []
        for row in memory.rows.values():
            if row.state is not State.PROCESSING or row.lease_owner is None or row.lease_until is None:
                continue
            user = memory._users[row.draft.user_id].user
            claims = [
                one.at
                for one in memory.ledger
                if (one.job_id, one.attempt_id, one.event) == (row.job_id, row.attempt_id, "claimed")
            ]
            found.append(
                RunningJob(
                    job_id=row.job_id,
                    username=user.username,
                    problem_id=row.draft.problem_id,
                    language=row.draft.language,
                    node=row.lease_owner,
                    judging=row.judging,
                    attempt_id=row.attempt_id,
                    attempts=row.judging_attempts,
                    is_leased=row.lease_until > memory.clock(),
                    claimed_at=memory._dated(claims[-1]).isoformat() if claims else None,
                )
            )
        return found[:limit]

    async def last_hour(self) -> LastHour:
        memory = self._memory
        await memory._enter("last_hour")
        verdicts, now = [0] * 12, memory.clock()
        waits = []
        for one in memory.ledger:
            if one.at <= now - 3600:
                continue
            if one.event == "finalized":
                verdicts[11 - min(11, int((now - one.at) / 300))] += 1
            if (one.event, one.judging, one.attempt_id) == ("claimed", 1, 1) and one.job_id in memory.rows:
                waits.append(one.at - memory.rows[one.job_id].created_at)
        return LastHour(
            verdicts=tuple(verdicts),
            median_wait_s=statistics.median(waits) if waits else None,
            p95_wait_s=sorted(waits)[int((len(waits) - 1) * 0.95)] if waits else None,
            is_cut=False,
        )

    async def pipeline_times(self) -> PipelineTimes:
        memory = self._memory
        await memory._enter("pipeline_times")
        sent = [row.dispatched_at for row in memory.outbox.values() if row.dispatched_at is not None]
        claimed = [one.at for one in memory.ledger if one.event == "claimed"]
        return PipelineTimes(
            dispatched_at=memory._dated(max(sent)).isoformat() if sent else None,
            claimed_at=memory._dated(max(claimed)).isoformat() if claimed else None,
        )

    async def standing(self) -> Standing:
        memory = self._memory
        await memory._enter("standing")
        made = [dt.datetime.fromisoformat(event.at) for event in memory.events if event.act == AdminAct.BACKED_UP]
        since_s = (memory._dated(memory.clock()) - max(made)).total_seconds() if made else self.database_age_s
        has_letters = any(row.state is State.DEAD for row in memory.rows.values())
        return Standing(has_letters=has_letters, backup_age_s=since_s, is_backed_up=bool(made))

    async def interruptions(self, limit: int) -> list[Interruption]:
        memory = self._memory
        await memory._enter("interruptions")
        words = ("lost", "given_back", "refused", "dead")
        events = [
            (one.at, one.job_id, one.event, one.owner, one.detail or one.outcome)
            for one in memory.ledger
            if one.event in words
        ]
        events += [
            (row.created_at, row.job_id, "repaired", None, None)
            for row in memory.outbox.values()
            if row.event_type == "repair"
        ]
        newest = sorted(events, key=lambda event: (-event[0], event[1]))
        return [
            Interruption(job_id=job_id, event=event, node=node, detail=detail, at=memory._dated(at).isoformat())
            for at, job_id, event, node, detail in newest[:limit]
        ]
