"""``MemoryAccessTokens``: tokens for programs in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deepoj.words.access_tokens import MAX_ACCESS_TOKENS, AccessToken
from deepoj.words.accounts import Credentials

if TYPE_CHECKING:
    from tests.fakes.store import MemoryStore


@dataclass(kw_only=True)
class AccessTokenRow:
    """A row of ``access_tokens``; ``*_at`` are readings of the store's clock."""

    user_id: int
    epoch: int
    name: str
    created_at: float
    expires_at: float
    used_at: float | None = None


@dataclass
class MemoryAccessTokens:
    """``ports.AccessTokens`` over the rows of a ``MemoryStore``."""

    memory: MemoryStore

    async def add_token(self, token_id: str, account: Credentials, *, name: str, expires_s: float) -> None:
        lost = await self.memory._enter("add_token")
        rows, now = self.memory.token_rows, self.memory.clock()
        row = AccessTokenRow(
            user_id=account.user.id, epoch=account.token_epoch, name=name, created_at=now, expires_at=now + expires_s
        )
        own = [key for key, held in rows.items() if held.user_id == account.user.id and key != token_id]
        own.sort(key=lambda key: (-rows[key].created_at, key))
        for oldest in own[MAX_ACCESS_TOKENS - 1 :]:
            del rows[oldest]
        rows.setdefault(token_id, row)
        self.memory._answer(None, lost)

    async def use_token(self, user_id: int, token_id: str) -> bool:
        lost = await self.memory._enter("use_token")
        row, now = self.memory.token_rows.get(token_id), self.memory.clock()
        is_there = row is not None and row.user_id == user_id
        if row is not None and is_there and (row.used_at is None or row.used_at < now - 60.0):
            row.used_at = now
        return self.memory._answer(is_there, lost)

    async def tokens_of(self, user_id: int, limit: int) -> list[AccessToken]:
        lost = await self.memory._enter("tokens_of")
        account, now = self.memory._users.get(user_id), self.memory.clock()
        rows = [
            (token_id, row)
            for token_id, row in self.memory.token_rows.items()
            if row.user_id == user_id and account is not None and row.epoch == account.token_epoch
            if row.expires_at > now
        ]
        rows.sort(key=lambda pair: (-pair[1].created_at, pair[0]))
        found = [
            AccessToken(
                id=token_id,
                name=row.name,
                created_at=self.memory._dated(row.created_at).isoformat(),
                expires_at=self.memory._dated(row.expires_at).isoformat(),
                used_at=None if row.used_at is None else self.memory._dated(row.used_at).isoformat(),
            )
            for token_id, row in rows[:limit]
        ]
        return self.memory._answer(found, lost)

    async def end_token(self, user_id: int, token_id: str) -> bool:
        lost = await self.memory._enter("end_token")
        row = self.memory.token_rows.get(token_id)
        is_own = row is not None and row.user_id == user_id
        if is_own:
            del self.memory.token_rows[token_id]
        return self.memory._answer(is_own, lost)

    async def delete_ended_tokens(self, limit: int) -> int:
        lost = await self.memory._enter("delete_ended_tokens")
        now, rows = self.memory.clock(), self.memory.token_rows
        ended = [token_id for token_id, row in rows.items() if row.expires_at <= now][:limit]
        for token_id in ended:
            del rows[token_id]
        return self.memory._answer(len(ended), lost)
