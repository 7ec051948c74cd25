"""What operators look at, in PostgreSQL (``sql/queries/system.sql``)."""

from __future__ import annotations

import datetime as dt

from deepoj.adapters.pg.pool import PgPool
from deepoj.words.system import Interruption, LastHour, PipelineTimes, RunningJob, Standing

#: events of the ledger that are read for the last hour, and first claims whose wait is measured
_LATEST_EVENTS, _LATEST_CLAIMS = 20_000, 500
#: rows in which interruptions, and the last dispatch and claim, are looked for
_LATEST_ROWS = 2_000


class PgSystem:
    """``ports.SystemView``."""

    def __init__(self, pool: PgPool) -> None:
        self._pool = pool

    async def running_jobs(self, limit: int) -> list[RunningJob]:
        return [
            RunningJob(
                job_id=row["job_id"],
                username=row["username"],
                problem_id=row["problem_id"],
                language=row["language"],
                node=row["node"],
                judging=row["judging"],
                attempt_id=row["attempt_id"],
                attempts=row["judging_attempts"],
                is_leased=row["is_leased"],
                claimed_at=_text(row["claimed_at"]),
            )
            for row in await self._pool.rows("running_jobs", limit, repeatable=True)
        ]

    async def last_hour(self) -> LastHour:
        row = await self._pool.row("last_hour", _LATEST_EVENTS, _LATEST_CLAIMS, repeatable=True)
        if row is None:
            raise AssertionError("the last hour always has one row")
        return LastHour(
            verdicts=tuple(row["verdicts"]),
            median_wait_s=row["median_wait_s"],
            p95_wait_s=row["p95_wait_s"],
            is_cut=row["is_cut"],
        )

    async def pipeline_times(self) -> PipelineTimes:
        row = await self._pool.row("pipeline_times", _LATEST_ROWS, repeatable=True)
        if row is None:
            raise AssertionError("the times always are one row")
        return PipelineTimes(dispatched_at=_text(row["dispatched_at"]), claimed_at=_text(row["claimed_at"]))

    async def standing(self) -> Standing:
        row = await self._pool.row("standing", repeatable=True)
        if row is None:
            raise AssertionError("it always is one row")
        return Standing(
            has_letters=row["has_letters"], backup_age_s=row["backup_age_s"], is_backed_up=row["is_backed_up"]
        )

    async def interruptions(self, limit: int) -> list[Interruption]:
        return [
            Interruption(
                job_id=row["job_id"],
                event=row["event"],
                node=row["node"],
                detail=row["detail"],
                at=row["created_at"].isoformat(),
            )
            for row in await self._pool.rows("interruptions", limit, _LATEST_ROWS, repeatable=True)
        ]


def _text(at: dt.datetime | None) -> str | None:
    return None if at is None else at.isoformat()
