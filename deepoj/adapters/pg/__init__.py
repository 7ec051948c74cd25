"""PostgreSQL through asyncpg, which runs in the asyncio bridge."""

from deepoj.adapters.pg.notifications import PgLiveNotifications, PgOutboxNotifications
from deepoj.adapters.pg.store import PgStore

__all__ = ["PgLiveNotifications", "PgOutboxNotifications", "PgStore"]
