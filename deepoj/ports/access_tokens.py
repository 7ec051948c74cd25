"""Tokens that people make for programs."""

from __future__ import annotations

from typing import Protocol

from deepoj.words.access_tokens import AccessToken
from deepoj.words.accounts import Credentials


class AccessTokens(Protocol):
    """Tokens by their ids; the tokens themselves are signed and stored nowhere. One belongs to the token epoch of its
    account: a new password ends it. Raises StoreUnavailable. Implemented by ``adapters.pg.access_tokens``."""

    async def add_token(self, token_id: str, account: Credentials, *, name: str, expires_s: float) -> None:
        """Note a token that expires after ``expires_s``. It ends the account's oldest beyond MAX_ACCESS_TOKENS."""
        ...

    async def use_token(self, user_id: int, token_id: str) -> bool:
        """Return whether the account still has this token, and note that it was used. Its expiry and its epoch are
        in the token."""
        ...

    async def tokens_of(self, user_id: int, limit: int) -> list[AccessToken]:
        """Return the account's tokens that have not ended, the newest first."""
        ...

    async def end_token(self, user_id: int, token_id: str) -> bool:
        """End a token of this account; False: it has none such."""
        ...

    async def delete_ended_tokens(self, limit: int) -> int:
        """Delete up to ``limit`` rows of tokens that have expired; return their number."""
        ...
