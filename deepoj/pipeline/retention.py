"""The sweeper of the database: report finished submissions past their retention, and delete them if that is enabled.

A dry run is the default: the round only logs what it would delete (``db_gc_plan``). Rows are paged by id from the
oldest on, and a round looks at a bounded number of them. The next round goes on where it stopped, so that old rows
which stay (unfinished, dead) are passed once per turn and hold nothing up. Deletions block nothing: batches are small,
and each is a transaction of its own.

What if we die here? Complete batches are deleted, with their outbox events and their part of the ledger; the next round
deletes the rest. The batch checks its rows again: one that was rejudged since the plan stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import batched

from deepoj import observe
from deepoj.ports.jobs import Retention

#: maximum number of rows per statement, and per round
PAGE = 1000
LOOK_LIMIT = 20_000


@dataclass(frozen=True, slots=True)
class RetentionSettings:
    """Rows that were finished ``keep_s`` ago may be deleted, at most ``batch_size`` of them per transaction."""

    keep_s: float
    batch_size: int
    delete: bool


@dataclass(frozen=True, slots=True)
class Swept:
    """How many rows a round planned and deleted, and the row id after which the next one begins."""

    planned: int
    deleted: int
    after_id: int


async def retain(rows: Retention, settings: RetentionSettings, metrics: observe.Metrics, after_id: int = 0) -> Swept:
    """Do one round.

    Raises:
      StoreUnavailable: earlier batches are deleted; the next round begins with the oldest row.
    """
    plan: list[int] = []
    for _ in range(LOOK_LIMIT // PAGE):
        page = await rows.expired(after_id, settings.keep_s, PAGE)
        plan += page.row_ids
        after_id = page.next_after_id
        if not after_id:
            break
    mode = "delete" if settings.delete else "dry_run"
    metrics.db_gc.labels(result="planned" if plan else "nothing", reason=mode).inc(len(plan) or 1)
    if plan:
        observe.log("db_gc_plan", count=len(plan), reason=mode)
    deleted = 0
    for batch in batched(plan, settings.batch_size, strict=False) if settings.delete else ():
        count = await rows.delete_expired(batch, settings.keep_s)
        deleted += count
        metrics.db_gc.labels(result="deleted", reason="retention").inc(count)
        observe.log("db_gc_delete", count=count)
    return Swept(len(plan), deleted, after_id)
