"""The outbox in PostgreSQL (``sql/queries/outbox.sql``).

What if we die here? Between taking an event and the stream, the event is due again after its backoff. Between the
stream and ``mark_delivered``, it is sent twice: the second claim is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from deepoj.adapters.pg.pool import PgPool
from deepoj.adapters.pg.texts import clean_text
from deepoj.words.outbox import LANES, WAITED_FOR, OutboxEvent, OutboxPending, OutboxStanding, OutboxWaiting, Priority

#: events of a lane are counted up to this number
OUTBOX_COUNTED = 10_000


class PgOutbox:
    """The outbox (``ports.Outbox``)."""

    def __init__(self, pool: PgPool) -> None:
        self._pool = pool

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
        ages_ms = [row["age_ms"] for row in rows if row["priority"] in WAITED_FOR and row["age_ms"] is not None]
        return OutboxPending(
            {Priority(row["priority"]): row["count"] for row in rows if row["count"]},
            None if not ages_ms else max(0, *ages_ms),
            None if not rows or rows[0]["unfinished_age_ms"] is None else max(0, rows[0]["unfinished_age_ms"]),
        )

    async def outbox_of_job(self, job_id: str) -> OutboxStanding | None:
        """Return the state of a job's newest event; for checks, not part of the port."""
        row = await self._pool.row("outbox_of_job", job_id, repeatable=True)
        return None if row is None else OutboxStanding(**dict(row))

    async def outbox_stuck(self, older_than_s: float) -> tuple[int, str | None]:
        """Return how many events (rejudges aside) were tried and are undelivered, and one error; for checks."""
        row = await self._pool.row("outbox_stuck", older_than_s, repeatable=True)
        return (0, None) if row is None else (row["count"], row["last_error"])
