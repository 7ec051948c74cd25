"""Way back 2: rows without a live entry (trimmed, Redis wiped, group gone) are put back through the outbox.

Rows are what is paged, not the stream: a page of rows that may be lost, a look at the entries that were made for each,
and what has no live one goes back. A round therefore costs the same under 100,000 waiting jobs as under none, and finds
what is lost among them; the cursor is kept across rounds, so a round that ends early goes on where it was.

What if we die here? The entries are looked at first, the rows are chosen again and their outbox events written in one
transaction: either the event stands and the dispatcher delivers it, or nothing happened. A row that got its entry
between the two is put back once too often, and so is one that came of age between them, whose entries nobody looked at,
and one whose live entry was never noted (it was published and the answer lost): the claim refuses the double. A cursor
that is lost begins anew.
"""

from __future__ import annotations

from dataclasses import dataclass

from deepoj import observe
from deepoj.ports import Jobs, JobStream


@dataclass(frozen=True, slots=True)
class RepairSettings:
    """Rows younger than ``min_age_s`` are left to the ordinary walk; at most ``batch_size`` are put back a round."""

    min_age_s: float
    batch_size: int
    stream_key: str
    #: rows looked at in one go, and at most in a round
    page_size: int = 500
    look_limit: int = 10_000


@dataclass(frozen=True, slots=True)
class Round:
    """What one round came to: how many jobs it put back, and the row id after which the next one begins."""

    count: int
    after_id: int


async def repair(
    jobs: Jobs, stream: JobStream, settings: RepairSettings, metrics: observe.Metrics, *, after_id: int = 0
) -> Round:
    """One round, from the rows above ``after_id`` on.

    Raises:
      StoreUnavailable, StreamUnavailable
    """
    looked = count = 0
    while looked < settings.look_limit and count < settings.batch_size:
        page = await jobs.strays(after_id, settings.min_age_s, settings.page_size)
        if page:
            entry_ids = [entry_id for stray in page for entry_id in stray.entry_ids]
            live = await stream.live_entries(entry_ids)
            back = await jobs.repair(
                {stray.job_id for stray in page if not live.isdisjoint(stray.entry_ids)},
                settings.min_age_s,
                settings.batch_size - count,
                settings.stream_key,
                after_id=after_id,
                upto_id=page[-1].id,
            )
            count += len(back)
            looked += len(page)
            if count == settings.batch_size:  # there may be more in this page, after the last one
                # of what was read: a row that came of age since then may have gone back, too
                after_id = max((stray.id for stray in page if stray.job_id in back), default=after_id)
                break
            after_id = page[-1].id
        if len(page) < settings.page_size:
            after_id = 0  # the end: the next round begins anew
            break
    if count:
        metrics.repair.labels(result="ok", reason="no_live_entry").inc(count)
        observe.log("repair_cycle_end", count=count)
    return Round(count, after_id)
