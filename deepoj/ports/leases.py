"""Leases of claimed work in the database."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from deepoj.words.background import BackgroundClaim
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


class BackgroundLeases[C: BackgroundClaim, O](Protocol):
    """Claims and outcomes of programs that nodes judge with slots that submissions leave: those of verifications
    (``ExampleLeases``) and of previews (``PreviewLeases``), and reruns (``RerunLeases``). Raises StoreUnavailable.

    Only the database's clock counts. Only the holder of the current attempt with a valid lease may extend it, write the
    outcome or give the work back.
    """

    async def claim(self, owner: str, lease_s: float, max_attempts: int, languages: Collection[str]) -> C | None:
        """Claim the next program that is due in one of these languages, of the oldest batch first."""
        ...

    async def extend(self, claim: C, lease_s: float) -> bool:
        """Extend the lease; False: it is lost, or the batch has ended."""
        ...

    async def finish(self, claim: C, outcome: O) -> bool:
        """Write the outcome; False: the lease is lost, or the batch has ended."""
        ...

    async def give_back(self, claim: C, *, counts: bool, delay_s: float) -> bool:
        """Make it due again after ``delay_s``; False: the lease is lost, or the batch has ended."""
        ...
