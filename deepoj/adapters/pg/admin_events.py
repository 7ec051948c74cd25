"""The log of administrative acts in PostgreSQL (``sql/queries/admin_events.sql``).

Rows are written by the statements of the acts themselves, so an act and its row exist together or not at all. An act
that is repeated after a lost answer changes nothing, and writes no second row.
"""

from __future__ import annotations

import json

from deepoj.adapters.pg.pool import PgPool
from deepoj.words.admin_events import AdminEvent


class PgAdminEvents:
    """The log (``ports.AdminEvents``)."""

    def __init__(self, pool: PgPool) -> None:
        self._pool = pool

    async def admin_events(self, limit: int, before_id: int | None = None) -> list[AdminEvent]:
        return [
            AdminEvent(
                id=row["id"],
                at=row["at"].isoformat(),
                actor=row["actor"],
                act=row["act"],
                subject=row["subject"],
                details=json.loads(row["details"]),
            )
            for row in await self._pool.rows("admin_events", before_id, limit, repeatable=True)
        ]

    async def record_backup(self, directory: str, objects: int, *, by: str) -> None:
        await self._pool.rows("record_backup", by, directory, objects, repeatable=False)
