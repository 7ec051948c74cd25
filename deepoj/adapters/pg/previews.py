"""Previews of rejudges in PostgreSQL (``sql/queries/previews.sql``).

What if we die here? A start, an Apply and a Cancel are one transaction each. Before Apply's commit no verdict has
changed, and the preview is still ready; after it, a repeated Apply sees that and changes nothing. Leases are as in
``verifications``.

Locks are taken in this order: the setter with a quota, the problem, its preview, submissions by id, the preview's
submissions, marks by user.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import TYPE_CHECKING

from deepoj.adapters.pg.background import PgBackgroundLeases, claim_of
from deepoj.adapters.pg.rejudges import filters_of, scope_of
from deepoj.adapters.pg.sources import sources_of
from deepoj.adapters.pg.sql_files import queries
from deepoj.adapters.pg.texts import clean_json, clean_text
from deepoj.ports.previews import PreviewSweep
from deepoj.words.background import SetterQuota
from deepoj.words.previews import (
    MAX_JOBS,
    OPEN,
    UNDECIDED_S,
    PastRejudge,
    Preview,
    PreviewChange,
    PreviewClaim,
    PreviewFailure,
    PreviewOutcome,
    PreviewRefusal,
    PreviewState,
)
from deepoj.words.rejudges import RejudgeScope, VerdictChange

if TYPE_CHECKING:
    import datetime as dt

    import asyncpg

    from deepoj.adapters.pg.pool import Connection

#: previews that a round of the sweeper cancels by age, and deletes, at most
_FORGOTTEN = 20


class RolledBack(Exception):
    """Ends a transaction whose changes must not stay."""

    def __init__(self, refusal: PreviewRefusal) -> None:
        super().__init__()
        self.refusal = refusal


class PgPreviews(PgBackgroundLeases[PreviewClaim]):
    """Previews of rejudges (``ports.Previews``, ``ports.PreviewLeases``)."""

    _extend, _give_back, _finish = "extend_preview_job", "give_back_preview_job", "finish_preview_job"

    async def start_preview(
        self, problem_id: int, *, by: int, in_full: bool, scope: RejudgeScope, quota: SetterQuota | None = None
    ) -> Preview | PreviewRefusal:
        """Start a preview, as the port says. Repeatable: the open one answers a second try."""

        async def work(connection: Connection, _again: bool) -> Preview | PreviewRefusal:
            try:
                async with connection.transaction():
                    return await _start(connection, problem_id, by, in_full, scope, quota=quota)
            except RolledBack as refused:
                return refused.refusal

        return await self._pool.do(work, repeatable=True)

    async def apply_preview(self, problem_id: int, preview_id: int, *, by: int) -> Preview | PreviewRefusal:
        async def work(connection: Connection, _again: bool) -> Preview | PreviewRefusal:
            async with connection.transaction():
                version = await connection.fetchval(queries()["rejudge_lock"].sql, problem_id)
                row = await connection.fetchrow(queries()["preview_of"].sql, problem_id, preview_id)
                refusal = _refusal_to_apply(row, version)
                if refusal is not None:
                    return refusal
                if row is not None and row["state"] == PreviewState.READY:
                    applied = await connection.fetchrow(queries()["preview_apply"].sql, preview_id, by)
                    await connection.fetch(queries()["preview_marks"].sql, preview_id, problem_id)
                    await connection.execute(queries()["preview_write"].sql, preview_id)
                    count = 0 if applied is None else applied["applied"]
                    await connection.execute(queries()["preview_end"].sql, preview_id, by, count)
                return await _read(connection, problem_id, preview_id)

        return await self._pool.do(work, repeatable=True)

    async def cancel_preview(self, problem_id: int, preview_id: int, *, by: int) -> Preview | PreviewRefusal:
        async def work(connection: Connection, _again: bool) -> Preview | PreviewRefusal:
            async with connection.transaction():
                row = await connection.fetchrow(queries()["preview_of"].sql, problem_id, preview_id)
                refusal = _refusal_to_cancel(row)
                if refusal is not None:
                    return refusal
                await connection.execute(queries()["preview_cancel"].sql, preview_id, by)
                return await _read(connection, problem_id, preview_id)

        return await self._pool.do(work, repeatable=True)

    async def preview(self, problem_id: int, preview_id: int) -> Preview | None:
        row = await self._pool.row("previews_of", problem_id, preview_id, 1, repeatable=True)
        return None if row is None else _preview(row)

    async def preview_verdicts(self, preview_id: int) -> list[VerdictChange]:
        rows = await self._pool.rows("preview_verdicts", preview_id, repeatable=True)
        return [VerdictChange(row["before"], row["after"], row["count"], row["score_changes"]) for row in rows]

    async def preview_failures(self, preview_id: int, limit: int) -> list[PreviewFailure]:
        rows = await self._pool.rows("preview_failures", preview_id, limit, repeatable=True)
        return [PreviewFailure(row["why"], row["count"]) for row in rows]

    async def preview_changes(self, preview_id: int, limit: int) -> list[PreviewChange]:
        rows = await self._pool.rows("preview_changes", preview_id, limit, repeatable=True)
        return [PreviewChange(**dict(row)) for row in rows]

    async def past_rejudges(self, problem_id: int, limit: int) -> list[PastRejudge]:
        rows = await self._pool.rows("past_rejudges", problem_id, limit, repeatable=True)
        return [
            PastRejudge(
                preview_id=row["preview_id"],
                by=row["who"],
                at=row["began_at"].isoformat(),
                state=PreviewState(row["state"]),
                problem_version=row["problem_version"],
                in_full=row["in_full"],
                scope=scope_of(row),
                submissions=row["submissions"],
                rejudged=row["rejudged"],
            )
            for row in rows
        ]

    async def claim(
        self, owner: str, lease_s: float, max_attempts: int, languages: Collection[str]
    ) -> PreviewClaim | None:
        row = await self._pool.row(
            "claim_preview_job", owner, lease_s, max_attempts, sorted(languages), repeatable=False
        )
        if row is None:
            return None
        return PreviewClaim(
            **claim_of(row, row["preview_id"], owner),
            **sources_of(row),
            job_id=row["job_id"],
            trace_id=row["trace_id"],
            base_attempt_id=row["base_attempt_id"],
            former=None if row["former"] is None else json.loads(row["former"]),
            time_limit_ms=row["time_limit_ms"],
            memory_limit_mb=row["memory_limit_mb"],
        )

    async def finish(self, claim: PreviewClaim, outcome: PreviewOutcome) -> bool:
        result = None if outcome.result is None else clean_json(outcome.result)
        return await self._write(
            claim, outcome.status, outcome.score, outcome.isolation, result, clean_text(outcome.why)
        )

    async def sweep_previews(self, max_attempts: int, max_wait_s: float, keep_s: float) -> PreviewSweep:
        row = await self._pool.row("sweep_previews", max_attempts, max_wait_s, repeatable=True)
        await self._pool.row("close_unchanged_rejudges", repeatable=True)
        expired = await self._pool.row("expire_previews", UNDECIDED_S, _FORGOTTEN, repeatable=True)
        await self._pool.rows("forget_previews", keep_s, _FORGOTTEN, repeatable=True)
        if row is None:
            raise AssertionError("counts always have one row")
        # the statement's snapshot still counts those that it has ended
        running = await self._pool.row("count_previews", repeatable=True) if row["ended"] else row
        ended = row["ended"] + (0 if expired is None else expired["expired"])
        return PreviewSweep(ended, 0 if running is None else running["running"])


async def _start(
    connection: Connection, problem_id: int, by: int, in_full: bool, scope: RejudgeScope, *, quota: SetterQuota | None
) -> Preview | PreviewRefusal:
    if quota is not None:  # previews of one setter's problems are started one after the other
        await connection.fetchval(queries()["verification_quota_lock"].sql, quota.setter)
    version = await connection.fetchval(queries()["rejudge_lock"].sql, problem_id)
    if version is None:
        return PreviewRefusal.UNKNOWN
    standing = await connection.fetchrow(queries()["preview_open"].sql, problem_id)
    if standing is not None:
        is_current, is_of_contest = standing["problem_version"] == version, standing["contest_rejudge_id"] is not None
        if is_current and not is_of_contest and scope_of(standing) == scope and standing["in_full"] == in_full:
            return await _read(connection, problem_id, standing["id"])
        if is_current and (is_of_contest or standing["state"] == PreviewState.RUNNING):
            return PreviewRefusal.ANOTHER
    if quota is not None:
        others = await connection.fetchval(queries()["previews_of_setter"].sql, quota.setter, problem_id)
        if others >= quota.most:
            return PreviewRefusal.QUOTA
    if standing is not None:
        await connection.execute(queries()["preview_cancel"].sql, standing["id"], by)
    values = (problem_id, version, in_full, by, *filters_of(scope), MAX_JOBS, None, None)
    begun = await connection.fetchrow(queries()["preview_begin"].sql, *values)
    if begun is None:
        raise AssertionError("counts always have one row")
    if begun["id"] is None:
        raise RolledBack(PreviewRefusal.TOO_MANY if begun["found"] else PreviewRefusal.EMPTY)
    return await _read(connection, problem_id, begun["id"])


async def _read(connection: Connection, problem_id: int, preview_id: int) -> Preview:
    row = await connection.fetchrow(queries()["previews_of"].sql, problem_id, preview_id, 1)
    if row is None:
        raise AssertionError("the preview is locked")
    return _preview(row)


def _refusal_to_apply(row: asyncpg.Record | None, version: int | None) -> PreviewRefusal | None:
    if row is None or row["contest_rejudge_id"] is not None:
        return PreviewRefusal.UNKNOWN if row is None else PreviewRefusal.OF_CONTEST
    state = PreviewState(row["state"])
    if state in {PreviewState.CANCELLED, PreviewState.OUTDATED}:
        return PreviewRefusal.ENDED if state is PreviewState.CANCELLED else PreviewRefusal.OUTDATED
    if state in OPEN and row["problem_version"] != version:
        return PreviewRefusal.OUTDATED
    return PreviewRefusal.NOT_READY if state is PreviewState.RUNNING else None


def _refusal_to_cancel(row: asyncpg.Record | None) -> PreviewRefusal | None:
    if row is None or row["contest_rejudge_id"] is not None:
        return PreviewRefusal.UNKNOWN if row is None else PreviewRefusal.OF_CONTEST
    of_state = {PreviewState.APPLIED: PreviewRefusal.ENDED, PreviewState.OUTDATED: PreviewRefusal.OUTDATED}
    return of_state.get(PreviewState(row["state"]))


def _preview(row: asyncpg.Record) -> Preview:
    return Preview(
        id=row["id"],
        problem_id=row["problem_id"],
        problem_version=row["problem_version"],
        in_full=row["in_full"],
        scope=scope_of(row),
        ordered_by=row["ordered_by"],
        decided_by=row["decided_by"],
        state=PreviewState(row["state"]),
        created_at=row["created_at"].isoformat(),
        judged_at=_iso(row["judged_at"]),
        decided_at=_iso(row["decided_at"]),
        submissions=row["submissions"],
        ended=row["ended"],
        judged=row["judged"],
        changed=row["changed"],
        applied=row["applied"],
        left_out=row["left_out"],
    )


def _iso(at: dt.datetime | None) -> str | None:
    return None if at is None else at.isoformat()
