"""Beside step 5: one statement keeps all leases of this node alive, and says which are lost."""

from __future__ import annotations

from collections.abc import Sequence

from deepoj import observe
from deepoj.ports import Jobs
from deepoj.words import Held


async def heartbeat(
    jobs: Jobs, held: Sequence[Held], owner: str, lease_s: float, metrics: observe.Metrics
) -> set[Held]:
    """Extends every lease that is still ours; returns those that are not.

    Raises:
      StoreUnavailable: nothing is known; the leases run on by what was last granted.
    """
    if not held:
        return set()
    alive = await jobs.extend(held, owner, lease_s)
    lost = {one for one in held if one.job_id not in alive}
    metrics.lease_heartbeat.labels(status="ok", reason="").inc(len(held) - len(lost))
    if lost:
        metrics.lease_heartbeat.labels(status="lost", reason="not_owner_or_expired").inc(len(lost))
    return lost
