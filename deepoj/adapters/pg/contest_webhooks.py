"""Webhooks of the Contest API in PostgreSQL (``sql/queries/contest_webhooks.sql``)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from deepoj.adapters.pg.pool import PgPool
from deepoj.adapters.pg.sql_files import queries
from deepoj.words.webhooks import ContestHook, ContestTry, ContestWebhook, ContestWebhookDraft, DueHooks, FeedPlace

if TYPE_CHECKING:
    import asyncpg

    from deepoj.adapters.pg.pool import Connection


class PgContestWebhooks:
    """``ports.ContestWebhooks``."""

    def __init__(self, pool: PgPool) -> None:
        self._pool = pool

    async def add_contest_webhook(self, draft: ContestWebhookDraft, most: int) -> ContestWebhook | None:
        """As the port says. Not repeated if the answer is lost: the owner sees in the list whether it was stored."""
        sql = queries()

        async def work(connection: Connection, _again: bool) -> ContestWebhook | None:
            async with connection.transaction():
                # a statement of its own: the count must see what an earlier request has committed
                await connection.fetch(sql["lock_webhook_owner"].sql, draft.user_id)
                if await connection.fetchval(sql["count_contest_webhooks"].sql, draft.user_id) >= most:
                    return None
                row = await connection.fetchrow(
                    sql["add_contest_webhook"].sql,
                    draft.user_id,
                    draft.url,
                    draft.target,
                    draft.token,
                    list(draft.endpoints),
                    list(draft.contest_ids),
                )
            return None if row is None else _webhook(row)

        return await self._pool.do(work, repeatable=False)

    async def contest_webhooks(self, user_id: int) -> list[ContestWebhook]:
        return [_webhook(row) for row in await self._pool.rows("contest_webhooks", user_id, repeatable=True)]

    async def remove_contest_webhook(self, user_id: int, webhook_id: int) -> bool:
        return await self._pool.row("remove_contest_webhook", user_id, webhook_id, repeatable=True) is not None

    async def webhook_owners(self, after: int, limit: int) -> dict[int, bool]:
        rows = await self._pool.rows("contest_webhook_owners", after, limit, repeatable=True)
        return {row["user_id"]: row["is_due"] for row in rows}

    async def due_webhooks(
        self, owners: Mapping[int, str], *, targets: int, each: int, without: Collection[str]
    ) -> list[DueHooks]:
        """As the port says, but for ``targets``: an account has few webhooks, and all of its targets are looked at."""
        rows = await self._pool.rows(
            "due_contest_webhooks", list(owners), list(owners.values()), list(without), each, repeatable=True
        )
        return [DueHooks(row["user_id"], row["target"], tuple(row["ids"])) for row in rows]

    async def take_webhooks(self, ids: Sequence[int], lease_s: float) -> list[ContestHook]:
        """As the port says. Not repeated if the answer is lost: the webhooks are due again when the lease is over."""
        taken = await self._pool.rows("take_contest_webhooks", list(ids), lease_s, repeatable=False)
        if not taken:
            return []
        found = await self._pool.rows("taken_contest_webhooks", [row["id"] for row in taken], repeatable=True)
        return [_hook(row) for row in found]

    async def settle_contest_webhook(
        self, hook: ContestHook, outcome: ContestTry, *, delay_s: float, is_final: bool, give_up_s: float
    ) -> bool | None:
        answer, place = outcome.answer, outcome.place or hook.place
        row = await self._pool.row(
            "settle_contest_webhook",
            hook.id,
            hook.attempts,
            hook.contest_id,
            place.number,
            place.token,
            None if answer is None else answer.failure,
            None if answer is None else answer.http_status,
            delay_s,
            is_final,
            give_up_s,
            answer is not None,
            hook.mark if hook.contest_id is None else None,
            repeatable=True,
        )
        return None if row is None else bool(row["is_deactivated"])

    async def forget_contest_webhooks(self, keep_s: float, limit: int) -> int:
        row = await self._pool.row("forget_contest_webhooks", keep_s, limit, repeatable=True)
        count: int = 0 if row is None else row["count"]
        return count


def _webhook(row: asyncpg.Record) -> ContestWebhook:
    return ContestWebhook(
        **dict(row) | {"endpoints": tuple(row["endpoints"]), "contest_ids": tuple(row["contest_ids"])}
    )


def _hook(row: asyncpg.Record) -> ContestHook:
    found = dict(row)
    place = FeedPlace(found.pop("number"), found.pop("token"))
    return ContestHook(**found | {"endpoints": tuple(row["endpoints"]), "last": row["last"] or 0, "place": place})
