"""The heartbeat, beside step 5 and beside playground runs: one statement extends all leases of one kind that this node
holds, and returns the lost ones."""

from __future__ import annotations

from collections.abc import Sequence

from deepoj import observe
from deepoj.ports.leases import LeaseStore
from deepoj.words.jobs import Held


async def heartbeat(
    leases: LeaseStore,
    held: Sequence[Held],
    owner: str,
    lease_s: float,
    metrics: observe.Metrics,
    *,
    of_runs: bool = False,
) -> set[Held]:
    """Extend every lease that this node still holds. Return those that it has lost. ``of_runs``: for the metrics.

    Raises:
      StoreUnavailable: the outcome is unknown; the leases run on until their last known end.
    """
    if not held:
        return set()
    alive = await leases.extend(held, owner, lease_s)
    lost = {one for one in held if one.job_id not in alive}
    metrics.lease_heartbeat.labels(status="ok", reason="custom_run" if of_runs else "").inc(len(held) - len(lost))
    if lost:
        reason = "custom_run" if of_runs else "not_owner_or_expired"
        metrics.lease_heartbeat.labels(status="lost", reason=reason).inc(len(lost))
    return lost
