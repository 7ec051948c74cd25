"""What is shown of judging while it is under way (``sql/queries/live.sql``): kept in a table of its own that the server
does not log, rung for by NOTIFY.

What if we die here? Before the statement: whoever watches sees the tests with the verdict. After it, and before the
verdict: the rows stay until another attempt ends the job, or are swept; nobody is shown those of a dead attempt.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence

import asyncpg

from deepoj.adapters.pg.job_ids import is_job_id
from deepoj.adapters.pg.pool import PgPool
from deepoj.adapters.pg.texts import clean_json
from deepoj.words import LiveJob, LiveTest, State, ToldTests


class PgLive:
    """``ports.LiveResults``."""

    def __init__(self, pool: PgPool) -> None:
        self._pool = pool

    async def tell_live(self, tests: Sequence[ToldTests], changed: Collection[str], over: Collection[str]) -> None:
        told = [one for one in tests if one.tests and is_job_id(one.job_id)]
        await self._pool.rows(
            "tell_live",
            [one.job_id for one in told],
            [one.attempt_id for one in told],
            [one.first for one in told],
            [one.last for one in told],
            [one.count for one in told],
            [clean_json(one.tests) for one in told],
            [job_id for job_id in changed if is_job_id(job_id)],
            [job_id for job_id in over if is_job_id(job_id)],
            repeatable=True,
        )

    async def live(self, job_id: str, attempt_id: int, after: int) -> LiveJob | None:
        if not is_job_id(job_id):
            return None
        rows = await self._pool.rows("live", job_id, attempt_id, after, repeatable=True)
        if not rows:
            return None
        seen = rows[0]
        tests = [one for row in rows if row["tests"] is not None for one in _tests(row)]
        started = after if seen["attempt_id"] == attempt_id else 0
        return LiveJob(
            state=State(seen["state"]),
            status=seen["status"],
            judging=seen["judging"],
            attempt_id=seen["attempt_id"],
            tests=tuple(one for one in tests if one.index > started),
        )

    async def sweep_live(self, keep_s: float, limit: int) -> int:
        row = await self._pool.row("sweep_live", keep_s, limit, repeatable=True)
        count: int = 0 if row is None else row["count"]
        return count


def _tests(row: asyncpg.Record) -> list[LiveTest]:
    return [LiveTest(row["first"] + at, row["count"], test) for at, test in enumerate(json.loads(row["tests"]))]
