"""The tables and columns that are in the database, for checks of the schema (``sql/queries/schema.sql``)."""

from __future__ import annotations

from collections.abc import Mapping

from deepoj.adapters.pg.pool import PgPool


class PgSchema:
    """The schema as the database reports it. Raises StoreUnavailable."""

    def __init__(self, pool: PgPool) -> None:
        self._pool = pool

    async def tables(self) -> list[str]:
        """Return the names of all tables, sorted."""
        return [row["name"] for row in await self._pool.rows("tables", repeatable=True)]

    async def columns(self, table: str) -> Mapping[str, str]:
        """Return name → type of a table's columns, in its order; empty if there is no such table."""
        return {row["name"]: row["type"] for row in await self._pool.rows("columns", table, repeatable=True)}
