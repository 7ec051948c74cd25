"""The leases of submissions and custom runs that this node holds, and how long it may trust each of them.

The database decides by its own clock. This node trusts a lease for ``lease_s`` from the moment the granting statement
was *sent*, minus a margin. That moment is always before the database's end of the lease. So a node that cannot reach
the database stops its judges before another node can claim their jobs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

import trio

from deepoj.words.errors import LeaseLost
from deepoj.words.jobs import Claim, Held
from deepoj.words.playground import CustomClaim

#: A read of the stream that has waited this long found nothing: no job waits. Entries that are there come within
#: milliseconds.
QUIET_S = 0.02
#: the part of a lease that is not trusted: noticing its end and killing the execution take a moment
MARGIN = 0.1


class Lease[C: (Claim, CustomClaim) = Claim]:
    """The lease of one claimed job or custom run."""

    def __init__(
        self, claim: C, granted_at: float, deadline: float, *, reclaimed: bool = False, of_contest: bool = False
    ) -> None:
        self.claim: C = claim
        #: its job came in the lane of contests
        self.of_contest = of_contest
        self.granted_at = granted_at
        #: its entry was taken over from a node that did not finish it
        self.reclaimed = reclaimed
        #: on trio's clock; every heartbeat moves it
        self.deadline = deadline
        #: nothing of it runs any more; its outcome is being written
        self.is_judged = False
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
        """Park until the lease is lost or may no longer be trusted.

        Raises:
          LeaseLost: always; this is how the wait ends.
        """
        while not self.lost and trio.current_time() < self.deadline:
            # Wakes at the deadline known now. A heartbeat may have moved it meanwhile: then it parks again.
            with trio.move_on_at(self.deadline):
                await self._lost.wait()
        self._lost.set()
        raise LeaseLost(f"the lease of {self.claim.job_id} attempt {self.claim.attempt_id} is lost")


class Leases:
    """All leases of this node. Custom runs are among them, because they share its slots."""

    def __init__(self, lease_s: float, slots: int) -> None:
        self.lease_s = lease_s
        self.slots = slots
        self._held: dict[Held, Lease[Any]] = {}
        #: slots that background work has
        self._lent = 0
        #: slots that only jobs of contests may take
        self._kept = 0
        #: whether the last read of the stream brought as many jobs as there was room for: more may wait
        self._is_backlog = False
        #: when the read that is under way began; None: there is none
        self._reading_since: float | None = None
        self._changed = trio.Event()

    def add[C: (Claim, CustomClaim)](
        self, claim: C, granted_at: float, *, reclaimed: bool = False, of_contest: bool = False
    ) -> Lease[C]:
        """Add a lease. ``granted_at``: trio's clock before the claiming statement was sent."""
        until = self._believed_until(granted_at)
        lease = Lease(claim, granted_at, until, reclaimed=reclaimed, of_contest=of_contest)
        self._held[lease.held] = lease
        if self._kept:
            self._notify()  # the slots that are left may be for contests alone
        return lease

    def drop(self, lease: Lease[Any]) -> None:
        self._held.pop(lease.held, None)
        self._notify()

    def judged(self, lease: Lease[Any]) -> None:
        """Free the slot of a job of which nothing runs any more. Its lease stays until its outcome is written.

        So the next job is claimed beside the write. Without that, the cores of a node that drained a queue idled for 7
        to 10 % of the time (two slots, ten small tests each).
        """
        lease.is_judged = True
        self._notify()

    def held(self, kind: type[Claim | CustomClaim] = Claim) -> list[Held]:
        """The leases of submissions, or of custom runs."""
        return [held for held, lease in self._held.items() if isinstance(lease.claim, kind)]

    def extended(self, asked: Iterable[Held], lost: set[Held], sent_at: float) -> None:
        """Apply the answer to a heartbeat that was sent at ``sent_at`` for the leases in ``asked``."""
        for held in asked:
            lease = self._held.get(held)
            if lease is None:
                continue  # finished meanwhile
            if held in lost:
                lease.lose()
            else:
                lease.deadline = max(lease.deadline, self._believed_until(sent_at))

    def reclaimed(self) -> int:
        """How many of the leases are of jobs taken over from a node that did not finish them."""
        return sum(lease.reclaimed for lease in self._held.values())

    def keep(self, count: int) -> None:
        """Keep so many slots for jobs of contests, at most all but one. Other work that has them goes on."""
        kept = min(max(0, count), self.slots - 1)
        if kept != self._kept:
            self._kept = kept
            self._notify()

    @property
    def free(self) -> int:
        """How many slots any work may take."""
        others = self._lent + sum(not (lease.of_contest or lease.is_judged) for lease in self._held.values())
        return max(0, min(self.free_for_contests, self.slots - self._kept - others))

    @property
    def free_for_contests(self) -> int:
        running = sum(not lease.is_judged for lease in self._held.values())
        # outcomes that wait for the database hold up new jobs, once there are as many as slots
        return max(0, min(self.slots - self._lent - running, 2 * self.slots - len(self._held)))

    def read_began(self) -> None:
        """Note that the consumer reads the stream."""
        self._reading_since = trio.current_time()

    def read_ended(self, *, is_full: bool) -> None:
        """Note the end of the read. ``is_full``: it brought as many jobs as there was room for."""
        self._reading_since, self._is_backlog = None, is_full

    def idle(self) -> int:
        """Return how many slots no job has or waits for, as far as the reads of the stream tell."""
        if self._is_backlog:
            if self._reading_since is None or trio.current_time() - self._reading_since < QUIET_S:
                return 0
            self._is_backlog = False
        return self.free

    async def wait_free(self) -> int:
        """Park until a slot is free for any work. Return the number of such slots."""
        while not self.free:
            await self._changed.wait()
        return self.free

    async def wait_only_for_contests(self) -> None:
        """Park until slots are free for jobs of contests, and none for other work."""
        while self.free or not self.free_for_contests:
            await self._changed.wait()

    async def wait_free_for_run(self, share: int) -> None:
        """Park until a custom run may use a slot: at most ``share`` runs at a time, and a second run only while a slot
        is left for a submission."""
        while not (len(runs := self.held(CustomClaim)) < share and self.free > (1 if runs else 0)):
            await self._changed.wait()

    async def lend(self, patience_s: float) -> None:
        """Park until background work may use a slot, and take it: while another slot stays free for a submission, or
        after ``patience_s`` any that is free, if background work has no other. ``take_back`` ends that."""
        with trio.move_on_after(patience_s):
            while self.free < min(2, self.slots - self._kept):
                await self._changed.wait()
        while self.free < (2 if self._lent else 1):
            await self._changed.wait()
        self._lent += 1
        if self._kept:
            self._notify()  # as in ``add``

    def take_back(self) -> None:
        """Free a slot that was lent."""
        self._lent -= 1
        self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    def _believed_until(self, sent_at: float) -> float:
        return sent_at + self.lease_s * (1 - MARGIN)
