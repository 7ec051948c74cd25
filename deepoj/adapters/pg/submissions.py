"""Submissions in PostgreSQL: storing and reading them (``sql/queries/submit.sql``).

What if we die here? Between the commit of ``submit`` and the stream, the outbox row is pending: the next dispatcher
takes it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg

from deepoj.adapters.batcher import Batcher
from deepoj.adapters.pg.accounts import credentials_of
from deepoj.adapters.pg.inflight import InflightEstimate
from deepoj.adapters.pg.job_ids import is_job_id, new_job_id
from deepoj.adapters.pg.pool import PgPool
from deepoj.adapters.pg.sources import columns_of, sources_of
from deepoj.adapters.pg.sql_files import queries
from deepoj.adapters.pg.texts import clean_json, clean_text
from deepoj.words.accounts import Credentials
from deepoj.words.errors import StoreUnavailable
from deepoj.words.jobs import State
from deepoj.words.outbox import OutboxEvent
from deepoj.words.submissions import Draft, Receipt, Submission, SubmitRefusal

if TYPE_CHECKING:
    from deepoj.adapters.pg.pool import Connection

#: how often a submit that raced with an identical one is retried; each time one of the two got through
_RACES = 5

#: submissions per read (each with its source and result), and how many such reads run at once
_MOST_LOOKS = 16
_LOOK_LANES = 2
#: submissions in one transaction: while one group is stored, the node answers the last and receives the next
_MOST_SUBMITS = 16
#: groups of submissions under way: one that waits for a lock (two identical submissions, a problem that is being
#: deleted) delays only its own group
_SUBMIT_LANES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """One submit: the statement's parameters, and the values that order it."""

    parameters: tuple[object, ...]
    user_id: int
    has_key: bool
    #: the unique index on which two submits can collide, as a sort key
    place: tuple[int, int, str, bytes]


def _grouped(asked: Sequence[_Asked]) -> list[int]:
    """Return the indexes of the submits that share one transaction, in its order.

    An INSERT waits for another transaction's uncommitted row of the same key until that transaction ends. Two groups
    deadlock only if they insert the same keys in different orders, so each group is sorted by the deduplicating index.
    Idempotency-Keys are a second index, so a submit with a key is left out if its user has several in the group.
    """
    of_user = Counter(one.user_id for one in asked)
    grouped = [at for at, one in enumerate(asked) if not one.has_key or of_user[one.user_id] == 1]
    return sorted(grouped, key=lambda at: asked[at].place)


def submission_of(row: asyncpg.Record) -> Submission:
    return Submission(
        job_id=row["job_id"],
        user_id=row["user_id"],
        problem_id=row["problem_id"],
        language=row["language"],
        **sources_of(row),
        state=State(row["state"]),
        status=row["status"],
        attempt_id=row["attempt_id"],
        judging=row["judging"],
        error_code=row["error_code"],
        error_message=row["error_message"],
        result=None if row["result"] is None else json.loads(row["result"]),
        created_at=row["created_at"].isoformat(),
        updated_at=row["updated_at"].isoformat(),
        callback_url=row["callback_url"],
        is_withheld=row["is_withheld"],
        override=row["override"],
    )


def _event_of(row: asyncpg.Record, stream_key: str, draft: Draft) -> OutboxEvent | None:
    """Return the event that the caller brings to the stream, if the row of a submit has one."""
    if row["event_id"] is None:
        return None
    return OutboxEvent(
        id=row["event_id"],
        job_id=row["job_id"],
        stream_key=stream_key,
        enqueue_ts_ms=row["enqueue_ts_ms"],
        priority=row["priority"],
        payload=row["payload"],
        attempts=1,
        trace_id=draft.trace_id,
    )


