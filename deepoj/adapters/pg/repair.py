"""The repair of jobs that fell out of the stream, in PostgreSQL (``sql/queries/repair.sql``).

What if we die here? A repair is one transaction: the outbox events of a round are all written or none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deepoj.adapters.pg.pool import PgPool
from deepoj.adapters.pg.sql_files import queries
from deepoj.words.jobs import Stray

if TYPE_CHECKING:
    from deepoj.adapters.pg.pool import Connection


class PgStrays:
    """Unfinished jobs without an entry (``ports.Strays``)."""

    def __init__(self, pool: PgPool) -> None:
        self._pool = pool

    async def strays(self, after_id: int, min_age_s: float, limit: int) -> list[Stray]:
        rows = await self._pool.rows("strays", after_id, min_age_s, limit, repeatable=True)
        return [Stray(row["id"], row["job_id"], tuple(row["entry_ids"])) for row in rows]

    async def repair(
        self,
        live_job_ids: set[str],
        min_age_s: float,
        limit: int,
        stream_key: str,
        *,
        after_id: int = 0,
        upto_id: int = 2**63 - 1,
    ) -> list[str]:
        """Repair jobs, as the port says. Repeatable: a job with an undelivered event is not repaired again."""

        async def work(connection: Connection, _again: bool) -> list[str]:
            async with connection.transaction():
                if not await connection.fetchval(queries()["repair_lock"].sql):
                    return []
                sql, live = queries()["repair"].sql, list(live_job_ids)
                rows = await connection.fetch(sql, live, min_age_s, limit, stream_key, after_id, upto_id)
                return [row["job_id"] for row in rows]

        return await self._pool.do(work, repeatable=True)
