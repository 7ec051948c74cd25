"""What stands in the database, for those who look whether it is what it should be (``sql/queries/schema.sql``)."""

from __future__ import annotations

from collections.abc import Mapping

from deepoj.adapters.pg.pool import PgPool


class PgSchema:
    """The schema as the database tells it. Raises StoreUnavailable."""

    def __init__(self, pool: PgPool) -> None:
        self._pool = pool

    async def tables(self) -> list[str]:
        """By name."""
        return [row["name"] for row in await self._pool.rows("tables", repeatable=True)]

    async def columns(self, table: str) -> Mapping[str, str]:
        """Name → type, in the table's order; empty where there is no such table."""
        return {row["name"]: row["type"] for row in await self._pool.rows("columns", table, repeatable=True)}
