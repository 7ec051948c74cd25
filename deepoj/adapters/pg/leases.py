"""Claim, lease and verdict in PostgreSQL: the fencing. Each is one statement (``sql/queries/leases.sql``).

What if we die here? Between claim and finalize the lease expires and another node claims attempt + 1: from then on the
old attempt is refused everything. Between finalize and the ack of the stream entry the row is done: the next claim of
the entry says so, and the entry is acked.

When an answer is lost, finalize and give_back are repeated and recognize by the ledger what this attempt has done. A
claim is not repeated: a row that this node holds might be held by another of its slots. A claim whose answer was lost
waits until its lease expires.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from deepoj.adapters.pg.job_ids import is_job_id
from deepoj.adapters.pg.pool import PgPool
from deepoj.adapters.pg.problems import problem_of
from deepoj.adapters.pg.sources import sources_of
from deepoj.adapters.pg.sql_files import queries
from deepoj.adapters.pg.texts import clean_json, clean_text
from deepoj.words.jobs import Claim, ClaimRefusal, FinalizeRefusal, Held
from deepoj.words.results import Report, Verdict
from deepoj.words.stream import Entry

if TYPE_CHECKING:
    import asyncpg

    from deepoj.adapters.pg.pool import Connection


class PgJobLeases:
    """Claims, leases and verdicts of submissions (``ports.JobLeases``)."""

    def __init__(self, pool: PgPool) -> None:
        self._pool = pool

    async def claim(
        self,
        entries: Sequence[Entry],
        owner: str,
        lease_s: float,
        max_attempts: int,
        *,
        yields: bool = False,
        languages: Collection[str] | None = None,
    ) -> dict[str, Claim | ClaimRefusal]:
        answers: dict[str, Claim | ClaimRefusal] = {entry.entry_id: ClaimRefusal.UNKNOWN_JOB for entry in entries}
        known = [entry for entry in entries if is_job_id(entry.job_id)]
        if known:
            rows = await self._pool.rows(
                "claim",
                [entry.entry_id for entry in known],
                [entry.job_id for entry in known],
                owner,
                lease_s,
                max_attempts,
                yields,
                None if languages is None else sorted(languages),
                repeatable=False,
            )
            answers |= {row["entry_id"]: _claimed(row, owner) for row in rows}
        return answers

    async def extend(self, held: Sequence[Held], owner: str, lease_s: float) -> set[str]:
        if not held:
            return set()
        job_ids, attempts = [one.job_id for one in held], [one.attempt_id for one in held]
        rows = await self._pool.rows("extend", job_ids, attempts, owner, lease_s, repeatable=True)
        return {row["job_id"] for row in rows}

    async def finalize(self, claim: Claim, report: Report, result: Mapping[str, object]) -> FinalizeRefusal | None:
        """Write a verdict, as the port says; ``result`` is cleaned by ``texts``. ValueError for the verdict Invalid."""
        if report.status is Verdict.INVALID:
            raise ValueError("Invalid is where judging starts, it cannot be a verdict")
        sql = queries()["finalize"].sql
        stored = clean_json(result)

        async def work(connection: Connection, again: bool) -> asyncpg.Record | None:
            return await connection.fetchrow(
                sql,
                claim.job_id,
                claim.attempt_id,
                claim.lease_owner,
                report.status,
                stored,
                claim.judging,
                claim.entry_id,
                again,
                report.isolation,
            )

        return _refusal(await self._pool.do(work, repeatable=True))

    async def give_back(
        self, claim: Claim, *, reason: str, counts: bool, delay_s: float = 0.0, avoid_s: float = 0.0
    ) -> FinalizeRefusal | None:
        sql = queries()["give_back"].sql

        async def work(connection: Connection, again: bool) -> asyncpg.Record | None:
            return await connection.fetchrow(
                sql,
                claim.job_id,
                claim.attempt_id,
                claim.lease_owner,
                clean_text(reason),
                counts,
                delay_s,
                claim.entry_id,
                again,
                claim.judging,
                avoid_s,
            )

        return _refusal(await self._pool.do(work, repeatable=True))

    async def hand_over(
        self, job_ids: Sequence[str], *, avoid_s: float = 0.0, unfit: bool = False
    ) -> dict[str, ClaimRefusal | None]:
        """Hand entries over, as the port says. Repeatable: of two events, the claim refuses the second."""
        answers: dict[str, ClaimRefusal | None] = dict.fromkeys(job_ids, ClaimRefusal.UNKNOWN_JOB)
        known = [job_id for job_id in job_ids if is_job_id(job_id)]
        if known:
            rows = await self._pool.rows("hand_over", known, avoid_s, unfit, repeatable=True)
            answers |= {row["job_id"]: row["word"] and ClaimRefusal(row["word"]) for row in rows}
        return answers


def _refusal(row: asyncpg.Record | None) -> FinalizeRefusal | None:
    if row is None:
        raise AssertionError("a decision always has one row")
    return None if row["refusal"] is None else FinalizeRefusal(row["refusal"])


def _claimed(row: asyncpg.Record, owner: str) -> Claim | ClaimRefusal:
    if row["word"] != "claimed":
        return ClaimRefusal(row["word"])
    return Claim(
        job_id=row["job_id"],
        attempt_id=row["attempt_id"],
        judging=row["judging"],
        lease_owner=owner,
        entry_id=row["entry_id"],
        user_id=row["user_id"],
        language=row["language"],
        **sources_of(row),
        trace_id=row["trace_id"],
        problem=problem_of(row),
        waited_ms=row["waited_ms"],
        hides_verdict=row["hides_verdict"],
    )
