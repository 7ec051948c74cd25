"""What waits for the loops of nodes, in PostgreSQL (``sql/queries/waiting.sql``)."""

from __future__ import annotations

from deepoj.adapters.pg.pool import PgPool
from deepoj.words.previews import KEEP_S
from deepoj.words.statements import RENDERER_VERSION
from deepoj.words.waiting import LOOK_ANSWER_S, LOOK_PERIOD_S, WorkKind


class PgWaitingWork:
    """``ports.WaitingWork``."""

    def __init__(self, pool: PgPool) -> None:
        self._pool = pool

    async def waiting_work(self, run_keep_s: float, *, for_s: float = 0.0) -> frozenset[WorkKind]:
        rows = await self._pool.await_rows(
            "waiting_work",
            run_keep_s,
            KEEP_S,
            RENDERER_VERSION,
            for_s=for_s,
            period_s=LOOK_PERIOD_S,
            answer_s=LOOK_ANSWER_S,
        )
        return frozenset(WorkKind(row["kind"]) for row in rows)
