"""Pages of submissions with their ledger for the audit (``sql/queries/audit.sql``), each read in one snapshot."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from deepoj.adapters.pg.pool import PgPool
from deepoj.words.ledger import AuditedEvent, AuditedJob, ContestDrift

if TYPE_CHECKING:
    import asyncpg


class PgAudit:
    """The audit's queries (``ports.Auditor``)."""

    def __init__(self, pool: PgPool) -> None:
        self._pool = pool

    async def audit_page(self, after_id: int, limit: int) -> list[AuditedJob]:
        return _jobs(await self._pool.rows("audit_page", after_id, limit, repeatable=True))

    async def audit_start(self, since: str) -> tuple[int, int]:
        """Return where the audit starts, as the port says. Raises ValueError for a malformed time."""
        row = await self._pool.row("audit_start", dt.datetime.fromisoformat(since), repeatable=True)
        if row is None:
            raise AssertionError("a start always has one row")
        return row["submission_id"], row["ledger_id"]

    async def audit_older(
        self, ledger_start: int, ledger_after: int, upto_id: int, limit: int
    ) -> tuple[list[AuditedJob], int | None]:
        rows = await self._pool.rows("audit_older", ledger_start, ledger_after, upto_id, limit, repeatable=True)
        return _jobs([row for row in rows if row["id"] is not None]), rows[0]["reached"]

    async def audit_rowless(
        self, ledger_start: int, ledger_after: int, limit: int
    ) -> tuple[list[tuple[str, AuditedEvent]], int | None]:
        rows = await self._pool.rows("audit_rowless", ledger_start, ledger_after, limit, repeatable=True)
        events = [(row["job_id"], _event(row)) for row in rows if row["job_id"] is not None]
        return events, rows[0]["reached"]

    async def audit_contests(self, since: str | None) -> list[int]:
        start = None if since is None else dt.datetime.fromisoformat(since)
        return [row["id"] for row in await self._pool.rows("audit_contests", start, repeatable=True)]

    async def audit_contest(self, contest_id: int, limit: int) -> list[ContestDrift]:
        rows = await self._pool.rows("audit_contest", contest_id, limit, repeatable=True)
        return [ContestDrift(**dict(row)) for row in rows]


def _jobs(rows: Sequence[asyncpg.Record]) -> list[AuditedJob]:
    return [_job(list(lines)) for _, lines in itertools.groupby(rows, key=lambda row: row["id"])]


def _job(rows: Sequence[asyncpg.Record]) -> AuditedJob:
    row = rows[0]
    return AuditedJob(
        id=row["id"],
        job_id=row["job_id"],
        state=row["state"],
        status=row["status"],
        judging=row["judging"],
        attempt_id=row["attempt_id"],
        lease_owner=row["lease_owner"],
        leased=row["leased"],
        result_status=row["result_status"],
        result_attempt=row["result_attempt"],
        result_job=row["result_job"],
        age_s=row["age_s"],
        events=tuple(_event(line) for line in rows if line["a_event"] is not None),
    )


def _event(line: asyncpg.Record) -> AuditedEvent:
    return AuditedEvent(
        judging=line["a_judging"],
        attempt_id=line["a_attempt_id"],
        event=line["a_event"],
        node=line["a_node"],
        outcome=line["a_outcome"],
        in_lease=line["a_in_lease"],
    )
