"""The broom of the database: finished submissions past their retention are told, and deleted where that is asked for.

A dry run is the default: what a round would delete it says (``db_gc_plan``), and that is all. Rows are paged by id from
the oldest on, and a round looks at a bounded number of them; where it stopped is kept across rounds, so that old rows
which stay (unfinished, dead) are walked past once a turn and hold nothing up. Nothing waits for a deletion: batches are
small, and each is a transaction of its own.

What if we die here? Whole batches are gone, with their outbox events and their part of the ledger; the rest is the next
round's. A row that was judged anew between the plan and its batch is looked at again by the batch and stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import batched

from deepoj import observe
from deepoj.ports import Jobs

#: rows looked at in one statement, and at most in a round
PAGE = 1000
LOOK_LIMIT = 20_000


@dataclass(frozen=True, slots=True)
class RetentionSettings:
    """Rows that were finished ``keep_s`` ago may go; at most ``batch_size`` of them in one transaction."""

    keep_s: float
    batch_size: int
    delete: bool


@dataclass(frozen=True, slots=True)
class Swept:
    """What a round found and did, and the row id after which the next one begins."""

    planned: int
    deleted: int
    after_id: int


async def retain(jobs: Jobs, settings: RetentionSettings, metrics: observe.Metrics, after_id: int = 0) -> Swept:
    """One round.

    Raises:
      StoreUnavailable: what was deleted is deleted; the round is begun anew from the oldest row.
    """
    plan: list[int] = []
    for _ in range(LOOK_LIMIT // PAGE):
        page = await jobs.expired(after_id, settings.keep_s, PAGE)
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
        gone = await jobs.delete_expired(batch, settings.keep_s)
        deleted += gone
        metrics.db_gc.labels(result="deleted", reason="retention").inc(gone)
        observe.log("db_gc_delete", count=gone)
    return Swept(len(plan), deleted, after_id)
