"""Submissions and the outbox in PostgreSQL: everything before the stream, and the repair of jobs that fell out of it.

What if we die here? Between the commit of ``submit`` and the stream, the outbox row is pending: the next dispatcher
takes it. Between the stream and ``mark_delivered``, the event is sent twice: the second claim is refused.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg

from deepoj.adapters.pg.account_records import credentials_of
from deepoj.adapters.pg.batcher import Batcher
from deepoj.adapters.pg.inflight import InflightEstimate
from deepoj.adapters.pg.job_ids import is_job_id, new_job_id
from deepoj.adapters.pg.pool import PgPool
from deepoj.adapters.pg.sources import columns_of, sources_of
from deepoj.adapters.pg.sql_files import queries
from deepoj.adapters.pg.texts import clean_json, clean_text
from deepoj.words.accounts import Credentials
from deepoj.words.errors import StoreUnavailable
from deepoj.words.jobs import Expired, State, Stray
from deepoj.words.outbox import LANES, OutboxEvent, OutboxPending, OutboxStanding, OutboxWaiting, Priority
from deepoj.words.submissions import Draft, Receipt, Submission, SubmitRefusal

if TYPE_CHECKING:
    from deepoj.adapters.pg.pool import Connection

#: how often a submit that raced with an identical one is retried; each time one of the two got through
_RACES = 5


#: events of a lane are counted up to this number
OUTBOX_COUNTED = 10_000


#: submissions per read (each with its source and result), and how many such reads run at once
_MOST_LOOKS = 16
_LOOK_LANES = 2
#: submissions in one transaction
_MOST_SUBMITS = 64
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


def _submission(row: asyncpg.Record) -> Submission:
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
    )


class PgSubmissions:
    """Submissions and the outbox: the first half of ``ports.Jobs``."""

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
            asked = _Asked(
                parameters=(
                    new_job_id(),
                    draft.user_id,
                    draft.problem_id,
                    draft.language,
                    clean_text(draft.code),
                    draft.digest(),
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
                ),
                user_id=draft.user_id,
                has_key=draft.idempotency_key is not None,
                place=(draft.user_id, draft.problem_id, draft.language, draft.digest()),
            )
            if direct:
                row, event = await self._take_direct(asked, draft)
            else:
                row = await self._submits.do(asked)
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
        if not self._estimate.needs_count(cap):
            return
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
        return None if row is None else _submission(row)

    async def account_and_submission(self, user_id: int, job_id: str) -> tuple[Credentials | None, Submission | None]:
        """Read account and submission, as the port says.

        Concurrent calls share one statement, which begins after each of them came.
        """
        row = await self._looks.do((user_id, job_id if is_job_id(job_id) else None))
        return (
            None if row["id"] is None else credentials_of(row),
            None if row["job_id"] is None else _submission(row),
        )

    async def _look(self, asked: Sequence[tuple[int, str | None]]) -> Sequence[asyncpg.Record]:
        async def work(connection: Connection, _again: bool) -> Sequence[asyncpg.Record]:
            sql = queries()["account_and_submission"].sql
            if len(asked) == 1:
                return await connection.fetch(sql, *asked[0])
            return await connection.fetchmany(sql, asked)

        return await self._pool.do(work, repeatable=True)

    async def take_outbox(
        self, limit: int, retry_base_s: float, retry_max_s: float, *, lanes: Mapping[Priority, int] | None = None
    ) -> list[OutboxEvent]:
        """Take due events, as the port says. Not repeated if its answer is lost: they are due again after a backoff."""
        most = [limit if lanes is None else lanes.get(lane, 0) for lane in LANES]
        rows = await self._pool.rows(
            "take_outbox", limit, retry_base_s, retry_max_s, list(map(int, LANES)), most, repeatable=False
        )
        return [OutboxEvent(**dict(row)) for row in rows]

    async def mark_delivered(self, delivered: Sequence[tuple[int, str]]) -> None:
        if delivered:
            ids, entries = [event_id for event_id, _ in delivered], [entry_id for _, entry_id in delivered]
            await self._pool.rows("mark_delivered", ids, entries, repeatable=True)

    async def mark_undelivered(self, event_ids: Sequence[int], error: str) -> None:
        if event_ids:
            await self._pool.rows("mark_undelivered", list(event_ids), clean_text(error), repeatable=True)

    async def outbox_waiting(self, limit: int) -> OutboxWaiting:
        rows = await self._pool.rows("outbox_waiting", list(map(int, LANES)), limit, repeatable=True)
        due = {Priority(row["priority"]): row["due"] for row in rows if row["due"]}
        return OutboxWaiting(due, any(row["is_waiting"] for row in rows))

    async def outbox_pending(self) -> OutboxPending:
        rows = await self._pool.rows("outbox_pending", list(map(int, LANES)), OUTBOX_COUNTED, repeatable=True)
        ages_ms = [row["age_ms"] for row in rows if row["priority"] > Priority.REJUDGE and row["age_ms"] is not None]
        return OutboxPending(
            {Priority(row["priority"]): row["count"] for row in rows if row["count"]},
            None if not ages_ms else max(0, *ages_ms),
        )

    async def oldest_unfinished_age_ms(self) -> int | None:
        row = await self._pool.row("oldest_unfinished_age_ms", repeatable=True)
        age_ms: int | None = None if row is None else max(0, row["age_ms"])
        return age_ms

    async def outbox_of_job(self, job_id: str) -> OutboxStanding | None:
        """Return the state of a job's newest event; for checks, not part of the port."""
        row = await self._pool.row("outbox_of_job", job_id, repeatable=True)
        return None if row is None else OutboxStanding(**dict(row))

    async def outbox_stuck(self, older_than_s: float) -> tuple[int, str | None]:
        """Return how many events (rejudges aside) were tried and are undelivered, and one error; for checks."""
        row = await self._pool.row("outbox_stuck", older_than_s, repeatable=True)
        return (0, None) if row is None else (row["count"], row["last_error"])

    async def strays(self, after_id: int, min_age_s: float, limit: int) -> list[Stray]:
        rows = await self._pool.rows("strays", after_id, min_age_s, limit, repeatable=True)
        return [Stray(row["id"], row["job_id"], tuple(row["entry_ids"])) for row in rows]

    async def repair(
        self,
        live_job_ids: set[str],
        min_age_s: float,
        limit: int,
        stream_key: str,
        *,
        after_id: int = 0,
        upto_id: int = 2**63 - 1,
    ) -> list[str]:
        """Repair jobs, as the port says. Repeatable: a job with an undelivered event is not repaired again."""

        async def work(connection: Connection, _again: bool) -> list[str]:
            async with connection.transaction():
                if not await connection.fetchval(queries()["repair_lock"].sql):
                    return []
                sql, live = queries()["repair"].sql, list(live_job_ids)
                rows = await connection.fetch(sql, live, min_age_s, limit, stream_key, after_id, upto_id)
                return [row["job_id"] for row in rows]

        return await self._pool.do(work, repeatable=True)

    async def oldest_unfinished_entry_ids(self) -> list[str]:
        """Return the oldest entries' ids, oldest first, at most a hundred."""
        rows = await self._pool.rows("oldest_unfinished_entry_ids", repeatable=True)
        return [row["entry_id"] for row in rows]

    async def expired(self, after_id: int, keep_s: float, limit: int) -> Expired:
        row = await self._pool.row("expired", after_id, keep_s, limit, repeatable=True)
        return Expired((), 0) if row is None else Expired(tuple(row["row_ids"]), row["next_after_id"])

    async def delete_expired(self, row_ids: Sequence[int], keep_s: float) -> int:
        """Delete expired rows, as the port says; a second try after a lost answer deletes nothing and returns 0."""
        row = await self._pool.row("delete_expired", list(row_ids), keep_s, repeatable=True)
        count: int = 0 if row is None else row["count"]
        return count
