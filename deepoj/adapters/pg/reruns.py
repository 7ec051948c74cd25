"""Reruns of single tests in PostgreSQL (``sql/queries/reruns.sql``).

What if we die here? Each call is one statement. A second try of taking one finds the first, unless it has ended: then
the test runs once more, which changes nothing. Leases are as in ``verifications``.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from deepoj.adapters.pg.background import PgBackgroundLeases, claim_of
from deepoj.adapters.pg.sources import sources_of
from deepoj.adapters.pg.texts import clean_json, clean_text
from deepoj.words.errors import StoreUnavailable
from deepoj.words.reruns import (
    MAX_KEPT,
    MAX_UNFINISHED,
    KeptFile,
    Rerun,
    RerunClaim,
    RerunFailure,
    RerunFile,
    RerunOutcome,
    RerunRefusal,
)

if TYPE_CHECKING:
    import asyncpg

#: how often a rerun that raced with another of the same account is tried again
_RACES = 5
_SIZES = "sizes"


class PgReruns(PgBackgroundLeases[RerunClaim]):
    """Reruns (``ports.Reruns``, ``ports.RerunLeases``)."""

    _extend, _give_back, _finish = "extend_rerun", "give_back_rerun", "finish_rerun"

    async def take_rerun(self, job_id: str, test: str, *, by: int) -> int | RerunRefusal:
        for _ in range(_RACES):
            row = await self._pool.row(
                "take_rerun", job_id, clean_text(test), by, MAX_UNFINISHED, MAX_KEPT, repeatable=True
            )
            if row is not None and row["id"] is not None:
                return int(row["id"])
            if row is not None and row["word"] != "raced":
                return RerunRefusal(row["word"])
        raise StoreUnavailable("too many reruns of one account at one moment")

    async def rerun(self, rerun_id: int, keep_s: float) -> Rerun | None:
        row = await self._pool.row("rerun", rerun_id, keep_s, repeatable=True)
        if row is None:
            return None
        is_over = row["state"] == "done"
        return Rerun(
            id=row["id"],
            job_id=row["job_id"],
            test=row["test"],
            asked_by=row["username"],
            is_running=row["state"] == "processing",
            outcome=_outcome(json.loads(row["result"]), row) if is_over else None,
        )

    async def claim(
        self, owner: str, lease_s: float, max_attempts: int, languages: Collection[str]
    ) -> RerunClaim | None:
        row = await self._pool.row("claim_rerun", owner, lease_s, max_attempts, sorted(languages), repeatable=False)
        if row is None:
            return None
        return RerunClaim(
            **claim_of(row, row["id"], owner),
            **sources_of(row),
            test=row["test"],
            time_limit_ms=row["time_limit_ms"],
            memory_limit_mb=row["memory_limit_mb"],
        )

    async def finish(self, claim: RerunClaim, outcome: RerunOutcome) -> bool:
        result = {one.name: getattr(outcome, one.name) for one in fields(outcome) if one.name != "files"}
        result[_SIZES] = {name.value: kept.size for name, kept in outcome.files.items()}
        beginnings = [outcome.files[name].beginning if name in outcome.files else None for name in RerunFile]
        return await self._write(claim, clean_json(result), *beginnings)

    async def sweep_reruns(self, max_attempts: int, max_wait_s: float, keep_s: float, limit: int) -> int:
        row = await self._pool.row("sweep_reruns", max_attempts, max_wait_s, keep_s, limit, repeatable=True)
        return 0 if row is None else int(row["ended"])


def _outcome(result: Mapping[str, Any], row: asyncpg.Record) -> RerunOutcome:
    sizes, failure = result.get(_SIZES) or {}, result.get("failure")
    values = {name: value for name, value in result.items() if name not in {_SIZES, "failure"}}
    return RerunOutcome(
        failure=None if failure is None else RerunFailure(failure),
        files={name: KeptFile(row[name], sizes[name]) for name in RerunFile if row[name] is not None},
        **values,
    )
