"""Leases of background judging in PostgreSQL: the statements that verifications and previews have alike."""

from __future__ import annotations

from deepoj.adapters.pg.pool import PgPool
from deepoj.words.background import BackgroundClaim


def key_of(claim: BackgroundClaim) -> tuple[int, int, int, str]:
    """Return the first four parameters of each statement about a claim."""
    return claim.batch_id, claim.place, claim.attempt_id, claim.lease_owner


class PgBackgroundLeases[C: BackgroundClaim]:
    """``extend`` and ``give_back`` of ``ports.BackgroundLeases``. ``_noun`` ends the names of the statements."""

    _noun: str

    def __init__(self, pool: PgPool) -> None:
        self._pool = pool

    async def extend(self, claim: C, lease_s: float) -> bool:
        row = await self._pool.row(f"extend_{self._noun}", *key_of(claim), lease_s, repeatable=True)
        return row is not None

    async def give_back(self, claim: C, *, counts: bool, delay_s: float) -> bool:
        row = await self._pool.row(f"give_back_{self._noun}", *key_of(claim), counts, delay_s, repeatable=True)
        return row is not None

    async def _finish(self, claim: C, *values: object) -> bool:
        """Write the outcome that ``values`` are. Repeatable: the row keeps the owner of its attempt."""
        row = await self._pool.row(f"finish_{self._noun}", *key_of(claim), *values, repeatable=True)
        return row is not None and bool(row["is_written"])
