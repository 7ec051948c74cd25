"""``MemoryReruns``: the reruns of a ``MemoryStore``."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deepoj.words.reruns import (
    MAX_KEPT,
    MAX_UNFINISHED,
    Rerun,
    RerunClaim,
    RerunFailure,
    RerunOutcome,
    RerunRefusal,
)
from tests.fakes.background import MemoryBackgroundLeases

if TYPE_CHECKING:
    from tests.fakes.store import MemoryStore


@dataclass
class RerunRow:
    """One row of ``reruns``; ``*_at`` are readings of the store's clock."""

    id: int
    job_id: str
    test: str
    language: str
    asked_by: int
    place: int
    created_at: float
    due_at: float
    changed_at: float
    state: str = "pending"
    attempt_id: int = 0
    attempts: int = 0
    lease_owner: str | None = None
    finished_at: float | None = None
    outcome: RerunOutcome | None = None


@dataclass
class MemoryReruns(MemoryBackgroundLeases[RerunClaim, RerunRow]):
    """``ports.Reruns`` and ``ports.RerunLeases`` in memory."""

    memory: MemoryStore
    kept: list[RerunRow]

    async def take_rerun(self, job_id: str, test: str, *, by: int) -> int | RerunRefusal:
        await self.memory.problem(0)
        source, now = self.memory.rows.get(job_id), self.memory.clock()
        unfinished = [row for row in self.kept if row.asked_by == by and row.outcome is None]
        done = [row for row in self.kept if row.asked_by == by and row.outcome is not None]
        for row in done[: max(0, len(done) - MAX_KEPT)]:
            self.kept.remove(row)
        if (same := next((row for row in unfinished if (row.job_id, row.test) == (job_id, test)), None)) is not None:
            return same.id
        if source is None or source.is_erased:
            return RerunRefusal.UNKNOWN
        free = set(range(1, MAX_UNFINISHED + 1)) - {row.place for row in unfinished}
        if not free:
            return RerunRefusal.TOO_MANY
        number = self.memory._take_id("rerun")
        self.kept.append(
            RerunRow(number, job_id, test, source.draft.language, by, min(free), now, due_at=now, changed_at=now)
        )
        return number

    async def rerun(self, rerun_id: int, keep_s: float) -> Rerun | None:
        await self.memory.problem(0)
        row = next((one for one in self.kept if one.id == rerun_id), None)
        if row is None or (row.finished_at is not None and row.finished_at <= self.memory.clock() - keep_s):
            return None
        return Rerun(
            id=row.id, job_id=row.job_id, test=row.test, asked_by=self.memory._users[row.asked_by].user.username,
            is_running=row.state == "processing", outcome=row.outcome,
        )  # fmt: skip

    async def claim(
        self, owner: str, lease_s: float, max_attempts: int, languages: Collection[str]
    ) -> RerunClaim | None:
        await self.memory.problem(0)
        now = self.memory.clock()
        due = (one for one in self.kept if one.outcome is None and one.due_at <= now)
        row = next((one for one in due if one.attempts < max_attempts and one.language in languages), None)
        if row is None:
            return None
        self._begin(row, owner, lease_s)
        draft = self.memory.rows[row.job_id].draft
        problem = await self.memory.problem(draft.problem_id)
        assert problem is not None
        return RerunClaim(
            batch_id=row.id, place=row.place, attempt_id=row.attempt_id, attempts=row.attempts, lease_owner=owner,
            problem_id=problem.id, problem_version=problem.version, language=row.language, code=draft.code,
            entry_point=draft.entry_point, beside=draft.beside, test=row.test,
        )  # fmt: skip

    async def finish(self, claim: RerunClaim, outcome: RerunOutcome) -> bool:
        await self.memory.problem(0)
        row = self._held(claim)
        if row is None:
            row = self._row(claim)
            return row is not None and row.outcome is not None and row.lease_owner == claim.lease_owner
        self._end(row, outcome)
        return True

    async def sweep_reruns(self, max_attempts: int, max_wait_s: float, keep_s: float, limit: int) -> int:
        await self.memory.problem(0)
        now = self.memory.clock()
        hopeless = [
            row
            for row in self.kept
            if row.outcome is None and row.due_at <= now
            if row.attempts >= max_attempts or row.created_at <= now - max_wait_s
        ][:limit]
        for row in hopeless:
            is_used_up = row.attempts >= max_attempts
            failure = RerunFailure.UNANSWERED if is_used_up else RerunFailure.NOT_TAKEN
            row.lease_owner = None
            self._end(row, RerunOutcome(failure=failure))
        for row in [row for row in self.kept if row.finished_at is not None and row.finished_at <= now - keep_s]:
            self.kept.remove(row)
        return len(hopeless)

    # -- inside

    def forget_jobs(self, gone: Collection[str]) -> None:
        """Delete the reruns of submissions that are deleted, or whose source is erased."""
        self.kept[:] = [row for row in self.kept if row.job_id not in gone]

    def _end(self, row: RerunRow, outcome: RerunOutcome) -> None:
        row.state, row.outcome, row.finished_at = "done", outcome, self.memory.clock()

    def _rows(self, batch_id: int) -> list[RerunRow]:
        return [row for row in self.kept if row.id == batch_id]
