"""Way back 2: rows without a live entry (trimmed, Redis wiped, group gone) are put back through the outbox.

What if we die here? The live entries are read first, the rows are chosen and their outbox events written in one
transaction: either the event stands and the dispatcher delivers it, or nothing happened. A row that got its entry
between the two reads is put back once too often, and the claim refuses the double.
"""

from __future__ import annotations

from dataclasses import dataclass

from deepoj import observe
from deepoj.ports import Jobs, JobStream


@dataclass(frozen=True, slots=True)
class RepairSettings:
    """Rows younger than ``min_age_s`` are left to the ordinary walk; at most ``batch_size`` a round."""

    min_age_s: float
    batch_size: int
    stream_key: str
    #: above so many live entries the stream is plainly alive and nothing is looked for
    live_limit: int = 50_000


async def repair(jobs: Jobs, stream: JobStream, settings: RepairSettings, metrics: observe.Metrics) -> int:
    """One round; returns how many jobs were put back.

    Raises:
      StoreUnavailable, StreamUnavailable
    """
    live = await stream.live_job_ids(settings.live_limit)
    if live is None:
        metrics.repair.labels(result="skipped", reason="stream_full").inc()
        return 0
    back = await jobs.repair(live, settings.min_age_s, settings.batch_size, settings.stream_key)
    if back:
        metrics.repair.labels(result="ok", reason="no_live_entry").inc(len(back))
        observe.log("repair_cycle_end", count=len(back))
    return len(back)
