"""Batches in PostgreSQL (``sql/queries/batches.sql``).

What if we die here? Each call of ``submit_lines`` is one transaction, with the outbox rows of its jobs. After the
commit its lines are found again by their batch and number, so the second try answers with the same submissions. A batch
without lines, if we die before the first chunk, is found again by its key, and otherwise deleted with old submissions.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import asyncpg
import trio

from deepoj.adapters.pg.job_ids import is_job_id, new_job_id
from deepoj.adapters.pg.pool import PgPool
from deepoj.adapters.pg.sources import columns_of
from deepoj.adapters.pg.sql_files import queries
from deepoj.adapters.pg.submission_lists import item_of
from deepoj.adapters.pg.texts import clean_text
from deepoj.words.batches import BatchLine, BatchPage, SubmissionBatch
from deepoj.words.errors import StoreUnavailable
from deepoj.words.jobs import State
from deepoj.words.submissions import Receipt, SubmitRefusal, VerdictCount

if TYPE_CHECKING:
    from deepoj.adapters.pg.pool import Connection

#: how often lines that raced with identical programs are tried again; each time one of them got through
_RACES = 5
#: lines that are cancelled in one transaction
_CHUNK = 500


class PgBatches:
    """Batches (``ports.Batches``)."""

    def __init__(self, pool: PgPool) -> None:
        self._pool = pool
        #: one chunk of this node at a time: others would each hold a connection while they wait for the lock
        self._turn = trio.Lock()

    async def open_batch(self, user_id: int, key: str) -> str:
        row = await self._pool.row("open_batch", new_job_id(), user_id, clean_text(key), repeatable=True)
        if row is None:
            raise StoreUnavailable("the batch was neither made nor found")
        return str(row["id"])

    async def submit_lines(
        self,
        batch_id: str,
        user_id: int,
        lines: Sequence[BatchLine],
        *,
        dedup_window_s: float,
        quota: int,
        stream_key: str,
    ) -> list[Receipt | SubmitRefusal]:
        """Store the lines, as the port says; a second try after a lost answer finds them by batch and number."""
        ordered = sorted(lines, key=lambda one: one.line)
        job_ids = sorted(new_job_id() for _ in lines)
        rows_of = {one.line: (job_id, *_columns(one)) for job_id, one in zip(job_ids, ordered, strict=True)}

        async def work(connection: Connection, _again: bool) -> dict[int, asyncpg.Record]:
            answers: dict[int, asyncpg.Record] = {}
            async with connection.transaction():
                await connection.execute(queries()["lock_batches"].sql, user_id)
                for _ in range(_RACES):
                    left = [row for line, row in rows_of.items() if line not in answers]
                    if not left:
                        break
                    ids, numbers, *columns = (list(column) for column in zip(*left, strict=True))
                    found = await connection.fetch(
                        queries()["submit_lines"].sql,
                        batch_id,
                        user_id,
                        dedup_window_s,
                        stream_key,
                        clean_text(lines[0].draft.trace_id),
                        quota,
                        numbers,
                        ids,
                        *columns,
                    )
                    # a line that raced has taken a place of the quota from another, and needs none itself
                    tried_again = {"raced"}
                    if any(row["word"] == "raced" for row in found):
                        tried_again.add(SubmitRefusal.USER_BATCH_QUOTA_REACHED)
                    answers |= {row["line"]: row for row in found if row["word"] not in tried_again}
            return answers

        async with self._turn:
            answers = await self._pool.do(work, repeatable=True) if lines else {}
        if len(answers) < len(lines):
            raise StoreUnavailable("too many identical submissions at one moment")
        return [_answer(answers[one.line]) for one in lines]

    async def batch(self, batch_id: str) -> SubmissionBatch | None:
        rows = await self._pool.rows("batch_of", batch_id, repeatable=True) if is_job_id(batch_id) else []
        if not rows:
            return None
        counts = [VerdictCount(State(row["state"]), row["status"], row["count"]) for row in rows if row["state"]]
        return SubmissionBatch(rows[0]["id"], rows[0]["user_id"], rows[0]["created_at"].isoformat(), tuple(counts))

    async def cancel_batch(self, batch_id: str, user_id: int) -> int:
        """Delete chunk by chunk, as the port says. If we die in between, the rest waits and can be cancelled again."""

        async def work(connection: Connection, _again: bool) -> int:
            async with connection.transaction():
                await connection.execute(queries()["lock_batches"].sql, user_id)
                return int(await connection.fetchval(queries()["cancel_lines"].sql, batch_id, _CHUNK))

        deleted = 0
        while is_job_id(batch_id) and (chunk := await self._pool.do(work, repeatable=True)):
            deleted += chunk
        return deleted

    async def batches_of(self, user_id: int, limit: int) -> list[SubmissionBatch]:
        rows = await self._pool.rows("batches_of", user_id, limit, repeatable=True)
        return [SubmissionBatch(row["id"], row["user_id"], row["created_at"].isoformat()) for row in rows]

    async def batch_results(self, batch_id: str, after: int, without: Collection[int], limit: int) -> BatchPage:
        async def work(connection: Connection, _again: bool) -> BatchPage:
            # asked first: a line that is finished in between is then sent with the next page
            first_unfinished = await connection.fetchval(queries()["batch_unfinished"].sql, batch_id, after)
            rows = await connection.fetch(queries()["batch_results"].sql, batch_id, after, sorted(without), limit)
            return BatchPage([(row["line"], item_of(row)) for row in rows], first_unfinished)

        return await self._pool.do(work, repeatable=True)


def _columns(one: BatchLine) -> tuple[object, ...]:
    draft = one.draft
    return (
        one.line,
        draft.problem_id,
        draft.language,
        clean_text(draft.code),
        draft.digest(),
        *columns_of(draft),
        draft.callback_url,
    )


def _answer(row: asyncpg.Record) -> Receipt | SubmitRefusal:
    match row["word"]:
        case "accepted":
            return Receipt(row["job_id"])
        case "same_key" | "twin":
            return Receipt(row["job_id"], repeated=True)
        case word:
            return SubmitRefusal(word)