class PgSubmissions:
    """Submissions (``ports.Submissions``)."""

    def __init__(self, pool: PgPool) -> None:
        self._pool = pool
        self._estimate = InflightEstimate()
        self._submits = Batcher(self._take, lanes=_SUBMIT_LANES, most=_MOST_SUBMITS)
        self._looks = Batcher(self._look, lanes=_LOOK_LANES, most=_MOST_LOOKS)

    async def submit(
        self,
        draft: Draft,
        *,
        inflight_cap: int,
        dedup_window_s: float,
        payload: Mapping[str, object],
        stream_key: str,
        direct: bool = False,
        user_inflight_cap: int | None = None,
        hidden_s: float | None = None,
    ) -> Receipt | SubmitRefusal:
        """Store a submission, as the port says.

        A known idempotency key of the same user answers with its job, in any state. The job id is chosen here, so the
        second try after a lost answer finds the submission by it.
        """
        event: OutboxEvent | None = None
        inflight = self._estimate.enter()
        # until an answer says otherwise: if the client left or the answer was lost, the submission may exist
        taken = True
        try:
            digest = draft.digest()
            asked = _Asked(
                parameters=(
                    new_job_id(),
                    draft.user_id,
                    draft.problem_id,
                    draft.language,
                    clean_text(draft.code),
                    digest,
                    clean_text(draft.trace_id),
                    None if draft.idempotency_key is None else clean_text(draft.idempotency_key),
                    clean_json(payload),
                    inflight_cap,
                    dedup_window_s,
                    stream_key,
                    inflight,
                    *columns_of(draft),
                    draft.callback_url,
                    user_inflight_cap,
                    draft.contest_id,
                    hidden_s,
                ),
                user_id=draft.user_id,
                has_key=draft.idempotency_key is not None,
                place=(draft.user_id, draft.problem_id, draft.language, digest),
            )
            if direct:
                row, event = await self._take_direct(asked, draft)
            else:
                row = await self._submits.do(asked)
                event = None if row is None else _event_of(row, stream_key, draft)
            taken = row is not None and row["word"] in {"accepted", "taken"}
        finally:
            self._estimate.leave(was_taken=taken)
        if row is None:
            raise StoreUnavailable("too many identical submissions at one moment")
        match row["word"]:
            case "accepted" | "taken":  # a direct submit whose first answer was lost has no event: repair sends it
                return Receipt(row["job_id"], event=event)
            case "same_key" | "twin":
                return Receipt(row["job_id"], repeated=True)
            case word:
                return SubmitRefusal(word)

    async def count_inflight(self, cap: int) -> None:
        await self._estimate.wait_needs_count(cap)
        begun = self._estimate.begin_count()
        # twice the cap: the most that may be under way when many users have one submission each (submit.sql)
        row = await self._pool.row("count_inflight", 2 * cap, repeatable=True)
        self._estimate.counted(0 if row is None else row["count"], begun)

    async def mark_sent(self, event: OutboxEvent, entry_id: str) -> None:
        """Record a sent event, as the port says; a second try after a lost answer changes nothing."""
        await self._pool.rows(
            "mark_sent",
            event.id,
            event.event_type,
            event.job_id,
            event.stream_key,
            event.enqueue_ts_ms,
            event.priority,
            event.payload,
            entry_id,
            repeatable=True,
        )

    async def _take(self, asked: Sequence[_Asked]) -> Sequence[asyncpg.Record | None]:
        """Store concurrent submits, in one transaction where that is safe, and return a row for each.

        They share the commit, with its write to the disk, and the crossing. Each is decided by itself and sees those
        before it. None: it lost every race.
        """

        async def work(connection: Connection, _again: bool) -> Sequence[asyncpg.Record | None]:
            rows: dict[int, asyncpg.Record] = {}
            group = _grouped(asked)
            if len(group) > 1:
                rows = await self._submit_group(connection, asked, group)
            for at, one in enumerate(asked):
                if at not in rows:
                    row = await self._submit_one(connection, one)
                    if row is not None:
                        rows[at] = row
            return [rows.get(at) for at in range(len(asked))]

        return await self._pool.do(work, repeatable=True)

    async def _submit_group(
        self, connection: Connection, asked: Sequence[_Asked], group: Sequence[int]
    ) -> dict[int, asyncpg.Record]:
        try:
            # pipelined, with one Sync at the end: the server runs it as one transaction
            rows = await connection.fetchmany(queries()["submit"].sql, [asked[at].parameters for at in group])
        except asyncpg.DeadlockDetectedError:
            return {}  # a claim holds one identical job and waits for another: submit each by itself
        return {at: row for at, row in zip(group, rows, strict=True) if row["word"] != "raced"}

    async def _submit_one(self, connection: Connection, one: _Asked) -> asyncpg.Record | None:
        for _ in range(_RACES):
            row = await connection.fetchrow(queries()["submit"].sql, *one.parameters)
            if row is not None and row["word"] != "raced":
                return row
        return None

    async def _take_direct(self, one: _Asked, draft: Draft) -> tuple[asyncpg.Record | None, OutboxEvent | None]:
        """Store a submission without an outbox row, and return the event, which the caller sends."""

        async def work(connection: Connection, _again: bool) -> tuple[asyncpg.Record | None, OutboxEvent | None]:
            async with connection.transaction():
                row = await self._submit_one(connection, one)
                if row is None or row["word"] != "accepted":
                    return row, None
                event = await connection.fetchrow(queries()["withdraw_event"].sql, row["job_id"])
                return row, None if event is None else OutboxEvent(**dict(event), trace_id=draft.trace_id)

        return await self._pool.do(work, repeatable=True)

    async def submission(self, job_id: str) -> Submission | None:
        if not is_job_id(job_id):
            return None
        row = await self._pool.row("submission", job_id, repeatable=True)
        return None if row is None else submission_of(row)

    async def count_before(self, job_id: str, most: int) -> int | None:
        row = await self._pool.row("count_before", job_id, most, repeatable=True) if is_job_id(job_id) else None
        return None if row is None else int(row["before"])

    async def account_and_submission(self, user_id: int, job_id: str) -> tuple[Credentials | None, Submission | None]:
        """Read account and submission, as the port says.

        Concurrent calls share one statement, which begins after each of them came.
        """
        row = await self._looks.do((user_id, job_id if is_job_id(job_id) else None))
        return (
            None if row["id"] is None else credentials_of(row),
            None if row["job_id"] is None else submission_of(row),
        )

    async def _look(self, asked: Sequence[tuple[int, str | None]]) -> Sequence[asyncpg.Record]:
        user_ids, job_ids = zip(*asked, strict=True)
        return await self._pool.rows("accounts_and_submissions", user_ids, job_ids, repeatable=True)
