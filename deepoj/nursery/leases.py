"""The leases this node holds, of submissions and of custom runs, and until when it may believe so.

The database decides by its own clock. Here a lease is believed for ``lease_s`` from the moment the statement that
granted it was *sent*, minus a margin: that is always earlier than the database's end of it, so a node that cannot
reach the database stops its judges before anybody else can own their jobs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

import trio

from deepoj.words import Claim, CustomClaim, Held, LeaseLost

#: the part of a lease that is not believed: killing a run and noticing take a moment
MARGIN = 0.1


class Lease[C: (Claim, CustomClaim) = Claim]:
    """One job in hand, or one custom run."""

    def __init__(self, claim: C, granted_at: float, deadline: float, *, reclaimed: bool = False) -> None:
        self.claim: C = claim
        self.granted_at = granted_at
        #: its entry was taken over from somebody who did not finish
        self.reclaimed = reclaimed
        #: on trio's clock; moves with each heartbeat
        self.deadline = deadline
        self._lost = trio.Event()

    @property
    def held(self) -> Held:
        return Held(self.claim.job_id, self.claim.attempt_id)

    @property
    def lost(self) -> bool:
        return self._lost.is_set()

    def lose(self) -> None:
        self._lost.set()

    async def watch(self) -> NoReturn:
        """Parks until the lease is lost or no longer to be believed.

        Raises:
          LeaseLost: always, in the end.
        """
        while not self.lost and trio.current_time() < self.deadline:
            # Wakes at the deadline known now; a heartbeat may have moved it meanwhile, then it parks again.
            with trio.move_on_at(self.deadline):
                await self._lost.wait()
        self._lost.set()
        raise LeaseLost(f"the lease of {self.claim.job_id} attempt {self.claim.attempt_id} is lost")


class Leases:
    """All jobs in hand of this node, custom runs among them: they share its slots."""

    def __init__(self, lease_s: float, slots: int) -> None:
        self.lease_s = lease_s
        self.slots = slots
        self._held: dict[Held, Lease[Any]] = {}
        self._changed = trio.Event()

    def add[C: (Claim, CustomClaim)](self, claim: C, granted_at: float, *, reclaimed: bool = False) -> Lease[C]:
        """``granted_at``: trio's clock before the claiming statement was sent."""
        lease = Lease(claim, granted_at, self._believed_until(granted_at), reclaimed=reclaimed)
        self._held[lease.held] = lease
        return lease

    def drop(self, lease: Lease[Any]) -> None:
        self._held.pop(lease.held, None)
        self._changed.set()
        self._changed = trio.Event()

    def held(self) -> list[Held]:
        """Submissions."""
        return [held for held, lease in self._held.items() if isinstance(lease.claim, Claim)]

    def held_runs(self) -> list[Held]:
        """Custom runs."""
        return [held for held, lease in self._held.items() if isinstance(lease.claim, CustomClaim)]

    def extended(self, asked: Iterable[Held], lost: set[Held], sent_at: float) -> None:
        """A heartbeat sent at ``sent_at`` for ``asked`` was answered."""
        for held in asked:
            lease = self._held.get(held)
            if lease is None:
                continue  # finished meanwhile
            if held in lost:
                lease.lose()
            else:
                lease.deadline = max(lease.deadline, self._believed_until(sent_at))

    def reclaimed(self) -> int:
        """How many of the jobs in hand came from somebody who did not finish them."""
        return sum(lease.reclaimed for lease in self._held.values())

    @property
    def free(self) -> int:
        return max(0, self.slots - len(self._held))

    async def wait_free(self) -> int:
        """Parks until there is a free slot; returns how many."""
        while not self.free:
            await self._changed.wait()
        return self.free

    async def wait_free_for_run(self, share: int) -> None:
        """Parks until a custom run may have a slot: never more than ``share`` of them, and beside another one only
        while a slot is left for a submission."""
        while not (len(runs := self.held_runs()) < share and self.free > (1 if runs else 0)):
            await self._changed.wait()

    def _believed_until(self, sent_at: float) -> float:
        return sent_at + self.lease_s * (1 - MARGIN)
