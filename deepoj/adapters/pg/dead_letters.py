"""Dead letters in PostgreSQL (``sql/queries/dead_letters.sql``).

What if we die here? A decision is one transaction: row, ledger and outbox event are written together or not at all. The
undelivered event of a requeued letter is sent by the dispatcher, like every other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deepoj.adapters.pg.job_ids import is_job_id
from deepoj.adapters.pg.pool import PgPool
from deepoj.adapters.pg.sql_files import queries
from deepoj.adapters.pg.texts import clean_text
from deepoj.words.ledger import DeadLetter, Decided, Decision, LedgerEvent, LetterRefusal

if TYPE_CHECKING:
    import asyncpg

    from deepoj.adapters.pg.pool import Connection


class PgDeadLetters:
    """Dead letters (``ports.DeadLetters``)."""

    def __init__(self, pool: PgPool) -> None:
        self._pool = pool

    async def dead_letters(self, limit: int, before_id: int | None = None) -> list[DeadLetter]:
        return [_letter(row) for row in await self._pool.rows("dead_letters", before_id, limit, repeatable=True)]

    async def dead_letter(self, job_id: str) -> DeadLetter | None:
        if not is_job_id(job_id):
            return None
        row = await self._pool.row("dead_letter", job_id, repeatable=True)
        return None if row is None else _letter(row)

    async def ledger_of(self, job_id: str, limit: int) -> list[LedgerEvent]:
        if not is_job_id(job_id):
            return []
        return [_event(row) for row in await self._pool.rows("ledger_of", job_id, limit, repeatable=True)]

    async def decide(
        self, decision: Decision, job_id: str, attempt_id: int, *, by: str, note: str, stream_key: str
    ) -> Decided | LetterRefusal:
        """Requeue or discard a dead letter, as the port says. Repeatable: the attempt shows that it was done."""
        if not is_job_id(job_id):
            return LetterRefusal.UNKNOWN_JOB
        args: list[object] = [job_id, attempt_id, clean_text(by), clean_text(note)]
        match decision:
            case Decision.REQUEUE:
                row = await self._requeue(*args, stream_key)
            case Decision.DISCARD:
                row = await self._pool.row("discard_dead_letter", *args, repeatable=True)
        if row is None:
            raise AssertionError("a decision always has one row")
        if row["word"] in (None, "repeated"):
            return Decided(job_id, attempt_id, repeated=row["word"] is not None)
        return LetterRefusal(row["word"])

    async def _requeue(self, *args: object) -> asyncpg.Record | None:
        async def work(connection: Connection, _again: bool) -> asyncpg.Record | None:
            async with connection.transaction():
                await connection.execute(queries()["lock_batches_of"].sql, args[0])
                return await connection.fetchrow(queries()["requeue_dead_letter"].sql, *args)

        return await self._pool.do(work, repeatable=True)

    async def count_dead_letters(self, upto: int) -> int:
        row = await self._pool.row("count_dead_letters", upto, repeatable=True)
        count: int = 0 if row is None else row["count"]
        return count


def _letter(row: asyncpg.Record) -> DeadLetter:
    fields = dict(row)
    return DeadLetter(**fields | {name: fields[name].isoformat() for name in ("created_at", "died_at")})


def _event(row: asyncpg.Record) -> LedgerEvent:
    fields = {name: value for name, value in dict(row).items() if name != "id"}
    lease_until = fields["lease_until"]
    return LedgerEvent(
        **fields
        | {"created_at": fields["created_at"].isoformat(), "lease_until": lease_until and lease_until.isoformat()}
    )
