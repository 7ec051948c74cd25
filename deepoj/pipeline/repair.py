"""Recovery path 2: write new outbox events for rows without a live entry (trimmed, Redis wiped, group gone).

Repair pages through the rows, not the stream: it reads a page of rows that may be lost, looks up the entries that were
made for each, and repairs the rows without a live entry. So a round costs the same under 100,000 waiting jobs as
under none, and finds the lost rows among them. The cursor is kept across rounds: a round that ends early is continued.

What if we die here? The entries are looked up first. Then one transaction chooses the rows again and writes their
outbox events: either the event exists and the dispatcher delivers it, or nothing happened. Three kinds of rows are
repaired needlessly, and the claim refuses the second entry: a row that got its entry between the two steps; a row that
reached the minimum age between them, whose entries were not looked up; and a row whose live entry was never recorded
(it was published and the answer lost). A lost cursor means that the next round begins at the first row.
"""

from __future__ import annotations

from dataclasses import dataclass

from deepoj import observe
from deepoj.ports.jobs import Strays
from deepoj.ports.stream import JobStream


@dataclass(frozen=True, slots=True)
class RepairSettings:
    """Rows younger than ``min_age_s`` are not repaired; at most ``batch_size`` rows are repaired per round."""

    min_age_s: float
    batch_size: int
    stream_key: str
    #: maximum number of rows per page, and per round
    page_size: int = 500
    look_limit: int = 10_000


@dataclass(frozen=True, slots=True)
class RepairRound:
    """The result of one round: how many jobs it repaired, and the row id after which the next one begins."""

    count: int
    after_id: int


async def repair(
    strays: Strays, stream: JobStream, settings: RepairSettings, metrics: observe.Metrics, *, after_id: int = 0
) -> RepairRound:
    """Do one round, beginning with the rows above ``after_id``.

    Raises:
      StoreUnavailable, StreamUnavailable
    """
    looked = count = 0
    while looked < settings.look_limit and count < settings.batch_size:
        page = await strays.strays(after_id, settings.min_age_s, settings.page_size)
        if page:
            entry_ids = [entry_id for stray in page for entry_id in stray.entry_ids]
            live = await stream.live_entries(entry_ids)
            repaired = await strays.repair(
                {stray.job_id for stray in page if not live.isdisjoint(stray.entry_ids)},
                settings.min_age_s,
                settings.batch_size - count,
                settings.stream_key,
                after_id=after_id,
                upto_id=page[-1].id,
            )
            count += len(repaired)
            looked += len(page)
            if count == settings.batch_size:  # this page may have more to repair after the last repaired row
                # Only rows of the page count: a row that reached the minimum age since then may be among them, too.
                after_id = max((stray.id for stray in page if stray.job_id in repaired), default=after_id)
                break
            after_id = page[-1].id
        if len(page) < settings.page_size:
            after_id = 0  # the end: the next round begins at the first row
            break
    if count:
        metrics.repair.labels(result="ok", reason="no_live_entry").inc(count)
        observe.log("repair_cycle_end", count=count)
    return RepairRound(count, after_id)
