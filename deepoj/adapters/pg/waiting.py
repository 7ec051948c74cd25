"""What waits for the loops of nodes, in PostgreSQL (``sql/queries/waiting.sql``)."""

from __future__ import annotations

from deepoj.adapters.pg.pool import PgPool
from deepoj.words.previews import KEEP_S
from deepoj.words.statements import RENDERER_VERSION
from deepoj.words.waiting import WorkKind


class PgWaitingWork:
    """``ports.WaitingWork``."""

    def __init__(self, pool: PgPool) -> None:
        self._pool = pool

    async def waiting_work(self, run_keep_s: float) -> frozenset[WorkKind]:
        rows = await self._pool.rows("waiting_work", run_keep_s, KEEP_S, RENDERER_VERSION, repeatable=True)
        return frozenset(WorkKind(row["kind"]) for row in rows)
