"""Live results of a judging under way (``sql/queries/live.sql``), in an unlogged table and announced by NOTIFY.

What if we die here? Before the statement: watchers see the tests together with the verdict. After it and before the
verdict: the rows stay until another attempt ends the job, or until they are swept. Rows of a dead attempt are not
shown.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence

import asyncpg

from deepoj.adapters.batcher import Batcher
from deepoj.adapters.pg.job_ids import is_job_id
from deepoj.adapters.pg.pool import PgPool
from deepoj.adapters.pg.submissions import submission_of
from deepoj.adapters.pg.texts import clean_json
from deepoj.words.jobs import State
from deepoj.words.live import EndedTests, LiveJob, LiveTest

#: Watchers that read in one statement, each its job's new tests, and how many such statements run at once. A
#: notification round wakes all watchers of its tests. With 500 streams and 100 tests a second, node and database use
#: 0.58 ms of CPU for each test that is shown, and 0.86 ms with one statement for each stream.
_MOST_LOOKS = 64
_LOOK_LANES = 2


class PgLive:
    """Live results (``ports.LiveResults``)."""

    def __init__(self, pool: PgPool) -> None:
        self._pool = pool
        self._looks = Batcher(self._look, lanes=_LOOK_LANES, most=_MOST_LOOKS)

    async def tell_live(self, tests: Sequence[EndedTests], changed: Collection[str], over: Collection[str]) -> None:
        parts = [part for part in tests if part.tests and is_job_id(part.job_id)]
        await self._pool.rows(
            "tell_live",
            [part.job_id for part in parts],
            [part.attempt_id for part in parts],
            [part.first for part in parts],
            [part.last for part in parts],
            [part.count for part in parts],
            [clean_json(part.tests) for part in parts],
            [job_id for job_id in changed if is_job_id(job_id)],
            [job_id for job_id in over if is_job_id(job_id)],
            repeatable=True,
        )

    async def live(self, job_id: str, attempt_id: int, after: int) -> LiveJob | None:
        return await self._looks.do((job_id, attempt_id, after)) if is_job_id(job_id) else None

    async def _look(self, asked: Sequence[tuple[str, int, int]]) -> Sequence[LiveJob | None]:
        """Return each asked job as a watcher of it sees it, who has ``after`` tests of an attempt."""
        job_ids, attempt_ids, afters = zip(*asked, strict=True)
        rows = await self._pool.rows("live", job_ids, attempt_ids, afters, repeatable=True)
        of_place: dict[int, list[asyncpg.Record]] = {}
        for row in rows:
            of_place.setdefault(row["place"], []).append(row)
        return [
            _live_job(of_place[place], attempt_id, after) if place in of_place else None
            for place, (_, attempt_id, after) in enumerate(asked, 1)
        ]

    async def sweep_live(self, keep_s: float, limit: int) -> int:
        row = await self._pool.row("sweep_live", keep_s, limit, repeatable=True)
        count: int = 0 if row is None else row["count"]
        return count


def _live_job(rows: Sequence[asyncpg.Record], attempt_id: int, after: int) -> LiveJob:
    """Return the job of these rows, with its tests for a watcher who has ``after`` tests of ``attempt_id``."""
    head = rows[0]
    started = after if head["attempt_id"] == attempt_id else 0
    tests = [test for row in rows if row["tests"] is not None for test in _tests(row)]
    return LiveJob(
        state=State(head["state"]),
        status=head["status"],
        judging=head["judging"],
        attempt_id=head["attempt_id"],
        tests=tuple(test for test in tests if test.index > started),
        finished=None if head["job_id"] is None else submission_of(head),
        is_withheld=head["is_withheld"],
    )


def _tests(row: asyncpg.Record) -> list[LiveTest]:
    return [LiveTest(row["first"] + at, row["count"], test) for at, test in enumerate(json.loads(row["tests"]))]
