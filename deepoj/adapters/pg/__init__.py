"""PostgreSQL through asyncpg, which runs in the asyncio bridge."""

from deepoj.adapters.pg.bell import PgBell, PgLiveBell
from deepoj.adapters.pg.store import PgStore

__all__ = ["PgBell", "PgLiveBell", "PgStore"]
