"""Tokens for programs, in PostgreSQL (``sql/queries/access_tokens.sql``).

What if we die here? Each method is one statement. A token whose answer was lost is listed, and was never used.
"""

from __future__ import annotations

from deepoj.adapters.pg.pool import PgPool
from deepoj.adapters.pg.texts import clean_text
from deepoj.words.access_tokens import MAX_ACCESS_TOKENS, AccessToken
from deepoj.words.accounts import Credentials


class PgAccessTokens:
    """Tokens (``ports.AccessTokens``)."""

    def __init__(self, pool: PgPool) -> None:
        self._pool = pool

    async def add_token(self, token_id: str, account: Credentials, *, name: str, expires_s: float) -> None:
        await self._pool.row(
            "add_access_token",
            token_id,
            account.user.id,
            account.token_epoch,
            clean_text(name),
            expires_s,
            MAX_ACCESS_TOKENS,
            repeatable=True,
        )

    async def use_token(self, user_id: int, token_id: str) -> bool:
        return await self._pool.row("use_access_token", user_id, clean_text(token_id), repeatable=True) is not None

    async def tokens_of(self, user_id: int, limit: int) -> list[AccessToken]:
        rows = await self._pool.rows("access_tokens_of", user_id, limit, repeatable=True)
        return [
            AccessToken(
                id=row["id"],
                name=row["name"],
                created_at=row["created_at"].isoformat(),
                expires_at=row["expires_at"].isoformat(),
                used_at=None if row["used_at"] is None else row["used_at"].isoformat(),
            )
            for row in rows
        ]

    async def end_token(self, user_id: int, token_id: str) -> bool:
        """End a token, as the port says; a second try after a lost answer finds it gone, and returns False."""
        return await self._pool.row("end_access_token", user_id, clean_text(token_id), repeatable=True) is not None

    async def delete_ended_tokens(self, limit: int) -> int:
        row = await self._pool.row("delete_ended_access_tokens", limit, repeatable=True)
        count: int = 0 if row is None else row["count"]
        return count
