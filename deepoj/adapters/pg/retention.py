"""Deleting finished submissions in PostgreSQL (``sql/queries/retention.sql``).

What if we die here? A batch is one transaction, and the next round of any node finds the rest.
"""

from __future__ import annotations

from collections.abc import Sequence

from deepoj.adapters.pg.pool import PgPool
from deepoj.words.jobs import Expired

#: empty batches deleted at once
_MOST_BATCHES = 100


class PgRetention:
    """Finished submissions that are old (``ports.Retention``)."""

    def __init__(self, pool: PgPool) -> None:
        self._pool = pool

    async def expired(self, after_id: int, keep_s: float, limit: int) -> Expired:
        row = await self._pool.row("expired", after_id, keep_s, limit, repeatable=True)
        return Expired((), 0) if row is None else Expired(tuple(row["row_ids"]), row["next_after_id"])

    async def delete_expired(self, row_ids: Sequence[int], keep_s: float) -> int:
        """Delete expired rows, as the port says; a second try after a lost answer deletes nothing and returns 0.

        Batches that lose their last line are deleted afterwards; if we die before that, the next call does it.
        """
        row = await self._pool.row("delete_expired", list(row_ids), keep_s, repeatable=True)
        count: int = 0 if row is None else row["count"]
        await self._pool.rows("forget_batches", keep_s, _MOST_BATCHES, repeatable=True)
        return count
