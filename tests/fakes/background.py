"""Leases of background judging in memory: what ``MemoryVerifications`` and ``MemoryPreviews`` have in common."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Protocol

from deepoj.words.background import BackgroundClaim

if TYPE_CHECKING:
    from tests.fakes.store import MemoryStore


def why_not_taken(language: str, live: Collection[str] | None) -> str:
    """Return why a program ends that no node has taken."""
    is_live = live is not None and language in live
    return "no judge node took it in time" if is_live else f"no judge node has the language {language}"


class LeasedRow(Protocol):
    """A program in memory; ``*_at`` are readings of the store's clock."""

    place: int
    state: str
    attempt_id: int
    attempts: int
    lease_owner: str | None
    due_at: float
    changed_at: float


class MemoryBackgroundLeases[C: BackgroundClaim, R: LeasedRow]:
    """``extend`` and ``give_back`` of ``ports.BackgroundLeases``."""

    memory: MemoryStore

    def _rows(self, batch_id: int) -> list[R]:
        """Return the programs of a verification or preview."""
        raise NotImplementedError

    def _rings(self, claim: C) -> None:
        """Notify those who watch."""

    async def extend(self, claim: C, lease_s: float) -> bool:
        await self.memory.problem(0)
        row = self._held(claim)
        if row is not None:
            row.due_at = max(row.due_at, self.memory.clock() + lease_s)
        return row is not None

    async def give_back(self, claim: C, *, counts: bool, delay_s: float) -> bool:
        await self.memory.problem(0)
        row = self._held(claim)
        if row is None:
            return False
        now = self.memory.clock()
        row.state, row.lease_owner, row.due_at, row.changed_at = "pending", None, now + delay_s, now
        row.attempts -= 0 if counts else 1
        self._rings(claim)
        return True

    def _begin(self, row: R, owner: str, lease_s: float) -> None:
        """Begin an attempt."""
        now = self.memory.clock()
        row.state, row.lease_owner, row.due_at, row.changed_at = "processing", owner, now + lease_s, now
        row.attempt_id += 1
        row.attempts += 1

    def _row(self, claim: C) -> R | None:
        """Return the row of a claim, if no other attempt has begun since."""
        rows = self._rows(claim.batch_id)
        return next((row for row in rows if (row.place, row.attempt_id) == (claim.place, claim.attempt_id)), None)

    def _held(self, claim: C) -> R | None:
        """Return the row of a claim whose lease is valid."""
        row = self._row(claim)
        if row is None or row.state != "processing" or row.lease_owner != claim.lease_owner:
            return None
        return row if row.due_at > self.memory.clock() else None
