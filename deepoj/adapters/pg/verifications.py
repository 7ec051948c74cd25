"""Verifications in PostgreSQL (``sql/queries/verifications.sql``).

What if we die here? A start is one transaction. A claim whose answer was lost waits until its lease expires; a repeated
outcome recognizes its own attempt by the owner that the row keeps.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import TYPE_CHECKING

from deepoj.adapters.pg.background import PgBackgroundLeases, claim_of
from deepoj.adapters.pg.sql_files import queries
from deepoj.adapters.pg.texts import clean_json, clean_text
from deepoj.judging.promises import Kept
from deepoj.judging.verifications import (
    ExampleDraft,
    ExampleOutcome,
    Verification,
    VerificationDraft,
    VerificationState,
    VerifiedExample,
    WorstTime,
    example_json,
    example_of_json,
)
from deepoj.words.background import SetterQuota
from deepoj.words.sources import SourceFile
from deepoj.words.verifications import ExampleClaim, VerificationRefusal

if TYPE_CHECKING:
    from deepoj.adapters.pg.pool import Connection


class PgVerifications(PgBackgroundLeases[ExampleClaim]):
    """Verifications (``ports.Verifications``, ``ports.ExampleLeases``)."""

    _extend, _give_back, _finish = "extend_example", "give_back_example", "finish_example"

    async def start_verification(
        self, draft: VerificationDraft, *, by: str | None = None, quota: SetterQuota | None = None
    ) -> VerificationRefusal | None:
        """Start a verification, as the port says. Repeatable: the one that runs answers a second try."""

        async def work(connection: Connection, _again: bool) -> VerificationRefusal | None:
            async with connection.transaction():
                if quota is not None:
                    await connection.fetchval(queries()["verification_quota_lock"].sql, quota.setter)
                problem = await connection.fetchrow(queries()["verification_lock"].sql, draft.problem_id)
                if problem is None or problem["version"] != draft.problem_version:
                    return VerificationRefusal.OUTDATED
                running = await connection.fetchrow(queries()["verification_running"].sql, draft.problem_id)
                if running is not None and running["problem_version"] == draft.problem_version:
                    return None
                if quota is not None:
                    has_room = await connection.fetchval(
                        queries()["verification_room"].sql,
                        quota.setter,
                        draft.problem_id,
                        draft.problem_version,
                        quota.most,
                    )
                    if not has_room:
                        return VerificationRefusal.TOO_MANY
                if running is not None:
                    await connection.execute(queries()["verification_end"].sql, running["id"], "outdated")
                await connection.execute(queries()["verifications_forget"].sql, draft.problem_id)
                number = await connection.fetchval(
                    queries()["verification_begin"].sql,
                    draft.problem_id,
                    draft.problem_version,
                    problem["time_limit_ms"],
                    draft.points.value,
                    draft.left_out,
                    None if by is None else clean_text(by),
                    draft.time_factor,
                    draft.time_resolution_ms,
                )
                rows = [_row(number, place, one) for place, one in enumerate(draft.examples, 1)]
                await connection.executemany(queries()["verification_example"].sql, rows)
                return None

        return await self._pool.do(work, repeatable=True)

    async def has_verification_room(self, problem_id: int, version: int, quota: SetterQuota) -> bool:
        row = await self._pool.row("verification_room", quota.setter, problem_id, version, quota.most, repeatable=True)
        return row is not None and row["has_room"]

    async def cancel_verification(self, problem_id: int) -> bool:
        async def work(connection: Connection, again: bool) -> bool:
            async with connection.transaction():
                running = await connection.fetchrow(queries()["verification_running"].sql, problem_id)
                if running is None:
                    return again
                await connection.execute(queries()["verification_end"].sql, running["id"], "cancelled")
                return True

        return await self._pool.do(work, repeatable=True)

    async def verifications(self, problem_id: int) -> list[Verification]:
        rows = await self._pool.rows("verifications_of", problem_id, repeatable=True)
        return [
            Verification(
                **dict(row)
                | {
                    "state": VerificationState(row["state"]),
                    "created_at": row["created_at"].isoformat(),
                    "finished_at": None if row["finished_at"] is None else row["finished_at"].isoformat(),
                }
            )
            for row in rows
        ]

    async def verified_examples(self, verification_id: int) -> list[VerifiedExample]:
        rows = await self._pool.rows("verified_examples", verification_id, repeatable=True)
        return [
            VerifiedExample(
                **dict(row)
                | {
                    "example": example_of_json(row["example"]),
                    "kept": None if row["kept"] is None else Kept(row["kept"]),
                }
            )
            for row in rows
        ]

    async def worst_times(self, verification_id: int, limit: int) -> list[WorstTime]:
        rows = await self._pool.rows("verified_tests", verification_id, limit, repeatable=True)
        return [WorstTime(row["name"], row["time_ms"], row["submission"]) for row in rows]

    async def claim(
        self, owner: str, lease_s: float, max_attempts: int, languages: Collection[str]
    ) -> ExampleClaim | None:
        row = await self._pool.row("claim_example", owner, lease_s, max_attempts, sorted(languages), repeatable=False)
        if row is None:
            return None
        return ExampleClaim(
            **claim_of(row, row["verification_id"], owner),
            points=row["points"],
            example=row["example"],
            code=row["code"],
            entry_point=row["entry_point"],
            beside=tuple(SourceFile(name, content) for name, content in json.loads(row["beside"])),
        )

    async def finish(self, claim: ExampleClaim, outcome: ExampleOutcome) -> bool:
        return await self._write(
            claim,
            outcome.kept.value,
            clean_text(outcome.why),
            outcome.status,
            outcome.score,
            clean_text(outcome.slowest_test),
            outcome.time_ms,
            outcome.memory_kb,
            clean_json(outcome.tests),
        )

    async def sweep_verifications(self, max_attempts: int, max_wait_s: float) -> int:
        row = await self._pool.row("sweep_verifications", max_attempts, max_wait_s, repeatable=True)
        ended: int = 0 if row is None else row["ended"]
        return ended


def _row(verification_id: int, place: int, draft: ExampleDraft) -> tuple[object, ...]:
    sources = draft.sources
    return (
        verification_id,
        place,
        clean_text(example_json(draft.example)),
        draft.language,
        "" if sources is None else clean_text(sources.code),
        None if sources is None else sources.entry_point,
        clean_json([] if sources is None else [(file.name, file.content) for file in sources.beside]),
        clean_text(draft.why),
    )
