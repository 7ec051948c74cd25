"""Custom runs in PostgreSQL (``sql/queries/runs.sql``): a queue of their own, claimed from the table itself.

What if we die here? Each call is one statement. A claim whose answer was lost waits until its lease expires. A repeated
finish recognizes its own attempt by the owner that the row keeps. A repeated give-back finds the run released and says
so, which changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence

import asyncpg

from deepoj.adapters.pg.job_ids import new_job_id, run_id_of, uuid_of_run
from deepoj.adapters.pg.pool import PgPool
from deepoj.adapters.pg.texts import clean_json, clean_text
from deepoj.words.errors import StoreUnavailable
from deepoj.words.jobs import FinalizeRefusal, Held, State
from deepoj.words.playground import (
    CustomClaim,
    CustomDraft,
    CustomProgram,
    CustomReceipt,
    CustomRefusal,
    CustomRun,
    CustomStatus,
    CustomSwept,
)

#: how often a run that raced with another of the same author is retried
_RACES = 5


def _run(row: asyncpg.Record) -> CustomRun:
    return CustomRun(
        run_id=run_id_of(row["run_id"]),
        user_id=row["user_id"],
        language=row["language"],
        time_limit_ms=row["time_limit_ms"],
        memory_limit_kb=row["memory_limit_kb"],
        state=State(row["state"]),
        status=row["status"],
        attempt_id=row["attempt_id"],
        error_code=row["error_code"],
        result=None if row["result"] is None else json.loads(row["result"]),
        stdout=row["stdout"] or b"",
        stderr=row["stderr"] or b"",
    )


class PgRuns:
    """Custom runs (``ports.CustomRuns``)."""

    def __init__(self, pool: PgPool) -> None:
        self._pool = pool

    async def take_run(self, draft: CustomDraft, *, per_user: int) -> CustomReceipt | CustomRefusal:
        """Store a custom run, as the port says. The id is chosen here: a second try after a lost answer finds it."""
        uuid_text = new_job_id()
        for _ in range(_RACES):
            row = await self._pool.row(
                "take_run",
                uuid_text,
                draft.user_id,
                draft.language,
                clean_text(draft.code),
                draft.stdin,
                draft.time_limit_ms,
                draft.memory_limit_kb,
                clean_text(draft.trace_id),
                per_user,
                repeatable=True,
            )
            if row is None or row["word"] == "raced":
                continue
            if row["word"] == "taken":
                return CustomReceipt(run_id_of(uuid_text), row["at_ms"])
            return CustomRefusal(row["word"])
        raise StoreUnavailable("too many runs of one user at one moment")

    async def drop_run(self, run_id: str) -> None:
        if uuid_text := uuid_of_run(run_id):
            await self._pool.rows("drop_run", uuid_text, repeatable=True)

    async def custom_run(self, run_id: str, keep_s: float) -> CustomRun | None:
        uuid_text = uuid_of_run(run_id)
        row = await self._pool.row("custom_run", uuid_text, keep_s, repeatable=True) if uuid_text else None
        return None if row is None else _run(row)

    async def custom_runs(self, user_id: int, run_ids: Collection[str], keep_s: float) -> dict[str, CustomRun]:
        uuids = [uuid_text for run_id in run_ids if (uuid_text := uuid_of_run(run_id))]
        rows = await self._pool.rows("custom_runs", uuids, user_id, keep_s, repeatable=True) if uuids else []
        return {run.run_id: run for run in map(_run, rows)}

    async def custom_program(self, run_id: str, keep_s: float) -> CustomProgram | None:
        uuid_text = uuid_of_run(run_id)
        row = await self._pool.row("custom_program", uuid_text, keep_s, repeatable=True) if uuid_text else None
        return None if row is None else CustomProgram(row["code"], row["stdin"])

    async def sweep_runs(self, max_attempts: int, max_wait_s: float, keep_s: float, limit: int) -> CustomSwept:
        """End and delete runs, as the port says; a repeated call reports only what it did itself."""
        row = await self._pool.row("sweep_runs", max_attempts, max_wait_s, keep_s, limit, repeatable=True)
        if row is None:
            return CustomSwept((), 0)
        return CustomSwept(tuple(map(run_id_of, row["ended"])), row["deleted"])


class PgRunLeases:
    """Claims, leases and results of custom runs (``ports.RunLeases``)."""

    def __init__(self, pool: PgPool) -> None:
        self._pool = pool

    async def claim_run(
        self, owner: str, lease_s: float, max_attempts: int, languages: Collection[str]
    ) -> CustomClaim | None:
        row = await self._pool.row("claim_run", owner, lease_s, max_attempts, sorted(languages), repeatable=False)
        if row is None:
            return None
        fields = {name: value for name, value in row.items() if name != "notified"}
        return CustomClaim(lease_owner=owner, **fields | {"run_id": run_id_of(row["run_id"])})

    async def extend(self, held: Sequence[Held], owner: str, lease_s: float) -> set[str]:
        known = [(uuid_text, one.attempt_id) for one in held if (uuid_text := uuid_of_run(one.job_id))]
        if not known:
            return set()
        uuids, attempts = [uuid_text for uuid_text, _ in known], [attempt_id for _, attempt_id in known]
        rows = await self._pool.rows("extend_runs", uuids, attempts, owner, lease_s, repeatable=True)
        return {run_id_of(row["run_id"]) for row in rows}

    async def finish_run(
        self,
        claim: CustomClaim,
        status: CustomStatus,
        result: Mapping[str, object],
        stdout: bytes,
        stderr: bytes,
        *,
        user_max_bytes: int,
    ) -> FinalizeRefusal | None:
        row = await self._pool.row(
            "finish_run",
            uuid_of_run(claim.run_id),
            claim.attempt_id,
            claim.lease_owner,
            status,
            clean_json(result),
            stdout,
            stderr,
            user_max_bytes,
            repeatable=True,
        )
        return FinalizeRefusal(row["refusal"]) if row is not None and row["refusal"] is not None else None

    async def give_back_run(
        self, claim: CustomClaim, *, counts: bool, delay_s: float, max_attempts: int
    ) -> FinalizeRefusal | None:
        row = await self._pool.row(
            "give_back_run",
            uuid_of_run(claim.run_id),
            claim.attempt_id,
            claim.lease_owner,
            counts,
            delay_s,
            max_attempts,
            repeatable=True,
        )
        return FinalizeRefusal(row["refusal"]) if row is not None and row["refusal"] is not None else None
