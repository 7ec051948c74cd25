"""Solved problems and active days in PostgreSQL (``sql/queries/marks.sql``). Triggers on ``submissions`` write them."""

from __future__ import annotations

from collections.abc import Collection

from deepoj.adapters.pg.pool import PgPool
from deepoj.words.marks import ActiveDay, SolvedProblem


class PgMarks:
    """What a user has achieved (``ports.Marks``)."""

    def __init__(self, pool: PgPool) -> None:
        self._pool = pool

    async def solved_of(self, user_id: int, problem_ids: Collection[int]) -> set[int]:
        if not problem_ids:
            return set()
        rows = await self._pool.rows("solved_of", user_id, list(problem_ids), repeatable=True)
        return {row["problem_id"] for row in rows}

    async def solved_problems(
        self, user_id: int, after_id: int, limit: int, *, viewer: int | None
    ) -> list[SolvedProblem]:
        rows = await self._pool.rows("solved_problems", user_id, after_id, limit, viewer, repeatable=True)
        return [SolvedProblem(row["problem_id"], row["title"], row["solved_at"].isoformat()) for row in rows]

    async def count_solved(self, user_id: int, *, viewer: int | None) -> int:
        row = await self._pool.row("count_solved", user_id, viewer, repeatable=True)
        count: int = 0 if row is None else row["count"]
        return count

    async def active_days(self, user_id: int, days: int) -> list[ActiveDay]:
        rows = await self._pool.rows("daily_activity", user_id, days, repeatable=True)
        return [ActiveDay(row["day"], row["submissions"]) for row in rows]

    async def user_verdicts(self, user_id: int, limit: int) -> list[tuple[str, int]]:
        rows = await self._pool.rows("user_verdicts", user_id, limit, repeatable=True)
        return [(row["status"], row["count"]) for row in rows]
