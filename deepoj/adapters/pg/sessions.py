"""Logins in a browser, in PostgreSQL (``sql/queries/sessions.sql``).

What if we die here? Each method is one statement. A login whose answer was lost leaves a session that ends unused.
"""

from __future__ import annotations

from deepoj.adapters.pg.accounts import credentials_of
from deepoj.adapters.pg.pool import PgPool
from deepoj.adapters.pg.texts import clean_text
from deepoj.words.accounts import Credentials
from deepoj.words.sessions import MAX_SESSIONS, SessionLimits, WebSession


class PgSessions:
    """Sessions (``ports.Sessions``)."""

    def __init__(self, pool: PgPool) -> None:
        self._pool = pool

    async def open_session(self, digest: bytes, account: Credentials, *, client: str, address: str) -> None:
        await self._pool.row(
            "open_session",
            digest,
            account.user.id,
            account.token_epoch,
            clean_text(client),
            clean_text(address),
            MAX_SESSIONS,
            repeatable=True,
        )

    async def session(self, digest: bytes, limits: SessionLimits) -> Credentials | None:
        return credentials_of(await self._pool.row("session", digest, limits.idle_s, limits.max_age_s, repeatable=True))

    async def sessions_of(self, user_id: int, limits: SessionLimits, limit: int) -> list[WebSession]:
        rows = await self._pool.rows("sessions_of", user_id, limits.idle_s, limits.max_age_s, limit, repeatable=True)
        return [
            WebSession(
                digest=row["digest"],
                client=row["client"],
                address=row["address"],
                created_at=row["created_at"].isoformat(),
                seen_at=row["seen_at"].isoformat(),
            )
            for row in rows
        ]

    async def close_session(self, user_id: int, digest: bytes) -> bool:
        """End a session, as the port says; a second try after a lost answer finds it gone, and returns False."""
        return await self._pool.row("close_session", user_id, digest, repeatable=True) is not None

    async def close_other_sessions(self, user_id: int, keep: bytes) -> int:
        row = await self._pool.row("close_other_sessions", user_id, keep, repeatable=True)
        count: int = 0 if row is None else row["count"]
        return count

    async def delete_ended_sessions(self, limits: SessionLimits, limit: int) -> int:
        row = await self._pool.row("delete_ended_sessions", limits.idle_s, limits.max_age_s, limit, repeatable=True)
        count: int = 0 if row is None else row["count"]
        return count

    async def forget_addresses(self, age_s: float, limit: int) -> int:
        row = await self._pool.row("forget_addresses", age_s, limit, repeatable=True)
        count: int = 0 if row is None else row["count"]
        return count
