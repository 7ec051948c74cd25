"""Leases of claimed work in the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from deepoj.words.jobs import Held


class LeaseStore(Protocol):
    """Leases of one kind of work: submissions (``JobLeases``) or playground runs (``RunLeases``). Raises
    StoreUnavailable.

    The lease contract. Only the database's clock counts. A lease is valid while its end is after ``now()``; at equality
    it is over. ``attempt_id`` grows by one with every won claim and never falls. Only the holder of the current attempt
    with a valid lease may extend it, write the outcome or give the work back; every other caller is refused and the row
    stays unchanged.
    """

    async def extend(self, held: Sequence[Held], owner: str, lease_s: float) -> set[str]:
        """Extend the node's leases in one statement. Return the job ids whose lease was valid; the others are lost."""
        ...
