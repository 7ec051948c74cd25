"""Webhook deliveries in PostgreSQL (``sql/queries/webhooks.sql``; the rows are written by a trigger, migration 023).

If the node dies between taking and settling a try, the row becomes due again by itself, and is tried again with the
same delivery id.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from deepoj.adapters.pg.job_ids import is_job_id
from deepoj.adapters.pg.pool import PgPool
from deepoj.adapters.pg.sql_files import queries
from deepoj.words.webhooks import DueHooks, Hook, HookFailure, HookStanding, HookStatus, Redelivered

if TYPE_CHECKING:
    import asyncpg

    from deepoj.adapters.pg.pool import Connection


class PgWebhooks:
    """``ports.Webhooks``."""

    def __init__(self, pool: PgPool) -> None:
        self._pool = pool

    async def webhook_owners(self, after: int, limit: int) -> dict[int, bool]:
        rows = await self._pool.rows("webhook_owners", after, limit, repeatable=True)
        return {row["user_id"]: row["is_due"] for row in rows}

    async def due_webhooks(
        self, owners: Mapping[int, str], *, targets: int, each: int, without: Collection[str]
    ) -> list[DueHooks]:
        rows = await self._pool.rows(
            "due_webhooks", list(owners), list(owners.values()), targets, list(without), each, repeatable=True
        )
        return [DueHooks(row["user_id"], row["target"], tuple(row["ids"]), row["is_last"]) for row in rows]

    async def take_webhooks(self, ids: Sequence[int], lease_s: float) -> list[Hook]:
        """See the port. Not repeated if the answer is lost: the deliveries become due again."""
        if not ids:
            return []
        return [_hook(row) for row in await self._pool.rows("take_webhooks", list(ids), lease_s, repeatable=False)]

    async def settle_webhook(
        self,
        hook: Hook,
        status: HookStatus,
        *,
        http_status: int | None,
        failure: HookFailure | None,
        delay_s: float = 0.0,
        give_up_s: float = 0.0,
    ) -> HookStatus | None:
        row = await self._pool.row(
            "settle_webhook", hook.id, hook.attempts, status, http_status, failure, delay_s, give_up_s, repeatable=True
        )
        return None if row is None else HookStatus(row["status"])

    async def webhooks_of_job(self, job_id: str, limit: int) -> list[HookStanding]:
        if not is_job_id(job_id):
            return []
        return [_standing(row) for row in await self._pool.rows("webhooks_of_job", job_id, limit, repeatable=True)]

    async def given_up_webhooks(self, limit: int, before_id: int | None = None) -> list[HookStanding]:
        return [_standing(row) for row in await self._pool.rows("given_up_webhooks", before_id, limit, repeatable=True)]

    async def redeliver_webhook(self, delivery_id: str) -> Redelivered | None:
        """As the port says. The answer of a second try after a lost one is its own."""
        if not is_job_id(delivery_id):  # a UUID in the same form
            return None
        sql = queries()["redeliver_webhook"].sql

        async def work(connection: Connection, again: bool) -> Redelivered | None:
            row = await connection.fetchrow(sql, delivery_id)
            return None if row is None else Redelivered(row["job_id"], repeated=not row["sent"] and not again)

        return await self._pool.do(work, repeatable=True)

    async def forget_webhooks(self, keep_s: float, limit: int) -> int:
        row = await self._pool.row("forget_webhooks", keep_s, limit, repeatable=True)
        count: int = 0 if row is None else row["count"]
        return count

    async def webhook_secret_epoch(self, user_id: int) -> int:
        """Raises LookupError if there is no such account."""
        return _epoch(await self._pool.row("webhook_secret_epoch", user_id, repeatable=True), user_id)

    async def rotate_webhook_secret(self, user_id: int, seen_epoch: int) -> int:
        """Raises LookupError if there is no such account."""
        return _epoch(await self._pool.row("rotate_webhook_secret", user_id, seen_epoch, repeatable=True), user_id)


def _epoch(row: asyncpg.Record | None, user_id: int) -> int:
    epoch: int | None = None if row is None else row["webhook_epoch"]
    if epoch is None:
        raise LookupError(f"there is no account {user_id}")
    return epoch


def _hook(row: asyncpg.Record) -> Hook:
    found = dict(row)
    result = found["result"]
    return Hook(
        **found
        | {"result": None if result is None else json.loads(result), "created_at": found["created_at"].isoformat()}
    )


def _standing(row: asyncpg.Record) -> HookStanding:
    found = dict(row)
    times = {name: found[name] and found[name].isoformat() for name in ("next_attempt_at", "created_at", "ended_at")}
    return HookStanding(**found | times | {"status": HookStatus(found["status"])})
