"""The heartbeat, beside step 5: one statement extends all leases of this node and returns the lost ones."""

from __future__ import annotations

from collections.abc import Sequence

from deepoj import observe
from deepoj.ports.jobs import JobLeases
from deepoj.words.jobs import Held


async def heartbeat(
    jobs: JobLeases, held: Sequence[Held], owner: str, lease_s: float, metrics: observe.Metrics
) -> set[Held]:
    """Extend every lease that this node still holds. Return those that it has lost.

    Raises:
      StoreUnavailable: the outcome is unknown; the leases run on until their last known end.
    """
    if not held:
        return set()
    alive = await jobs.extend(held, owner, lease_s)
    lost = {one for one in held if one.job_id not in alive}
    metrics.lease_heartbeat.labels(status="ok", reason="").inc(len(held) - len(lost))
    if lost:
        metrics.lease_heartbeat.labels(status="lost", reason="not_owner_or_expired").inc(len(lost))
    return lost
