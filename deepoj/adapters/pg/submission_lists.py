"""Lists of submissions in PostgreSQL (``sql/queries/submission_lists.sql``)."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from deepoj.adapters.pg.pool import PgPool
from deepoj.words.jobs import State
from deepoj.words.submissions import ListPlace, SubmissionItem, SubmissionList, SubmissionQuery, TimeCount, VerdictCount

if TYPE_CHECKING:
    import asyncpg

#: how many rows a page may scan for its hits: about ten milliseconds' worth
WALK = 5_000
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_FIRST, _LAST = dt.datetime.min.replace(tzinfo=dt.UTC), dt.datetime.max.replace(tzinfo=dt.UTC)


class PgSubmissionLists:
    """Lists of submissions (``ports.SubmissionLists``)."""

    def __init__(self, pool: PgPool) -> None:
        self._pool = pool

    async def submissions(self, query: SubmissionQuery, limit: int, before: ListPlace | None = None) -> SubmissionList:
        until, below_id = query.until or _LAST, 0
        if before is not None and (place := time_of(before)) < until:
            until, below_id = place, before.id
        # if the index finds every hit, the page and one more row are enough: that row tells whether the list ends
        narrow = (
            query.language
            or query.verdict
            or query.is_unfinished
            or query.group_id
            or (query.user_id and query.problem_id)
        )
        walk = WALK if narrow else limit + 1
        rows = await self._pool.rows(
            "submission_list",
            query.user_id,
            query.problem_id,
            query.language,
            query.verdict,
            query.since or _FIRST,
            until,
            below_id,
            walk,
            limit + 1,
            query.group_id,
            query.sees_withheld,
            query.is_unfinished,
            repeatable=True,
        )
        hits = [row for row in rows if row["hit"]]
        if len(hits) > limit:
            return SubmissionList(tuple(map(item_of, hits[:limit])), place_of_row(hits[limit - 1]))
        ends = not rows or rows[-1]["nth"] < walk
        return SubmissionList(tuple(map(item_of, hits)), None if ends else place_of_row(rows[-1]))

    async def verdict_counts(self, problem_id: int, limit: int) -> list[VerdictCount]:
        rows = await self._pool.rows("verdict_counts", problem_id, limit, repeatable=True)
        return [VerdictCount(State(row["state"]), row["status"], row["count"]) for row in rows]

    async def time_counts(self, problem_id: int, limit: int) -> list[TimeCount]:
        rows = await self._pool.rows("time_counts", problem_id, limit, repeatable=True)
        return [TimeCount(row["tenth"], row["is_accepted"], row["count"]) for row in rows]


def place_of_row(row: asyncpg.Record) -> ListPlace:
    return ListPlace((row["created_at"] - _EPOCH) // dt.timedelta(microseconds=1), row["id"])


def time_of(place: ListPlace) -> dt.datetime:
    return _EPOCH + dt.timedelta(microseconds=place.created_us)


def item_of(row: asyncpg.Record) -> SubmissionItem:
    return SubmissionItem(
        job_id=row["job_id"],
        user_id=row["user_id"],
        username=row["username"],
        problem_id=row["problem_id"],
        language=row["language"],
        state=State(row["state"]),
        status=row["status"],
        judging=row["judging"],
        score=row["score"],
        time_used_ms=row["time_used_ms"],
        memory_used_kb=row["memory_used_kb"],
        created_at=row["created_at"].isoformat(),
        updated_at=row["updated_at"].isoformat(),
        is_withheld=row["is_withheld"],
        override=row["override"],
    )
