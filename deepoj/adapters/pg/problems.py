"""Problems in PostgreSQL (``sql/queries/problems.sql``)."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from deepoj.adapters.pg.pool import PgPool
from deepoj.adapters.pg.sql_files import queries
from deepoj.adapters.pg.texts import clean_text
from deepoj.words.names import name_key
from deepoj.words.problems import Problem, ProblemChange, ProblemOrder, ProblemRefusal, ProblemSearch, Visibility

if TYPE_CHECKING:
    import asyncpg

    from deepoj.adapters.pg.pool import Connection

#: what a pattern of LIKE gives a meaning
_LIKE_SPECIAL = re.compile(r"[\\%_]")
_FINDING = {
    ProblemOrder.NUMBER: "find_problems",
    ProblemOrder.TITLE: "find_problems_by_title",
    ProblemOrder.DIFFICULTY: "find_problems_by_difficulty",
}


class PgProblems:
    """Problems (``ports.Problems``)."""

    def __init__(self, pool: PgPool) -> None:
        self._pool = pool

    async def reserve_problem_id(self) -> int:
        row = await self._pool.row("reserve_problem_id", repeatable=True)
        if row is None:
            raise AssertionError("a sequence always answers")
        problem_id: int = row["nextval"]
        return problem_id

    async def insert_problem(self, problem: Problem, *, by: str | None = None) -> None:
        """Insert a problem; overwrite one with the same id."""
        await self._pool.row(
            "insert_problem",
            problem.id,
            clean_text(problem.title),
            clean_text(problem.description),
            clean_text(problem.difficulty),
            problem.time_limit_ms,
            problem.memory_limit_mb,
            problem.compare,
            problem.data_path,
            problem.data_hash,
            problem.version,
            problem.unchecked,
            problem.broken,
            by,
            problem.created_by,
            problem.visibility,
            [clean_text(tag) for tag in problem.tags],
            list(problem.languages),
            repeatable=True,
        )

    async def problem(self, problem_id: int) -> Problem | None:
        row = await self._pool.row("problem", problem_id, repeatable=True)
        return None if row is None else problem_of(row)

    async def open_problem(self, problem_id: int, viewer: int | None) -> Problem | None:
        row = await self._pool.row("open_problem", problem_id, viewer, repeatable=True)
        return None if row is None else problem_of(row)

    async def newest_problems(self, limit: int) -> list[Problem]:
        return [problem_of(row) for row in await self._pool.rows("newest_problems", limit, repeatable=True)]

    async def problems(self, after_id: int, limit: int) -> list[Problem]:
        return [problem_of(row) for row in await self._pool.rows("problems", after_id, limit, repeatable=True)]

    async def problems_of(self, user_id: int, after_id: int, limit: int) -> list[Problem]:
        rows = await self._pool.rows("problems_of", user_id, after_id, limit, repeatable=True)
        return [problem_of(row) for row in rows]

    async def find_problems(self, query: ProblemSearch, after_id: int, limit: int) -> list[Problem]:
        name = _FINDING[query.order]
        pattern = f"%{_LIKE_SPECIAL.sub(r'\\\g<0>', clean_text(query.search))}%" if query.search else None
        tag, difficulty = clean_text(query.tag) or None, clean_text(query.difficulty) or None
        values = (pattern, query.number, limit, after_id, query.viewer, tag, difficulty, query.unsolved)
        return [problem_of(row) for row in await self._pool.rows(name, *values, repeatable=True)]

    async def problem_titles(self, problem_ids: Collection[int], viewer: int | None) -> dict[int, str]:
        rows = await self._pool.rows("problem_titles", sorted(set(problem_ids)), viewer, repeatable=True)
        return {row["id"]: row["title"] for row in rows}

    async def newest_titles(self, viewer: int, limit: int) -> dict[int, str]:
        rows = await self._pool.rows("newest_titles", viewer, limit, repeatable=True)
        return {row["id"]: row["title"] for row in rows}

    async def update_problem(self, problem_id: int, change: ProblemChange, *, by: str | None = None) -> Problem | None:
        row = await self._pool.row(
            "update_problem",
            problem_id,
            _clean(change.title),
            _clean(change.description),
            _clean(change.difficulty),
            change.time_limit_ms,
            change.memory_limit_mb,
            change.compare,
            change.data_path,
            change.data_hash,
            _clean(change.unchecked),
            by,
            change.visibility,
            None if change.tags is None else [clean_text(tag) for tag in change.tags],
            None if change.languages is None else list(change.languages),
            repeatable=True,
        )
        return None if row is None else problem_of(row)

    async def problem_groups(self, problem_id: int) -> list[str]:
        rows = await self._pool.rows("problem_groups", problem_id, repeatable=True)
        return sorted((row["name"] for row in rows), key=name_key)

    async def unknown_groups(self, names: Sequence[str]) -> frozenset[str]:
        rows = await self._pool.rows("unknown_groups", list(names), repeatable=True)
        return frozenset(row["name"] for row in rows)

    async def set_problem_groups(self, problem_id: int, names: Sequence[str], *, by: str | None = None) -> None:
        await self._pool.row("set_problem_groups", problem_id, list(names), by, repeatable=True)

    async def unchecked_problems(self, after_id: int, limit: int) -> list[Problem]:
        rows = await self._pool.rows("unchecked_problems", after_id, limit, repeatable=True)
        return [problem_of(row) for row in rows]

    async def tell_programs(self, problem_id: int, data_hash: str, broken: str | None) -> None:
        await self._pool.row("tell_programs", problem_id, data_hash, _clean(broken), repeatable=True)

    async def note_object(self, key: str) -> None:
        await self._pool.row("note_object", key, repeatable=True)

    async def loose_objects(self, keep_s: float, limit: int) -> list[str]:
        return [row["key"] for row in await self._pool.rows("loose_objects", keep_s, limit, repeatable=True)]

    async def forget_objects(self, keys: Sequence[str]) -> None:
        await self._pool.row("forget_objects", list(keys), repeatable=True)

    async def object_keys(self) -> dict[str, bool]:
        """Return the key of every object: True if a problem names it, False if only ``loose_objects`` does."""
        return {row["key"]: row["named"] for row in await self._pool.rows("object_keys", repeatable=True)}

    async def delete_problem(self, problem_id: int, *, by: str | None = None) -> ProblemRefusal | None:
        """Delete a problem, as the port says; a second try after a lost answer finds no row and returns None."""

        async def work(connection: Connection, again: bool) -> ProblemRefusal | None:
            async with connection.transaction():
                if await connection.fetchrow(queries()["delete_problem_lock"].sql, problem_id) is None:
                    return None if again else ProblemRefusal.UNKNOWN_PROBLEM
                if await connection.fetchval(queries()["problem_is_in_contest"].sql, problem_id):
                    return ProblemRefusal.IN_CONTEST
                deleted = await connection.fetchrow(queries()["delete_problem"].sql, problem_id, by)
                return ProblemRefusal.HAS_SUBMISSIONS if deleted is None else None

        return await self._pool.do(work, repeatable=True)

    async def delete_submissions_of(self, problem_id: int, limit: int) -> int:
        """Delete a page of a problem's submissions, as the port says; a second try deletes the next page."""
        row = await self._pool.row("delete_submissions_of", problem_id, limit, repeatable=True)
        count: int = 0 if row is None else row["count"]
        return count


def _clean(value: str | None) -> str | None:
    return None if value is None else clean_text(value)


def problem_of(row: asyncpg.Record) -> Problem:
    """Return the problem in a row that has its columns under these names."""
    return Problem(
        id=row["id"],
        title=row["title"],
        description=row["description"],
        difficulty=row["difficulty"],
        time_limit_ms=row["time_limit_ms"],
        memory_limit_mb=row["memory_limit_mb"],
        compare=row["compare"],
        data_path=row["data_path"],
        data_hash=row["data_hash"],
        version=row["version"],
        unchecked=row.get("unchecked"),
        broken=row.get("broken"),
        created_by=row.get("created_by"),
        visibility=Visibility(row.get("visibility", Visibility.LISTED)),
        tags=tuple(row.get("tags", ())),
        languages=tuple(row.get("languages", ())),
        hides_results=row.get("hides_results", False),
    )
