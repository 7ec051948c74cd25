"""Rejudging in PostgreSQL (``sql/queries/rejudges.sql``).

What if we die here? One statement opens a judging: the kept verdict, the row, the ledger and the outbox event are
written together or not at all. A page of an order and the order's cursor are one transaction, so the next node that
takes the order continues right after that page.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from deepoj.adapters.pg.job_ids import is_job_id
from deepoj.adapters.pg.pool import PgPool
from deepoj.adapters.pg.sql_files import queries
from deepoj.adapters.pg.texts import clean_text
from deepoj.words.jobs import State
from deepoj.words.rejudges import (
    EVERYTHING,
    Judging,
    Rejudged,
    RejudgeOrder,
    RejudgeRefusal,
    RejudgeScope,
    VerdictChange,
)
from deepoj.words.results import Verdict

if TYPE_CHECKING:
    import asyncpg

    from deepoj.adapters.pg.pool import Connection


class PgRejudges:
    """Rejudges (``ports.Rejudges``)."""

    def __init__(self, pool: PgPool) -> None:
        self._pool = pool

    async def rejudge(
        self, job_id: str, judging: int | None, *, by: str, in_full: bool, stream_key: str
    ) -> Rejudged | RejudgeRefusal:
        """Open a new judging, as the port says. Repeatable: an open judging answers a second try."""
        if not is_job_id(job_id):
            return RejudgeRefusal.UNKNOWN_JOB
        row = await self._pool.row(
            "open_judgings", [job_id], clean_text(by), in_full, stream_key, judging, True, repeatable=True
        )
        if row is None:
            return RejudgeRefusal.UNKNOWN_JOB
        if row["word"] in (None, "repeated"):
            return Rejudged(job_id, row["judging"], repeated=row["word"] is not None)
        return RejudgeRefusal(row["word"])

    async def judgings(self, job_id: str, limit: int) -> list[Judging]:
        if not is_job_id(job_id):
            return []
        rows = await self._pool.rows("judgings", job_id, limit, repeatable=True)
        return [
            Judging(**dict(row) | {"result": json.loads(row["result"]), "finished_at": row["finished_at"].isoformat()})
            for row in rows
        ]

    async def former_result(self, job_id: str, judging: int) -> Mapping[str, Any] | None:
        if not is_job_id(job_id):
            return None
        row = await self._pool.row("former_result", job_id, judging, repeatable=True)
        if row is None:
            return None
        result: Mapping[str, Any] = json.loads(row["result"])
        return result

    async def order_rejudge(
        self, problem_id: int, *, by: str, in_full: bool, scope: RejudgeScope = EVERYTHING
    ) -> RejudgeOrder | None:
        """Order a problem's rejudge, as the port says. Repeatable: an unfinished order answers a second try."""

        async def work(connection: Connection, _again: bool) -> RejudgeOrder | None:
            async with connection.transaction():
                version = await connection.fetchval(queries()["rejudge_lock"].sql, problem_id)
                if version is None:
                    return None
                standing = await connection.fetchrow(queries()["rejudge_standing"].sql, problem_id)
                full, whose = in_full, scope
                if standing is not None:
                    older = scope_of(standing)
                    is_covered = older in (EVERYTHING, scope) and (standing["in_full"] or not in_full)
                    if standing["problem_version"] == version and is_covered:
                        return _order(standing, repeated=True)
                    # What the older order was to do, and has not done, is done here.
                    full = full or standing["in_full"]
                    whose = scope if older == scope else EVERYTHING
                    await connection.execute(queries()["rejudge_end"].sql, standing["id"])
                begin = queries()["rejudge_begin"].sql
                values = (problem_id, version, full, clean_text(by), *filters_of(whose))
                return _order(await connection.fetchrow(begin, *values))

        return await self._pool.do(work, repeatable=True)

    async def rejudge_order(self, problem_id: int) -> RejudgeOrder | None:
        row = await self._pool.row("rejudge_latest", problem_id, repeatable=True)
        return None if row is None else _order(row)

    async def verdict_changes(self, order_id: int, limit: int) -> list[VerdictChange]:
        rows = await self._pool.rows("verdict_changes", order_id, limit, repeatable=True)
        return [VerdictChange(row["before"], row["after"], row["count"]) for row in rows]

    async def go_on_rejudging(self, limit: int, stream_key: str) -> RejudgeOrder | None:
        """Open the next page of an order, as the port says. Repeatable: the second try continues after the first."""

        async def work(connection: Connection, _again: bool) -> RejudgeOrder | None:
            async with connection.transaction():
                order = await connection.fetchrow(queries()["rejudge_take"].sql)
                return None if order is None else await _turn(connection, order, limit, stream_key)

        return await self._pool.do(work, repeatable=True)


async def _turn(connection: Connection, order: asyncpg.Record, limit: int, stream_key: str) -> RejudgeOrder:
    after_id, upto_id, late = order["after_id"], order["upto_id"], list(order["late"])
    if after_id < upto_id:
        filters = filters_of(scope_of(order))
        sql = queries()["rejudge_page"].sql
        page = await connection.fetch(sql, order["problem_id"], after_id, upto_id, limit, *filters)
        after_id = page[-1]["id"] if len(page) == limit else upto_id
        left_out = 0
    else:
        page, late = await connection.fetch(queries()["rejudge_late"].sql, late, order["verdict"]), []
        left_out = sum(not row["is_asked"] for row in page)
    asked = [row for row in page if row["is_asked"]]
    by_state = {state: [row["job_id"] for row in asked if row["state"] == state] for state in State}
    late += by_state[State.PROCESSING]
    opened = await _open(connection, by_state[State.DONE], order, stream_key)
    noted = await connection.fetchrow(
        queries()["rejudge_note"].sql,
        order["id"],
        after_id,
        late,
        opened,
        len(by_state[State.PENDING]) + len(by_state[State.DEAD]) + left_out,
        after_id >= upto_id and not late,
    )
    return _order(noted)


async def _open(connection: Connection, job_ids: Sequence[str], order: asyncpg.Record, stream_key: str) -> int:
    """Open a judging of each of these jobs, whose rows are finished and locked."""
    if not job_ids:
        return 0
    sql = queries()["open_judgings"].sql
    rows = await connection.fetch(sql, list(job_ids), order["ordered_by"], order["in_full"], stream_key, None, False)
    return sum(row["word"] is None for row in rows)


def _order(row: asyncpg.Record | None, *, repeated: bool = False) -> RejudgeOrder:
    if row is None:
        raise AssertionError("an order always has one row")
    return RejudgeOrder(
        id=row["id"],
        problem_id=row["problem_id"],
        problem_version=row["problem_version"],
        in_full=row["in_full"],
        ordered_by=row["ordered_by"],
        submissions=row["submissions"],
        opened=row["opened"],
        passed=row["passed"],
        finished=row["finished_at"] is not None,
        scope=scope_of(row),
        repeated=repeated,
    )


def scope_of(row: asyncpg.Record) -> RejudgeScope:
    """Return the scope in the columns of a rejudge or a preview."""
    verdict = row["verdict"]
    return RejudgeScope(
        verdict=None if verdict is None else Verdict(verdict),
        language=row["language"],
        since=row["since"],
        until=row["until"],
    )


def filters_of(scope: RejudgeScope) -> tuple[object, ...]:
    """Return the filters of ``rejudge_begin`` and ``rejudge_page``."""
    return scope.verdict, scope.language, scope.since, scope.until
