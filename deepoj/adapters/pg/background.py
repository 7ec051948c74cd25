"""Leases of background judging in PostgreSQL: the statements that verifications and previews have alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from deepoj.adapters.pg.pool import PgPool
from deepoj.words.background import BackgroundClaim

if TYPE_CHECKING:
    import asyncpg


class ClaimColumns(TypedDict):
    """The fields of ``BackgroundClaim`` but for the sources."""

    batch_id: int
    place: int
    attempt_id: int
    attempts: int
    lease_owner: str
    problem_id: int
    problem_version: int
    language: str


def claim_of(row: asyncpg.Record, batch_id: int, owner: str) -> ClaimColumns:
    """Return the claim that a row holds."""
    return {
        "batch_id": batch_id,
        "place": row["place"],
        "attempt_id": row["attempt_id"],
        "attempts": row["attempts"],
        "lease_owner": owner,
        "problem_id": row["problem_id"],
        "problem_version": row["problem_version"],
        "language": row["language"],
    }


def key_of(claim: BackgroundClaim) -> tuple[int, int, int, str]:
    """Return the first four parameters of each statement about a claim."""
    return claim.batch_id, claim.place, claim.attempt_id, claim.lease_owner


class PgBackgroundLeases[C: BackgroundClaim]:
    """``extend`` and ``give_back`` of ``ports.BackgroundLeases``. The attributes name the statements."""

    _extend: str
    _give_back: str
    _finish: str

    def __init__(self, pool: PgPool) -> None:
        self._pool = pool

    async def extend(self, claim: C, lease_s: float) -> bool:
        row = await self._pool.row(self._extend, *key_of(claim), lease_s, repeatable=True)
        return row is not None

    async def give_back(self, claim: C, *, counts: bool, delay_s: float) -> bool:
        row = await self._pool.row(self._give_back, *key_of(claim), counts, delay_s, repeatable=True)
        return row is not None

    async def _write(self, claim: C, *values: object) -> bool:
        """Write the outcome that ``values`` are. Repeatable: the row keeps the owner of its attempt."""
        row = await self._pool.row(self._finish, *key_of(claim), *values, repeatable=True)
        return row is not None and bool(row["is_written"])
