"""Rejudges of contests in PostgreSQL (``sql/queries/contest_rejudges.sql``), made of previews of their problems.

What if we die here? A start, an Apply and a Cancel are one transaction each, as those of a preview.

Locks are taken in this order: the contest (a start alone), the rejudge, problems, previews, submissions by id, the
previews' submissions, marks by user and problem, and last the contest's counter. An Apply does not keep a finalization
back: the counter says at the end whether there was one, and then nothing is applied.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

from deepoj.adapters.pg.contest_changes import note_act
from deepoj.adapters.pg.pool import PgPool
from deepoj.adapters.pg.previews import RolledBack
from deepoj.adapters.pg.sql_files import queries
from deepoj.adapters.pg.texts import clean_json
from deepoj.words.admin_events import AdminAct
from deepoj.words.contest_rejudges import ContestRejudge, ContestRejudgeScope, RejudgedVerdict
from deepoj.words.previews import MAX_JOBS, OPEN, PreviewFailure, PreviewRefusal, PreviewState
from deepoj.words.results import Verdict

if TYPE_CHECKING:
    import asyncpg

    from deepoj.adapters.pg.pool import Connection

_NEWEST = 1


class PgContestRejudges:
    """Rejudges of contests (``ports.ContestRejudges``)."""

    def __init__(self, pool: PgPool) -> None:
        self._pool = pool

    async def start_rejudge(
        self,
        contest_id: int,
        jobs: Mapping[int, Collection[str]],
        *,
        by: int,
        in_full: bool,
        scope: ContestRejudgeScope,
    ) -> ContestRejudge | PreviewRefusal:
        """Start a rejudge, as the port says. Repeatable: the open one answers a second try."""

        return await self._decide(
            lambda connection: _start(connection, contest_id, jobs, by=by, in_full=in_full, scope=scope)
        )

    async def apply_rejudge(self, contest_id: int, rejudge_id: int, *, by: int) -> ContestRejudge | PreviewRefusal:
        return await self._decide(lambda connection: _apply(connection, contest_id, rejudge_id, by))

    async def cancel_rejudge(self, contest_id: int, rejudge_id: int, *, by: int) -> ContestRejudge | PreviewRefusal:
        return await self._decide(lambda connection: _cancel(connection, contest_id, rejudge_id, by))

    async def _decide(
        self, act: Callable[[Connection], Awaitable[ContestRejudge | PreviewRefusal]]
    ) -> ContestRejudge | PreviewRefusal:
        """Do an act in a transaction of its own, which ``RolledBack`` ends."""

        async def work(connection: Connection, _again: bool) -> ContestRejudge | PreviewRefusal:
            try:
                async with connection.transaction():
                    return await act(connection)
            except RolledBack as refused:
                return refused.refusal

        return await self._pool.do(work, repeatable=True)

    async def rejudges(self, contest_id: int, limit: int, rejudge_id: int | None = None) -> list[ContestRejudge]:
        rows = await self._pool.rows("contest_rejudges", contest_id, rejudge_id, limit, repeatable=True)
        return [_rejudge(row) for row in rows]

    async def rejudged_verdicts(self, rejudge_id: int) -> list[RejudgedVerdict]:
        rows = await self._pool.rows("contest_rejudge_judgements", rejudge_id, repeatable=True)
        return [RejudgedVerdict(row["id"], json.loads(row["data"])) for row in rows]

    async def rejudge_failures(self, rejudge_id: int, limit: int) -> list[PreviewFailure]:
        rows = await self._pool.rows("contest_rejudge_failures", rejudge_id, limit, repeatable=True)
        return [PreviewFailure(row["why"], row["count"]) for row in rows]

    async def hosts(self, contest_id: int) -> list[str]:
        return [row["node"] for row in await self._pool.rows("contest_hosts", contest_id, repeatable=True)]


async def _start(
    connection: Connection,
    contest_id: int,
    jobs: Mapping[int, Collection[str]],
    *,
    by: int,
    in_full: bool,
    scope: ContestRejudgeScope,
) -> ContestRejudge | PreviewRefusal:
    contest = await connection.fetchrow(queries()["lock_contest"].sql, contest_id)
    if contest is None:
        return PreviewRefusal.UNKNOWN
    if contest["finalized_at"] is not None:
        return PreviewRefusal.FINALIZED
    newest = await connection.fetchrow(queries()["contest_rejudges"].sql, contest_id, None, _NEWEST)
    if newest is not None and (standing := _rejudge(newest)).state in OPEN:
        is_same = standing.scope == scope and standing.in_full == in_full
        return standing if is_same else PreviewRefusal.ANOTHER
    rejudge_id = await connection.fetchval(
        queries()["contest_rejudge_begin"].sql, contest_id, clean_json(_stored(scope)), in_full, by
    )
    begun = 0
    for problem_id in sorted(jobs):
        version = await connection.fetchval(queries()["rejudge_lock"].sql, problem_id)
        if await connection.fetchrow(queries()["preview_open"].sql, problem_id) is not None:
            raise RolledBack(PreviewRefusal.ANOTHER)
        chosen = list(jobs[problem_id])
        if scope.host is not None:
            rows = await connection.fetch(queries()["contest_jobs_of_host"].sql, chosen, scope.host)
            chosen = [row["job_id"] for row in rows]
        values = (problem_id, version, in_full, by, scope.verdict, scope.language, None, None, MAX_JOBS - begun)
        row = await connection.fetchrow(queries()["preview_begin"].sql, *values, chosen, rejudge_id)
        found = 0 if row is None else row["found"]
        begun += found
        if begun > MAX_JOBS:
            raise RolledBack(PreviewRefusal.TOO_MANY)
    if begun == 0:
        raise RolledBack(PreviewRefusal.EMPTY)
    await _note(connection, contest_id, by, rejudge_id, "started")
    return await _read(connection, contest_id, rejudge_id)


async def _apply(connection: Connection, contest_id: int, rejudge_id: int, by: int) -> ContestRejudge | PreviewRefusal:
    row = await connection.fetchrow(queries()["contest_rejudge_lock"].sql, contest_id, rejudge_id)
    if row is None:
        return PreviewRefusal.UNKNOWN
    if row["is_applied"]:
        return await _read(connection, contest_id, rejudge_id)
    if row["is_applied"] is not None:
        return PreviewRefusal.ENDED
    if row["is_final"]:
        return PreviewRefusal.FINALIZED
    previews = await connection.fetch(queries()["contest_rejudge_problems"].sql, rejudge_id)
    if (refusal := _refusal_to_apply(previews)) is not None:
        return refusal
    ids = [preview["id"] for preview in previews]
    await connection.fetch(queries()["contest_rejudge_submissions"].sql, ids)
    applied = {}
    for preview_id in ids:
        done = await connection.fetchrow(queries()["preview_apply"].sql, preview_id, by)
        applied[preview_id] = 0 if done is None else done["applied"]
    await connection.fetch(queries()["contest_rejudge_marks"].sql, ids)
    for preview_id in ids:
        await connection.execute(queries()["preview_write"].sql, preview_id)
        await connection.execute(queries()["preview_end"].sql, preview_id, by, applied[preview_id])
    await connection.execute(queries()["contest_rejudge_end"].sql, rejudge_id, True, by)
    await _note(connection, contest_id, by, rejudge_id, "applied")
    result = await _read(connection, contest_id, rejudge_id)
    if await connection.fetchval(queries()["contest_is_final"].sql, contest_id):
        raise RolledBack(PreviewRefusal.FINALIZED)
    return result


async def _cancel(connection: Connection, contest_id: int, rejudge_id: int, by: int) -> ContestRejudge | PreviewRefusal:
    row = await connection.fetchrow(queries()["contest_rejudge_lock"].sql, contest_id, rejudge_id)
    if row is None:
        return PreviewRefusal.UNKNOWN
    if row["is_applied"]:
        return PreviewRefusal.ENDED
    if row["is_applied"] is None:
        for preview in await connection.fetch(queries()["contest_rejudge_problems"].sql, rejudge_id):
            await connection.execute(queries()["preview_cancel"].sql, preview["id"], by)
        await connection.execute(queries()["contest_rejudge_end"].sql, rejudge_id, False, by)
        await _note(connection, contest_id, by, rejudge_id, "cancelled")
    return await _read(connection, contest_id, rejudge_id)


def _refusal_to_apply(previews: Sequence[asyncpg.Record]) -> PreviewRefusal | None:
    states = {PreviewState(preview["state"]) for preview in previews}
    if not states or PreviewState.CANCELLED in states:
        return PreviewRefusal.ENDED
    is_changed = any(preview["version"] != preview["problem_version"] for preview in previews)
    if PreviewState.OUTDATED in states or is_changed:
        return PreviewRefusal.OUTDATED
    return PreviewRefusal.NOT_READY if PreviewState.RUNNING in states else None


async def _read(connection: Connection, contest_id: int, rejudge_id: int) -> ContestRejudge:
    row = await connection.fetchrow(queries()["contest_rejudges"].sql, contest_id, rejudge_id, 1)
    if row is None:
        raise AssertionError("the rejudge is locked")
    return _rejudge(row)


async def _note(connection: Connection, contest_id: int, by: int, rejudge_id: int, word: str) -> None:
    await note_act(connection, contest_id, by, AdminAct.CONTEST_REJUDGED, {"rejudge": rejudge_id, "is": word})


def _stored(scope: ContestRejudgeScope) -> dict[str, object]:
    given = {field.name: getattr(scope, field.name) for field in fields(scope)}
    return {name: value for name, value in given.items() if value is not None}


def _rejudge(row: asyncpg.Record) -> ContestRejudge:
    scope = json.loads(row["scope"])
    if "verdict" in scope:
        scope["verdict"] = Verdict(scope["verdict"])
    return ContestRejudge(
        id=row["id"],
        scope=ContestRejudgeScope(**scope),
        in_full=row["in_full"],
        ordered_by=row["ordered_by"],
        decided_by=row["decided_by"],
        state=PreviewState(row["state"]),
        created_at=row["created_at"].isoformat(),
        decided_at=None if row["decided_at"] is None else row["decided_at"].isoformat(),
        submissions=row["submissions"],
        ended=row["ended"],
        judged=row["judged"],
        changed=row["changed"],
        applied=row["applied"],
        preview_ids=tuple(row["preview_ids"]),
    )
